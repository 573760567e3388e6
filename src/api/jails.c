/* SPDX-License-Identifier: MIT */
/* Jails: the folders of command names that containers have mounted. Each change is on record before
 * it happens. Which names may be is not decided here (jail/roster). */
#include <errno.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/str.h"

#define JAILS_NAME_MAX 255 /* bytes of any name in a body */

static bool jails_are_here(const struct call *c)
{
    if (c->api->deps.jails)
        return true;
    call_error(c->x, 503, "unavailable", NULL, "there are no jails: %s",
               c->api->deps.jails_why ? c->api->deps.jails_why : "this warden keeps none");
    return false;
}

static void jails_reply(struct call *c, const char *name)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    if (c->api->deps.jails(c->api->deps.arg, name, &w))
        call_json(c->x, &b);
    else
        call_error(c->x, 404, "not_found", NULL, "there is no jail of this name");
}

void jails_list(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    if (!jails_are_here(c))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_array_begin(&w);
    (void)c->api->deps.jails(c->api->deps.arg, NULL, &w);
    json_array_end(&w);
    call_json(x, &b);
}

void jails_one(void *arg, struct exchange *x, const char *name)
{
    struct call *c = arg;
    if (jails_are_here(c))
        jails_reply(c, name);
}

/* ---- orders ---- */

struct jails_names {
    const char *at[API_JAIL_NAMES_MAX];
    size_t count;
};

static void jails_read_names(const struct call *c, const char *key, struct jails_names *ret,
                             bool *bad)
{
    const struct json *list = c->body ? json_get(c->body, key) : NULL;
    ret->count = 0;
    if (!list || json_is_null(list))
        return;
    if (!json_is_array(list) || json_count(list) > API_JAIL_NAMES_MAX)
        *bad = true;
    for (size_t i = 0; !*bad && i < json_count(list); i++) {
        size_t n = 0;
        const char *name = json_string(json_at(list, i), &n);
        if (!name || strlen(name) != n || n > JAILS_NAME_MAX)
            *bad = true;
        else
            ret->at[ret->count++] = name;
    }
}

static void jails_refuse(const struct call *c, int r, const char *words)
{
    if (r == -EINVAL)
        call_error(c->x, 400, "bad_body", NULL, "%s", words);
    else if (r == -ENOENT)
        call_error(c->x, 404, "not_found", NULL, "%s", words);
    else if (r == -EEXIST)
        call_error(c->x, 409, "exists", NULL, "%s", words);
    else if (r == -EPERM)
        call_error(c->x, 409, "fixed", NULL, "%s", words);
    else if (r == -EDQUOT)
        call_error(c->x, 409, "too_many", NULL, "%s", words);
    else if (r == -ENODATA)
        call_error(c->x, 503, "unavailable", NULL, "%s", words);
    else
        call_error(c->x, 500, "not_saved", NULL, "%s", words);
}

static int jails_order(struct call *c, struct api_jail_order *o)
{
    struct err err = {""};
    o->by = c->who;
    o->address = exchange_peer(c->x)->address;
    o->request_id = exchange_id(c->x);
    int r = c->api->deps.jail_order(c->api->deps.arg, o, &err);
    if (r < 0)
        jails_refuse(c, r, err.text);
    return r;
}

/* `name` NULL: it is in the body. */
static void jails_write(struct call *c, const char *name)
{
    static const char *const create_keys[] = {"name", "commands", "containers", "mode", NULL},
                             *const change_keys[] = {"commands", "containers", "mode", NULL};
    struct jails_names commands, containers;
    bool bad = false;
    if (!jails_are_here(c) || !call_only(c, name ? change_keys : create_keys))
        return;
    jails_read_names(c, "commands", &commands, &bad);
    jails_read_names(c, "containers", &containers, &bad);
    const char *mode = call_string(c, "mode", 16, &bad);
    struct api_jail_order o = {.what = name ? API_JAIL_CHANGE : API_JAIL_CREATE,
                               .name = name ? name : call_string(c, "name", JAILS_NAME_MAX, &bad),
                               .commands = commands.at,
                               .commands_count = commands.count,
                               .containers = containers.at,
                               .containers_count = containers.count,
                               .hardened = str_eq(mode, "hardened")};
    if (bad || !o.name || !c->body || !json_get(c->body, "commands") ||
        (mode && !o.hardened && !str_eq(mode, "plain"))) {
        call_error(c->x, 400, "bad_body", NULL,
                   "the body is {%s\"commands\": up to %d names, \"containers\": globs of names, "
                   "\"mode\": plain or hardened}; the latter two are not needed",
                   name ? "" : "\"name\": of the jail, ", API_JAIL_NAMES_MAX);
        return;
    }
    if (jails_order(c, &o) == 0)
        jails_reply(c, o.name);
}

void jails_create(void *arg, struct exchange *x, const char *param)
{
    jails_write(arg, NULL);
}

void jails_change(void *arg, struct exchange *x, const char *name)
{
    jails_write(arg, name);
}

void jails_delete(void *arg, struct exchange *x, const char *name)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    if (!jails_are_here(c) || !call_only(c, keys))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    struct api_jail_order o = {.what = API_JAIL_DELETE, .name = name};
    (void)c->api->deps.jails(c->api->deps.arg, name, &w);
    if (jails_order(c, &o) == 0)
        call_json(x, &b);
}
