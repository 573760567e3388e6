/* SPDX-License-Identifier: MIT */
#include "sandbox/aliases.h"

#include <stdlib.h>
#include <string.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define MOUNTINFO_MAX (4u << 20)

struct mount {
    char *device, *root, *point; /* owned; root: within its file system */
};

struct mounts {
    struct mount *at; /* owned */
    size_t count;
};

static void mounts_done(struct mounts *m)
{
    for (size_t i = 0; i < m->count; i++) {
        free(m->at[i].device);
        free(m->at[i].root);
        free(m->at[i].point);
    }
    free(m->at);
}

/* "\040" is a blank. */
static void unescape(char *s)
{
    char *to = s;
    for (; *s; s++)
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
            *to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
            s += 3;
        } else
            *to++ = *s;
    *to = '\0';
}

/* 36 35 98:0 /root /point options ... */
static void add_line(struct mounts *m, const char *line, size_t len)
{
    char *fields[5] = {NULL};
    _cleanup_free_ char *text = mem_strndup(line, len);
    char *rest = text;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!(fields[i] = strsep(&rest, " ")))
            return;
    unescape(fields[3]);
    unescape(fields[4]);
    m->at = mem_realloc_array(m->at, m->count + 1, sizeof(*m->at));
    m->at[m->count++] = (struct mount){.device = mem_strdup(fields[2]),
                                       .root = mem_strdup(fields[3]),
                                       .point = mem_strdup(fields[4])};
}

/* The last one of the nearest that are above lies on top. */
static const struct mount *mount_of(const struct mounts *m, const char *path)
{
    const struct mount *best = NULL;
    for (size_t i = 0; i < m->count; i++)
        if (plan_is_below(path, m->at[i].point) &&
            (!best || strlen(m->at[i].point) >= strlen(best->point)))
            best = &m->at[i];
    return best;
}

/* `path`, which lies below `from`, as it is called when `from` is called `to`. */
static char *renamed(const char *path, const char *from, const char *to)
{
    const char *rest = path + (from[1] ? strlen(from) : 0);
    while (*rest == '/')
        rest++;
    return *rest ? path_join(to, rest) : mem_strdup(to);
}

static bool is_writable(const struct plan *p, const char *path)
{
    enum plan_kind kind;
    return plan_find(p, path, &kind) && kind == PLAN_WRITABLE;
}

static char *alias_of(const struct plan *p, const struct mounts *m, const char *path)
{
    const struct mount *own = mount_of(m, path);
    if (!own)
        return NULL;
    _cleanup_free_ char *inner = renamed(path, own->point, own->root);
    for (size_t i = 0; i < m->count; i++) {
        const struct mount *other = &m->at[i];
        if (other == own || !str_eq(other->device, own->device))
            continue;
        _cleanup_free_ char *place = NULL;
        if (plan_is_below(inner, other->root))
            place = renamed(inner, other->root, other->point);
        else if (plan_is_below(other->root, inner))
            place = mem_strdup(other->point);
        if (place && !is_writable(p, place) && !str_eq(place, path))
            return TAKE_PTR(place);
    }
    return NULL;
}

int aliases_find_in(const struct plan *p, const char *mountinfo, char **ret)
{
    _cleanup_(mounts_done) struct mounts m = {0};
    *ret = NULL;
    for (const char *s = mountinfo; *s;) {
        size_t n = strcspn(s, "\n");
        add_line(&m, s, n);
        s += n + (s[n] == '\n');
    }
    for (size_t i = 0; i < p->count && !*ret; i++)
        if (p->steps[i].kind == PLAN_WRITABLE)
            *ret = alias_of(p, &m, p->steps[i].path);
    return *ret ? 1 : 0;
}

int aliases_find(const struct plan *p, char **ret, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(MOUNTINFO_MAX);
    int r = fd_read_file("/proc/self/mountinfo", MOUNTINFO_MAX, &text, err);
    return r < 0 ? r : aliases_find_in(p, buf_str(&text), ret);
}
