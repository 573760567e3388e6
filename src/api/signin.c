/* SPDX-License-Identifier: MIT */
#include "api/signin.h"

#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/basic.h"
#include "api/login.h"
#include "api/role.h"
#include "api/websessions.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/access.h"

#define SIGNIN_LINK_FOR (600 * CLOCK_NS_PER_SEC)

/* ---- links ---- */

struct signin_links {
    struct {
        unsigned char hash[AUTH_HASH_SIZE];
        char who[AUTH_NAME_MAX + 1];
        enum api_role role;
        const char *method; /* a literal */
        char proof[CALL_PROOF_SIZE];
        uint64_t until; /* monotonic; 0: used, or none */
    } rows[SIGNIN_LINKS_MAX];
};

struct signin_links *signin_links_new(void)
{
    return mem_new(struct signin_links);
}

struct signin_links *signin_links_free(struct signin_links *l)
{
    free(l);
    return NULL;
}

/* The secret stands behind '#': browsers send it to nobody, and no log has it. */
char *signin_make_link(struct api *a, const char *base, const char *who, enum api_role role,
                       const char *method, const char *proof)
{
    char secret[AUTH_TOKEN_SIZE];
    struct signin_links *l = a->links;
    size_t oldest = 0;
    for (size_t i = 0; i < SIGNIN_LINKS_MAX; i++)
        if (l->rows[i].until < l->rows[oldest].until)
            oldest = i;
    if (auth_token_make(secret, NULL) < 0 ||
        auth_hash(secret, strlen(secret), l->rows[oldest].hash) < 0)
        return NULL;
    (void)snprintf(l->rows[oldest].who, sizeof(l->rows[oldest].who), "%s", who);
    l->rows[oldest].role = role;
    l->rows[oldest].method = method;
    (void)snprintf(l->rows[oldest].proof, sizeof(l->rows[oldest].proof), "%s", proof);
    l->rows[oldest].until = a->deps.clock->monotonic(a->deps.clock) + SIGNIN_LINK_FOR;
    char *link = mem_printf("%s/login#%s", base, secret);
    explicit_bzero(secret, sizeof(secret));
    return link;
}

/* True: c->who and c->role are those of the link, which is used up. */
static bool signin_take_link(struct call *c, const char *secret)
{
    unsigned char hash[AUTH_HASH_SIZE];
    struct signin_links *l = c->api->links;
    uint64_t now = c->api->deps.clock->monotonic(c->api->deps.clock);
    if (auth_hash(secret, strlen(secret), hash) < 0)
        return false;
    for (size_t i = 0; i < SIGNIN_LINKS_MAX; i++) {
        if (l->rows[i].until <= now || !auth_same(hash, l->rows[i].hash))
            continue;
        l->rows[i].until = 0;
        (void)snprintf(c->who, sizeof(c->who), "%s", l->rows[i].who);
        c->role = l->rows[i].role;
        c->method = l->rows[i].method;
        (void)snprintf(c->proof, sizeof(c->proof), "%s", l->rows[i].proof);
        return true;
    }
    return false;
}

void signin_link(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    char text[32];
    if (!call_only(c, keys))
        return;
    if (c->session) { /* or it would go on for ever by ever new ones */
        call_error(x, 403, "forbidden", NULL,
                   "a session makes no links: ask with a token, or on the warden's host");
        return;
    }
    if (!c->api->url) {
        call_error(x, 409, "no_address", NULL,
                   "this warden listens on its socket only: a browser cannot reach it");
        return;
    }
    _cleanup_free_ char *link =
        signin_make_link(c->api, c->api->url, c->who, c->role, "link", c->proof);
    if (!link) {
        call_error(x, 500, "internal", NULL, "no random bytes");
        return;
    }
    uint64_t now = c->api->deps.clock->realtime(c->api->deps.clock);
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "link", link);
    json_field_string(&w, "expires_at", clock_format(now + SIGNIN_LINK_FOR, text));
    json_object_end(&w);
    call_json(x, &b);
}

