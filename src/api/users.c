/* SPDX-License-Identifier: MIT */
/* People with passwords. Each change is on record before it happens, and ends the sessions that the
 * old password began. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/accounts.h"
#include "api/adapters.h"
#include "api/call.h"
#include "api/role.h"
#include "api/saved.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/passwords.h"

#define USERS_PASSWORD_MIN 10

static void users_put(struct json_writer *w, const struct account_user *u)
{
    char text[32];
    json_object_begin(w);
    json_field_string(w, "name", u->name);
    json_field_string(w, "role", role_name(u->role));
    json_field_string(w, "created_at", clock_format(u->created, text));
    json_field_string(w, "changed_at", clock_format(u->changed, text));
    json_object_end(w);
}

void users_list(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_array_begin(&w);
    list_foreach(it, &c->api->accounts->users)
        users_put(&w, list_item(it, struct account_user, link));
    json_array_end(&w);
    call_json(x, &b);
}

static bool users_record(struct call *c, const char *what, const char *name, const char *role)
{
    return saved_record(c, (struct access_change){.what = what, .subject = name, .role = role});
}

static void users_reply(struct call *c, const struct account_user *u)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    users_put(&w, u);
    saved_reply(c, &b);
}

/* ---- with a new password, which is hashed first ---- */

struct users_change {
    struct api *api;
    struct exchange *x; /* a reference */
    bool add;
    char name[AUTH_NAME_MAX + 1], by[AUTH_NAME_MAX + 1];
    enum api_role role; /* NONE: as it is */
};

static void users_add(struct call *c, const struct users_change *ch, const char *encoded)
{
    struct account_user *u;
    uint64_t now = c->api->deps.clock->realtime(c->api->deps.clock);
    if (accounts_find_user(c->api->accounts, ch->name)) {
        call_error(c->x, 409, "exists", NULL, "there is a user of this name");
        return;
    }
    if (!users_record(c, "user-added", ch->name, role_name(ch->role)))
        return;
    if (accounts_add_user(c->api->accounts, ch->name, ch->role, encoded, now, &u) < 0)
        call_error(c->x, 409, "too_many", NULL, "there are %d users", ACCOUNTS_USERS_MAX);
    else
        users_reply(c, u);
}

/* `encoded` NULL: the password stays. */
static void users_alter(struct call *c, const struct users_change *ch, const char *encoded)
{
    struct account_user *u = accounts_find_user(c->api->accounts, ch->name);
    if (!u) {
        call_error(c->x, 404, "not_found", NULL, "there is no user of this name");
        return;
    }
    enum api_role role = ch->role == API_ROLE_NONE ? u->role : ch->role;
    if (!users_record(c, "user-changed", u->name, role_name(role)))
        return;
    u->role = role;
    u->changed = c->api->deps.clock->realtime(c->api->deps.clock);
    if (encoded)
        (void)snprintf(u->password, sizeof(u->password), "%s", encoded);
    users_reply(c, u);
}

static void users_hashed(void *arg, int result, const char *encoded)
{
    struct users_change *ch = arg;
    struct call c = {.api = ch->api, .x = ch->x};
    (void)snprintf(c.who, sizeof(c.who), "%s", ch->by);
    if (exchange_replied(ch->x))
        ; /* the API is closing, and has said so */
    else if (result < 0)
        call_error(c.x, 503, "unavailable", NULL, "the password could not be hashed: %s",
                   strerror(-result));
    else if (ch->add)
        users_add(&c, ch, encoded);
    else
        users_alter(&c, ch, encoded);
    (void)exchange_unref(ch->x);
    free(ch);
    api_release(c.api);
}

static void users_hash(struct call *c, const struct users_change *wish, const char *password)
{
    struct users_change *ch = mem_dup(wish, sizeof(*wish));
    ch->api = c->api;
    ch->x = exchange_ref(c->x);
    (void)snprintf(ch->by, sizeof(ch->by), "%s", c->who);
    api_hold(c->api);
    if (passwords_hash(c->api->passwords, password, users_hashed, ch) == 0)
        return;
    call_error(c->x, 503, "unavailable", NULL, "too many passwords are being looked at; try again");
    (void)exchange_unref(ch->x);
    free(ch);
    api_release(c->api);
}

static bool users_read(struct call *c, struct users_change *ch, const char **ret_password)
{
    static const char *const add_keys[] = {"name", "role", "password", NULL},
                             *const alter_keys[] = {"role", "password", NULL};
    if (!call_only(c, ch->add ? add_keys : alter_keys))
        return false;
    bool bad = false;
    const char *role = call_string(c, "role", 16, &bad),
               *name = ch->add ? call_string(c, "name", AUTH_NAME_MAX, &bad) : NULL;
    *ret_password = call_string(c, "password", AUTH_PASSWORD_MAX, &bad);
    if (*ret_password && strlen(*ret_password) < USERS_PASSWORD_MIN)
        bad = true;
    if (role && !role_parse(role, &ch->role))
        bad = true;
    if (ch->add && (!role || !*ret_password || !name || !accounts_name_valid(name)))
        bad = true;
    if (!ch->add && !role && !*ret_password)
        bad = true;
    if (!bad) {
        if (name)
            (void)snprintf(ch->name, sizeof(ch->name), "%s", name);
        return true;
    }
    call_error(c->x, 400, "bad_body", NULL,
               "the body is {\"role\": viewer, approver, operator or admin, \"password\": of %d to "
               "%d bytes%s",
               USERS_PASSWORD_MIN, AUTH_PASSWORD_MAX,
               ch->add ? ", \"name\": 1 to 64 letters, digits and ._@+-}"
                       : "}, one of them at least");
    return false;
}

void users_create(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct users_change ch = {.add = true};
    const char *password;
    if (users_read(c, &ch, &password))
        users_hash(c, &ch, password);
}

void users_change(void *arg, struct exchange *x, const char *name)
{
    struct call *c = arg;
    struct users_change ch = {.add = false};
    const char *password;
    if (!users_read(c, &ch, &password))
        return;
    (void)snprintf(ch.name, sizeof(ch.name), "%s", name);
    if (!accounts_find_user(c->api->accounts, name))
        call_error(x, 404, "not_found", NULL, "there is no user of this name");
    else if (password)
        users_hash(c, &ch, password);
    else
        users_alter(c, &ch, NULL);
}

void users_delete(void *arg, struct exchange *x, const char *name)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    if (!call_only(c, keys))
        return;
    struct account_user *u = accounts_find_user(c->api->accounts, name);
    if (!u) {
        call_error(x, 404, "not_found", NULL, "there is no user of this name");
        return;
    }
    if (!users_record(c, "user-deleted", u->name, NULL))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    users_put(&w, u);
    accounts_remove_user(c->api->accounts, u);
    saved_reply(c, &b);
}
