/* SPDX-License-Identifier: MIT */
/* The book is written before the directories change, so that a warden that is killed in between
 * makes them right at its next start. */
#include "jail/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "jail/book.h"
#include "jail/shelf.h"
#include "policy/glob.h"
#include "policy/jailname.h"

struct roster {
    struct shelf *shelf;   /* owned */
    char *book;            /* owned */
    struct policy *policy; /* a reference */
    struct list entries;
    size_t count;
};

/* ---- entries ---- */

static void remove_entry(struct roster *j, struct roster_entry *e)
{
    list_remove(&e->link);
    j->count--;
    book_entry_free(e);
}

static struct roster_entry *find(const struct roster *j, const char *name)
{
    list_foreach(it, &j->entries)
    {
        struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (str_eq(e->name, name))
            return e;
    }
    return NULL;
}

static struct roster_entry *find_container(const struct roster *j, const char *id)
{
    list_foreach(it, &j->entries)
    {
        struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (e->origin == ROSTER_LABEL && str_eq(e->container, id))
            return e;
    }
    return NULL;
}

static struct roster_entry *add(struct roster *j, enum roster_origin origin,
                                const struct roster_wish *w)
{
    struct roster_entry *e = book_entry_new(origin, w);
    list_append(&j->entries, &e->link);
    j->count++;
    return e;
}

static int sync_one(struct roster *j, const struct roster_entry *e, struct err *err)
{
    return shelf_put(j->shelf, e->name, (const char *const *)e->commands, e->commands_count, err);
}

static int save(const struct roster *j, struct err *err)
{
    return book_write(j->book, &j->entries, err);
}

/* ---- the policy's ---- */

static bool is_wanted(void *arg, const char *name)
{
    return find(arg, name) != NULL;
}

static int sync_all(struct roster *j, struct err *err)
{
    struct err first = {""};
    int r = save(j, &first);
    list_foreach(it, &j->entries)
    {
        struct err words;
        int k = sync_one(j, list_item(it, struct roster_entry, link), &words);
        if (k < 0 && r == 0)
            first = words;
        r = r < 0 ? r : k;
    }
    if (r == 0)
        r = shelf_sweep(j->shelf, is_wanted, j, &first);
    return r < 0 ? err_set(err, r, "%s", first.text) : 0;
}

static void take_policy(struct roster *j, const struct policy *p)
{
    list_foreach(it, &j->entries)
    {
        struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (e->origin == ROSTER_POLICY)
            remove_entry(j, e);
    }
    policy_unref(j->policy);
    j->policy = policy_ref((struct policy *)p);
    for (size_t i = 0; i < policy_jails_count(p); i++) {
        const struct policy_jail *rule = policy_jail(p, i);
        struct roster_entry *other = find(j, rule->name);
        if (other)
            remove_entry(j, other);
        const struct roster_wish w = {.name = rule->name,
                                      .commands = rule->commands,
                                      .commands_count = rule->commands_count,
                                      .containers = rule->containers,
                                      .containers_count = rule->containers_count,
                                      .hardened = rule->hardened};
        add(j, ROSTER_POLICY, &w)->rule = rule;
    }
}

int roster_set_policy(struct roster *j, const struct policy *p, struct err *err)
{
    take_policy(j, p);
    return sync_all(j, err);
}

/* ---- orders ---- */

static int check_wish(const struct roster_wish *w, struct err *err)
{
    int r = w->commands_count > POLICY_JAIL_COMMANDS_MAX ||
                    w->containers_count > POLICY_JAIL_COMMANDS_MAX
                ? err_set(err, -EINVAL, "more than %d names", POLICY_JAIL_COMMANDS_MAX)
                : 0;
    for (size_t i = 0; r == 0 && i < w->commands_count; i++) {
        r = jailname_check_command(w->commands[i], err);
        if (r < 0)
            r = err_prefix(err, r, "command %zu", i + 1);
    }
    for (size_t i = 0; r == 0 && i < w->containers_count; i++)
        if (!w->containers[i][0] || !glob_valid(w->containers[i]))
            r = err_set(err, -EINVAL, "container %zu: it is no glob", i + 1);
    return r;
}

static int check_owner(const struct roster_entry *e, struct err *err)
{
    if (!e)
        return err_set(err, -ENOENT, "there is no jail of this name");
    if (e->origin == ROSTER_POLICY)
        return err_set(err, -EPERM, "this jail is the policy's: change it there");
    if (e->origin == ROSTER_LABEL)
        return err_set(err, -EPERM,
                       "this jail belongs to the container %.12s, by its labels: it goes when the "
                       "container is removed",
                       e->container);
    return 0;
}

int roster_check(const struct roster *j, enum roster_what what, const struct roster_wish *w,
                 struct err *err)
{
    const struct roster_entry *e = find(j, w->name);
    int r = what == ROSTER_CREATE ? jailname_check(w->name, err) : check_owner(e, err);
    if (r == 0 && what != ROSTER_DELETE)
        r = check_wish(w, err);
    if (r < 0 || what != ROSTER_CREATE)
        return r;
    if (e)
        return err_set(err, -EEXIST, "there is a jail of this name (%s)",
                       roster_origin_name(e->origin));
    return j->count < ROSTER_MAX ? 0 : err_set(err, -EDQUOT, "there are %d jails", ROSTER_MAX);
}

