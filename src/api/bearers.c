/* SPDX-License-Identifier: MIT */
/* API tokens: made, listed, revoked. Each change is on record before it happens. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/accounts.h"
#include "api/adapters.h"
#include "api/call.h"
#include "api/role.h"
#include "api/saved.h"
#include "base/clock.h"
#include "base/str.h"

static void bearers_put_time(struct json_writer *w, const char *key, uint64_t t)
{
    char text[32];
    json_field_string(w, key, t ? clock_format(t, text) : NULL);
}

/* `secret` NULL: it is not shown any more. */
static void bearers_put(struct json_writer *w, const struct account_token *t, const char *secret)
{
    json_object_begin(w);
    json_field_string(w, "id", t->id);
    json_field_string(w, "name", t->name);
    json_field_string(w, "role", role_name(t->role));
    if (secret)
        json_field_string(w, "token", secret);
    json_field_string(w, "by", t->by[0] ? t->by : NULL);
    bearers_put_time(w, "created_at", t->created);
    bearers_put_time(w, "expires_at", t->expires);
    bearers_put_time(w, "used_at", t->used);
    json_field_bool(w, "fixed", t->fixed);
    json_object_end(w);
}

void bearers_list(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_array_begin(&w);
    list_foreach(it, &c->api->accounts->tokens)
        bearers_put(&w, list_item(it, struct account_token, link), NULL);
    json_array_end(&w);
    call_json(x, &b);
}

/* ---- making ---- */

struct bearers_wish {
    const char *name;
    enum api_role role;
    uint64_t expires; /* realtime; 0: never */
};

static bool bearers_read(struct call *c, struct bearers_wish *ret)
{
    static const char *const keys[] = {"name", "role", "expires", NULL};
    if (!call_only(c, keys))
        return false;
    bool bad = false;
    uint64_t ns = 0, now = c->api->deps.clock->realtime(c->api->deps.clock);
    const char *role = call_string(c, "role", 16, &bad),
               *expires = call_string(c, "expires", 32, &bad);
    ret->name = call_string(c, "name", AUTH_NAME_MAX, &bad);
    if (ret->name && !accounts_name_valid(ret->name))
        bad = true;
    if (expires && (str_parse_duration(expires, &ns, NULL) < 0 || ns == 0 || ns > UINT64_MAX - now))
        bad = true;
    if (!bad && role && role_parse(role, &ret->role)) {
        ret->expires = ns ? now + ns : 0;
        return true;
    }
    call_error(c->x, 400, "bad_body", NULL,
               "the body is {\"role\": viewer, approver, operator or admin, \"name\": 1 to 64 "
               "letters, digits and ._@+-, \"expires\": a time like 12h or 30d}; only the role is "
               "needed");
    return false;
}

void bearers_create(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct bearers_wish wish = {.role = API_ROLE_NONE};
    char secret[AUTH_TOKEN_SIZE];
    struct account_token *t;
    struct err err = {""};
    if (!bearers_read(c, &wish))
        return;
    if (auth_token_make(secret, &err) < 0) {
        call_error(x, 500, "internal", NULL, "%s", err.text);
        return;
    }
    int r = accounts_add_token(c->api->accounts, secret, wish.name ? wish.name : "token", wish.role,
                               &t);
    if (r < 0) {
        call_error(x, 409, "too_many", NULL, "there are %d tokens: revoke one first",
                   ACCOUNTS_TOKENS_MAX);
        return;
    }
    if (!wish.name)
        (void)snprintf(t->name, sizeof(t->name), "token-%.8s", t->id);
    t->created = c->api->deps.clock->realtime(c->api->deps.clock);
    t->expires = wish.expires;
    (void)snprintf(t->by, sizeof(t->by), "%s", c->who);
    const struct access_change change = {.what = "token-created",
                                         .subject = t->name,
                                         .subject_id = t->id,
                                         .role = role_name(t->role),
                                         .expires = t->expires};
    if (!saved_record(c, change)) {
        accounts_remove_token(c->api->accounts, t);
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    bearers_put(&w, t, secret);
    explicit_bzero(secret, sizeof(secret));
    saved_reply(c, &b);
}

/* ---- the end of one ---- */

void bearers_revoke(void *arg, struct exchange *x, const char *id)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    if (!call_only(c, keys))
        return;
    struct account_token *t = accounts_find_token(c->api->accounts, id);
    if (!t) {
        call_error(x, 404, "not_found", NULL, "no token has this id");
        return;
    }
    if (t->fixed) {
        call_error(x, 409, "fixed", NULL,
                   "this token is a file of the state directory: remove the file and restart the "
                   "warden, which makes another one");
        return;
    }
    const struct access_change change = {
        .what = "token-revoked", .subject = t->name, .subject_id = t->id};
    if (!saved_record(c, change))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    bearers_put(&w, t, NULL);
    accounts_remove_token(c->api->accounts, t);
    saved_reply(c, &b);
}
