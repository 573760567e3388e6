/* SPDX-License-Identifier: MIT */
#include "warden/bonds.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* The part up to `stop`, which becomes a NUL; *at is behind it. NULL at the end. */
static char *cut(char **at, char stop)
{
    char *s = *at, *end;
    if (!s)
        return NULL;
    end = strchr(s, stop);
    *at = end ? end + 1 : NULL;
    if (end)
        *end = '\0';
    return s;
}

static char *trim(char *s)
{
    size_t n;
    s += strspn(s, " \t\n");
    n = strlen(s);
    while (n > 0 && strchr(" \t\n", s[n - 1]))
        s[--n] = '\0';
    return s;
}

static int set_key(struct bond *b, const char *key, char *value, struct err *err)
{
    uint64_t uid;
    if (b->container || b->label_key || b->cgroup || b->userns_owner >= 0)
        return err_set(err, -EINVAL, "only one of container, label, cgroup and userns counts");
    if (str_eq(key, "container")) {
        b->container = value;
    } else if (str_eq(key, "label")) {
        b->label_key = cut(&value, '=');
        b->label_value = value;
    } else if (str_eq(key, "cgroup") && value[0] == '/' && value[1]) {
        b->cgroup = value;
    } else if (str_eq(key, "userns") && str_parse_u64(value, UINT32_MAX - 1, &uid) == 0) {
        b->userns_owner = (int64_t)uid;
    } else {
        return err_set(err, -EINVAL,
                       "'%s=%s' is none of container=NAME, label=KEY[=VALUE], cgroup=/PATH, "
                       "userns=UID",
                       key, value);
    }
    return 0;
}

static int read_keys(struct bond *b, char *rest, struct err *err)
{
    for (char *part; (part = cut(&rest, ','));) {
        char *value = trim(part), *key = cut(&value, '=');
        int r =
            value ? set_key(b, key, value, err) : err_set(err, -EINVAL, "'%s' has no value", key);
        if (r < 0)
            return r;
    }
    return 0;
}

static int add(struct bonds *b, char *text, bool has_dir, struct err *err)
{
    struct bonds_door d = {.text = text, .bond = {.userns_owner = -1}};
    char *rest = trim(text), *head = cut(&rest, ','), *dir = head;
    char *name = has_dir ? cut(&dir, '=') : head;
    int r = 0;
    if (!name[0] || (has_dir && (!dir || dir[0] != '/')))
        r = err_set(err, -EINVAL,
                    has_dir ? "'%s': write NAME=/DIRECTORY" : "'%s': write the container's name",
                    name);
    for (size_t i = 0; r == 0 && i < b->count; i++)
        if (str_eq(b->at[i].bond.name, name) || (has_dir && str_eq(b->at[i].dir, dir)))
            r = err_set(err, -EINVAL, "'%s': this name or directory stands there twice", name);
    if (r == 0)
        r = read_keys(&d.bond, rest, err);
    if (r < 0) {
        free(text);
        return r;
    }
    d.bond.name = name;
    d.dir = has_dir ? mem_strdup(dir) : NULL;
    struct bonds_door *more = mem_new_array(struct bonds_door, b->count + 1);
    for (size_t i = 0; i < b->count; i++)
        more[i] = b->at[i];
    more[b->count++] = d;
    free(b->at);
    b->at = more;
    return 0;
}

int bonds_add_doors(struct bonds *b, const char *text, struct err *err)
{
    _cleanup_free_ char *copy = mem_strdup(text);
    char *rest = copy, *one;
    int r = 0;
    while (r == 0 && (one = cut(&rest, ';')))
        if (trim(one)[0])
            r = add(b, mem_strdup(trim(one)), true, err);
    return r < 0 ? err_prefix(err, r, "door") : 0;
}

int bonds_add_prisoner(struct bonds *b, const char *text, struct err *err)
{
    int r = text[0] ? add(b, mem_strdup(text), false, err) : 0;
    return r < 0 ? err_prefix(err, r, "prisoner") : 0;
}

void bonds_done(struct bonds *b)
{
    for (size_t i = 0; i < b->count; i++) {
        free(b->at[i].dir);
        free(b->at[i].text);
    }
    free(b->at);
    *b = (struct bonds){.at = NULL};
}