int roster_apply(struct roster *j, enum roster_what what, const struct roster_wish *w,
                 struct err *err)
{
    int r = roster_check(j, what, w, err);
    if (r < 0)
        return r;
    struct roster_entry *e = find(j, w->name);
    if (what == ROSTER_CREATE) {
        e = add(j, ROSTER_API, w);
    } else if (what == ROSTER_CHANGE) {
        book_entry_change(e, w);
    } else {
        remove_entry(j, e);
        e = NULL;
    }
    r = save(j, err);
    if (r < 0)
        return r;
    return e ? sync_one(j, e, err) : shelf_remove(j->shelf, w->name, err);
}

/* ---- of containers ---- */

int roster_adopt(struct roster *j, const char *container, const struct roster_wish *w,
                 bool *ret_changed, struct err *err)
{
    struct roster_entry *mine = find_container(j, container), *named = find(j, w->name);
    *ret_changed = false;
    int r = jailname_check(w->name, err);
    if (r == 0)
        r = check_wish(w, err);
    if (r < 0)
        return r;
    if (!mine && named)
        return err_set(err, -EEXIST, "there is a jail of this name already (%s)",
                       roster_origin_name(named->origin));
    if (!mine && j->count >= ROSTER_MAX)
        return err_set(err, -EDQUOT, "there are %d jails", ROSTER_MAX);
    if (mine && book_entry_is(mine, w))
        return sync_one(j, mine, err);
    *ret_changed = true;
    if (!mine) {
        mine = add(j, ROSTER_LABEL, w);
        mine->container = mem_strdup(container);
    } else {
        book_entry_change(mine, w);
    }
    r = save(j, err);
    return r < 0 ? r : sync_one(j, mine, err);
}

int roster_abandon(struct roster *j, const char *container, struct err *err)
{
    struct roster_entry *e = find_container(j, container);
    if (!e)
        return 0;
    _cleanup_free_ char *name = mem_strdup(e->name);
    remove_entry(j, e);
    int r = save(j, err);
    if (r == 0)
        r = shelf_remove(j->shelf, name, err);
    return r < 0 ? r : 1;
}

static bool is_for(const struct roster_entry *e, const struct container *c)
{
    uint64_t budget = 1 << 20;
    if (e->origin == ROSTER_LABEL)
        return str_eq(e->container, c->id);
    if (e->containers_count &&
        !glob_match_any((const char *const *)e->containers, e->containers_count, c->name, &budget))
        return false;
    size_t labels = e->rule ? e->rule->labels_count : 0;
    for (size_t i = 0; i < labels; i++) {
        const char *has = container_label(c, e->rule->labels[i].key);
        if (!has || !glob_match(e->rule->labels[i].value, has, &budget))
            return false;
    }
    return e->containers_count || labels;
}

const struct roster_entry *roster_for(const struct roster *j, const struct container *c)
{
    const struct roster_entry *found = find_container(j, c->id);
    list_foreach(it, &j->entries)
    {
        const struct roster_entry *e = list_item(it, struct roster_entry, link);
        if (!found && is_for(e, c))
            found = e;
    }
    return found;
}

/* ---- what others see ---- */

const struct roster_entry *roster_find(const struct roster *j, const char *name)
{
    return find(j, name);
}

const struct list *roster_list(const struct roster *j)
{
    return &j->entries;
}

size_t roster_count(const struct roster *j)
{
    return j->count;
}

const char *roster_dir(const struct roster *j)
{
    return shelf_dir(j->shelf);
}

const char *roster_origin_name(enum roster_origin o)
{
    switch (o) {
    case ROSTER_POLICY:
        return "policy";
    case ROSTER_API:
        return "api";
    case ROSTER_LABEL:
        return "label";
    }
    return "?";
}

static void put_labels(const struct roster_entry *e, struct json_writer *w)
{
    json_key(w, "labels");
    json_array_begin(w);
    for (size_t i = 0; e->rule && i < e->rule->labels_count; i++) {
        json_object_begin(w);
        json_field_string(w, "key", e->rule->labels[i].key);
        json_field_string(w, "value", e->rule->labels[i].value);
        json_object_end(w);
    }
    json_array_end(w);
}

void roster_put(const struct roster *j, const struct roster_entry *e, struct json_writer *w)
{
    char text[32];
    _cleanup_free_ char *dir = path_join(roster_dir(j), e->name);
    json_object_begin(w);
    json_field_string(w, "name", e->name);
    json_field_string(w, "origin", roster_origin_name(e->origin));
    json_field_string(w, "mode", e->hardened ? "hardened" : "plain");
    book_put_names(w, "commands", e->commands, e->commands_count);
    book_put_names(w, "containers", e->containers, e->containers_count);
    put_labels(e, w);
    json_field_string(w, "container", e->container);
    json_field_string(w, "directory", dir);
    json_field_string(w, "by", e->by);
    json_field_string(w, "created_at", e->realtime ? clock_format(e->realtime, text) : NULL);
    json_object_end(w);
}

/* ---- life ---- */

int roster_open(const char *dir, const char *book, const char *shim, const struct policy *p,
                struct roster **ret, struct err *err)
{
    _cleanup_(roster_freep) struct roster *j = mem_new(struct roster);
    list_init(&j->entries);
    j->book = mem_strdup(book);
    int r = shelf_open(dir, shim, &j->shelf, err);
    if (r == 0)
        r = book_read(book, &j->entries, &j->count, err);
    if (r < 0)
        return r;
    r = roster_set_policy(j, p, err);
    if (r == 0)
        *ret = TAKE_PTR(j);
    return r;
}

struct roster *roster_free(struct roster *j)
{
    if (!j)
        return NULL;
    while (!list_empty(&j->entries))
        remove_entry(j, list_item(j->entries.next, struct roster_entry, link));
    policy_unref(j->policy);
    shelf_free(j->shelf);
    free(j->book);
    free(j);
    return NULL;
}