/* ---- logging in ---- */

static void signin_put(const struct call *c, struct json_writer *w)
{
    char text[32];
    const struct web_session *s = c->session;
    json_field_string(w, "who", c->who);
    json_field_string(w, "role", role_name(c->role));
    json_field_string(w, "method", c->method);
    json_field_string(w, "session", s ? s->id : NULL);
    json_field_string(w, "expires_at",
                      s ? clock_format(websessions_expiry(c->api, s), text) : NULL);
}

/* c->who and c->role are proven by `method` and c->proof. */
static void signin_begin(struct call *c, const char *method)
{
    c->method = method;
    c->session = websessions_begin(c, method, c->proof);
    if (!c->session) {
        call_error(c->x, 500, "internal", NULL, "no random bytes");
        return;
    }
    const struct access_login l = {.who = c->who,
                                   .role = role_name(c->role),
                                   .method = method,
                                   .address = exchange_peer(c->x)->address,
                                   .request_id = exchange_id(c->x)};
    access_login(c->api->deps.warden, &l);
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    signin_put(c, &w);
    json_field_string(&w, "csrf", c->session->csrf);
    json_object_end(&w);
    call_json(c->x, &b);
}

static void signin_password_seen(struct api *api, struct exchange *x, const struct account_user *u,
                                 const char *name)
{
    struct call c = {.api = api, .x = x};
    (void)snprintf(c.who, sizeof(c.who), "%s", name);
    if (!u) {
        login_wrong(&c);
        return;
    }
    c.role = u->role;
    login_proof_user(c.proof, u);
    signin_begin(&c, "password");
}

static void signin_by_password(struct call *c, const char *name, const char *password)
{
    struct account_user *u = NULL;
    if (basic_check(c, name, password, signin_password_seen, &u) == BASIC_OK)
        signin_password_seen(c->api, c->x, u, name);
}

static void signin_by_token(struct call *c, const char *secret)
{
    size_t n = strlen(secret);
    uint64_t now = c->api->deps.clock->realtime(c->api->deps.clock);
    struct account_token *t =
        auth_token_valid(secret, n) ? accounts_find_secret(c->api->accounts, secret, n, now) : NULL;
    if (!t) {
        login_wrong_counted(c);
        return;
    }
    t->used = now;
    (void)snprintf(c->who, sizeof(c->who), "%s", t->name);
    c->role = t->role;
    login_proof_token(c->proof, t);
    signin_begin(c, "token");
}

void signin_login(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    static const char *const keys[] = {"token", "link", "user", "password", NULL};
    if (!call_only(c, keys))
        return;
    bool bad = false;
    const char *token = call_string(c, "token", 256, &bad),
               *link = call_string(c, "link", 256, &bad),
               *user = call_string(c, "user", AUTH_NAME_MAX, &bad),
               *password = call_string(c, "password", AUTH_PASSWORD_MAX, &bad);
    if (bad || (token != NULL) + (link != NULL) + (user != NULL) != 1 || !user != !password)
        call_error(
            x, 400, "bad_body", NULL,
            "the body is {\"token\": TOKEN}, {\"link\": what stands behind the # of a link}, "
            "or {\"user\": NAME, \"password\": PASSWORD}");
    else if (login_is_governed(c))
        return;
    else if (user)
        signin_by_password(c, user, password);
    else if (token)
        signin_by_token(c, token);
    else if (signin_take_link(c, link))
        signin_begin(c, c->method);
    else
        login_wrong_counted(c);
}

/* ---- who am I, and goodbye ---- */

void signin_show(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    signin_put(c, &w);
    json_object_end(&w);
    call_json(x, &b);
}

void signin_logout(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    if (!call_only(c, keys))
        return;
    if (!c->session) {
        call_error(x, 409, "no_session", NULL, "this login is no session: there is nothing to end");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(8192);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    signin_put(c, &w);
    json_object_end(&w);
    websessions_end(c, c->session);
    call_json(x, &b);
}
