/* SPDX-License-Identifier: MIT */
#include "jail/book.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"
#include "policy/jailname.h"

#define NODES_MAX 1000000

/* ---- entries ---- */

static char **copy_names(const char *const *names, size_t count)
{
    char **copy = mem_new_array(char *, count + 1);
    for (size_t i = 0; i < count; i++)
        copy[i] = mem_strdup(names[i]);
    return copy;
}

static void free_names(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(names[i]);
    free(names);
}

static bool same_names(char *const *a, size_t n, const char *const *b, size_t m)
{
    bool same = n == m;
    for (size_t i = 0; same && i < n; i++)
        same = str_eq(a[i], b[i]);
    return same;
}

static void set_wish(struct roster_entry *e, const struct roster_wish *w)
{
    e->commands = copy_names(w->commands, w->commands_count);
    e->commands_count = w->commands_count;
    e->containers = copy_names(w->containers, w->containers_count);
    e->containers_count = w->containers_count;
    e->hardened = w->hardened;
}

static void clear_wish(struct roster_entry *e)
{
    free_names(e->commands, e->commands_count);
    free_names(e->containers, e->containers_count);
}

struct roster_entry *book_entry_new(enum roster_origin origin, const struct roster_wish *w)
{
    struct roster_entry *e = mem_new(struct roster_entry);
    *e = (struct roster_entry){.origin = origin,
                               .name = mem_strdup(w->name),
                               .by = mem_strdup(w->by),
                               .realtime = w->realtime};
    list_init(&e->link);
    set_wish(e, w);
    return e;
}

void book_entry_change(struct roster_entry *e, const struct roster_wish *w)
{
    clear_wish(e);
    set_wish(e, w);
}

bool book_entry_is(const struct roster_entry *e, const struct roster_wish *w)
{
    return e->hardened == w->hardened &&
           same_names(e->commands, e->commands_count, w->commands, w->commands_count) &&
           same_names(e->containers, e->containers_count, w->containers, w->containers_count);
}

struct roster_entry *book_entry_free(struct roster_entry *e)
{
    if (!e)
        return NULL;
    clear_wish(e);
    free(e->name);
    free(e->container);
    free(e->by);
    free(e);
    return NULL;
}

/* ---- reading ---- */

struct names {
    const char *at[POLICY_JAIL_COMMANDS_MAX];
    size_t count;
};

static bool read_names(const struct json *list, bool commands, struct names *ret)
{
    if (!json_is_array(list) || json_count(list) > POLICY_JAIL_COMMANDS_MAX)
        return false;
    for (ret->count = 0; ret->count < json_count(list); ret->count++) {
        size_t n;
        const char *name = json_string(json_at(list, ret->count), &n);
        if (!name || strlen(name) != n || !n)
            return false;
        if (commands ? jailname_check_command(name, NULL) < 0 : !glob_valid(name))
            return false;
        ret->at[ret->count] = name;
    }
    return true;
}

static bool is_id(const char *s)
{
    return s && s[0] && strlen(s) <= 64 && strspn(s, "0123456789abcdef") == strlen(s);
}

static struct roster_entry *read_entry(const struct json *o)
{
    struct names commands, containers;
    size_t n = 0;
    const char *name = json_string(json_get(o, "name"), &n),
               *origin = json_string(json_get(o, "origin"), NULL),
               *id = json_string(json_get(o, "container"), NULL),
               *by = json_string(json_get(o, "by"), NULL),
               *mode = json_string(json_get(o, "mode"), NULL);
    bool api = str_eq(origin, "api"), label = str_eq(origin, "label");
    int64_t at = json_integer(json_get(o, "realtime"), -1);
    if (!name || strlen(name) != n || jailname_check(name, NULL) < 0 || api == label ||
        (label && !is_id(id)) || at < 0 || (!str_eq(mode, "plain") && !str_eq(mode, "hardened")) ||
        !read_names(json_get(o, "commands"), true, &commands) ||
        !read_names(json_get(o, "containers"), false, &containers))
        return NULL;
    const struct roster_wish w = {.name = name,
                                  .commands = commands.at,
                                  .commands_count = commands.count,
                                  .containers = containers.at,
                                  .containers_count = containers.count,
                                  .hardened = str_eq(mode, "hardened"),
                                  .by = by,
                                  .realtime = (uint64_t)at};
    struct roster_entry *e = book_entry_new(api ? ROSTER_API : ROSTER_LABEL, &w);
    e->container = label ? mem_strdup(id) : NULL;
    return e;
}

static bool is_known(const struct list *entries, const char *name)
{
    list_foreach(
        it, entries) if (str_eq(list_item(it, struct roster_entry, link)->name, name)) return true;
    return false;
}

int book_parse(const char *text, size_t len, struct list *entries, size_t *ret_count,
               struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    int r = json_parse(text, len, NODES_MAX, &root, err);
    if (r < 0)
        return r;
    const struct json *list = json_get(root, "jails");
    if (json_integer(json_get(root, "version"), 0) != 1 || !json_is_array(list) ||
        json_count(list) > ROSTER_MAX)
        return err_set(err, -EBADMSG, "it is no list of jails of version 1");
    for (size_t i = 0; i < json_count(list); i++) {
        struct roster_entry *e = read_entry(json_at(list, i));
        if (!e || is_known(entries, e->name)) {
            book_entry_free(e);
            return err_set(err, -EBADMSG, "its jail %zu cannot be one", i + 1);
        }
        list_append(entries, &e->link);
        ++*ret_count;
    }
    return 0;
}

int book_read(const char *path, struct list *entries, size_t *ret_count, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(BOOK_BYTES_MAX);
    if (access(path, F_OK) < 0 && errno == ENOENT)
        return 0;
    int r = fd_read_file(path, BOOK_BYTES_MAX, &text, err);
    if (r == 0)
        r = book_parse(buf_str(&text), text.len, entries, ret_count, err);
    return r < 0 ? err_prefix(err, r, "'%s' (remove it to begin without its jails)", path) : 0;
}

/* ---- writing ---- */

void book_put_names(struct json_writer *w, const char *key, char *const *names, size_t count)
{
    json_key(w, key);
    json_array_begin(w);
    for (size_t i = 0; i < count; i++)
        json_put_string(w, names[i]);
    json_array_end(w);
}

static void put_entry(struct json_writer *w, const struct roster_entry *e)
{
    json_object_begin(w);
    json_field_string(w, "name", e->name);
    json_field_string(w, "origin", roster_origin_name(e->origin));
    json_field_string(w, "mode", e->hardened ? "hardened" : "plain");
    book_put_names(w, "commands", e->commands, e->commands_count);
    book_put_names(w, "containers", e->containers, e->containers_count);
    json_field_string(w, "container", e->container);
    json_field_string(w, "by", e->by);
    json_field_uint(w, "realtime", e->realtime);
    json_object_end(w);
}

int book_write(const char *path, const struct list *entries, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(BOOK_BYTES_MAX);
    struct json_writer w = JSON_WRITER(&text);
    json_object_begin(&w);
    json_field_uint(&w, "version", 1);
    json_key(&w, "jails");
    json_array_begin(&w);
    list_foreach(it, entries)
    {
        const struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (e->origin != ROSTER_POLICY)
            put_entry(&w, e);
    }
    json_array_end(&w);
    json_object_end(&w);
    if (text.failed)
        return err_errno(err, text.failed, "'%s'", path);
    return fd_write_file(path, 0600, text.data, text.len, err);
}
