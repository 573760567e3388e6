/* SPDX-License-Identifier: MIT */
#include "api/websessions.h"

#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/login.h"
#include "api/role.h"
#include "api/saved.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define WEBSESSIONS_ROTATE (10 * 60 * CLOCK_NS_PER_SEC) /* a cookie is used this long */
#define WEBSESSIONS_OVERLAP (60 * CLOCK_NS_PER_SEC)     /* and the one before it still counts */

struct websessions {
    struct list all; /* the one that was used longest ago first */
    size_t count;
    uint64_t idle, max; /* ns */
};

struct websessions *websessions_new(uint64_t idle, uint64_t max)
{
    struct websessions *s = mem_new(struct websessions);
    list_init(&s->all);
    s->idle = idle;
    s->max = max;
    return s;
}

static void websessions_drop(struct websessions *s, struct web_session *one)
{
    list_remove(&one->link);
    s->count--;
    explicit_bzero(one, sizeof(*one));
    free(one);
}

struct websessions *websessions_free(struct websessions *s)
{
    if (!s)
        return NULL;
    list_foreach(it, &s->all) websessions_drop(s, list_item(it, struct web_session, link));
    free(s);
    return NULL;
}

static uint64_t websessions_now(const struct api *a)
{
    return a->deps.clock->monotonic(a->deps.clock);
}

static bool websessions_is_over(const struct websessions *s, const struct web_session *one,
                                uint64_t now)
{
    return now - one->used_at >= s->idle || now - one->begun_at >= s->max;
}

/* What it began with does not count any more. */
static bool websessions_is_orphan(struct api *a, const struct web_session *one)
{
    return one->proof[0] && !login_still_valid(a, one->proof);
}

static void websessions_sweep(struct api *a)
{
    struct websessions *s = a->websessions;
    list_foreach(it, &s->all)
    {
        struct web_session *one = list_item(it, struct web_session, link);
        if (websessions_is_over(s, one, websessions_now(a)) || websessions_is_orphan(a, one))
            websessions_drop(s, one);
    }
}

uint64_t websessions_expiry(const struct api *a, const struct web_session *s)
{
    return s->created + a->websessions->max;
}

/* ---- the cookie ---- */

/* The prefix makes browsers refuse one that another host name or plain HTTP has set. */
static void websessions_cookie_name(const struct call *c, char out[64])
{
    if (login_is_https(c))
        (void)snprintf(out, 64, "__Host-clawrden");
    else
        (void)snprintf(out, 64, "clawrden-%s", c->api->port);
}

static void websessions_put_cookie(struct call *c, const char *secret)
{
    char name[64];
    websessions_cookie_name(c, name);
    _cleanup_free_ char *value =
        mem_printf("%s=%s; Path=/; HttpOnly; SameSite=Strict%s%s", name, secret,
                   login_is_https(c) ? "; Secure" : "", secret[0] ? "" : "; Max-Age=0");
    exchange_add_header(c->x, "Set-Cookie", value);
}

/* A new cookie for `s`. */
static bool websessions_new_secret(struct call *c, struct web_session *s)
{
    char secret[AUTH_TOKEN_SIZE];
    if (auth_token_make(secret, NULL) < 0 || auth_hash(secret, strlen(secret), s->hash) < 0)
        return false;
    websessions_put_cookie(c, secret);
    explicit_bzero(secret, sizeof(secret));
    s->confirmed = false;
    s->rotated_at = websessions_now(c->api);
    return true;
}

/* ---- life ---- */

/* Room for one more of `who`: what was used longest ago goes. */
static void websessions_make_room(struct websessions *s, const char *who)
{
    struct web_session *oldest = NULL;
    size_t n = 0;
    list_foreach(it, &s->all)
    {
        struct web_session *one = list_item(it, struct web_session, link);
        if (!str_eq(one->who, who))
            continue;
        oldest = oldest ? oldest : one;
        n++;
    }
    if (n >= WEBSESSIONS_PER_PERSON)
        websessions_drop(s, oldest);
    else if (s->count >= WEBSESSIONS_MAX)
        websessions_drop(s, list_item(s->all.next, struct web_session, link));
}

struct web_session *websessions_begin(struct call *c, const char *method, const char *proof)
{
    struct api *a = c->api;
    struct web_session *s = mem_new(struct web_session);
    const char *agent = exchange_header(c->x, "User-Agent");
    if (auth_random_hex(s->id, 8, NULL) < 0 || auth_random_hex(s->csrf, 16, NULL) < 0 ||
        !websessions_new_secret(c, s)) {
        free(s);
        return NULL;
    }
    websessions_sweep(a);
    websessions_make_room(a->websessions, c->who);
    (void)snprintf(s->who, sizeof(s->who), "%s", c->who);
    (void)snprintf(s->proof, sizeof(s->proof), "%s", proof);
    (void)snprintf(s->address, sizeof(s->address), "%s", exchange_peer(c->x)->address);
    (void)snprintf(s->agent, sizeof(s->agent), "%s", agent ? agent : "");
    s->role = c->role;
    s->method = method;
    s->created = s->used = a->deps.clock->realtime(a->deps.clock);
    s->begun_at = s->used_at = websessions_now(a);
    list_append(&a->websessions->all, &s->link);
    a->websessions->count++;
    return s;
}

/* The one whose cookie, or whose cookie before, it is. */
static struct web_session *websessions_lookup(struct websessions *s, const char *secret,
                                              uint64_t now, bool *ret_old)
{
    unsigned char hash[AUTH_HASH_SIZE];
    struct web_session *found = NULL;
    if (auth_hash(secret, strlen(secret), hash) < 0)
        return NULL;
    list_foreach(it, &s->all)
    {
        struct web_session *one = list_item(it, struct web_session, link);
        bool is_new = auth_same(hash, one->hash);
        bool is_old = one->old_until && now < one->old_until && auth_same(hash, one->old_hash);
        if (!is_new && !is_old)
            continue;
        found = one;
        *ret_old = !is_new;
    }
    return found;
}

/* As long as the new cookie has not come back, the answer with it may have been lost: the old one
 * counts. Afterwards it does for a minute, for requests that were under way. */
static void websessions_rotate(struct call *c, struct web_session *s, bool old, uint64_t now)
{
    if (!old && !s->confirmed) {
        s->confirmed = true;
        if (s->old_until)
            s->old_until = now + WEBSESSIONS_OVERLAP;
    }
    if (old && s->confirmed)
        return;
    if (old ? now - s->rotated_at < WEBSESSIONS_OVERLAP : now - s->rotated_at < WEBSESSIONS_ROTATE)
        return;
    if (!old)
        memcpy(s->old_hash, s->hash, sizeof(s->old_hash));
    s->old_until = UINT64_MAX;
    (void)websessions_new_secret(c, s);
}

struct web_session *websessions_find(struct call *c)
{
    char name[64], secret[AUTH_TOKEN_SIZE];
    struct websessions *all = c->api->websessions;
    uint64_t now = websessions_now(c->api);
    bool old = false;
    websessions_cookie_name(c, name);
    if (!auth_cookie(exchange_header(c->x, "Cookie"), name, secret))
        return NULL;
    struct web_session *s = websessions_lookup(all, secret, now, &old);
    explicit_bzero(secret, sizeof(secret));
    if (!s)
        return NULL;
    if (websessions_is_over(all, s, now) || websessions_is_orphan(c->api, s)) {
        websessions_drop(all, s);
        return NULL;
    }
    websessions_rotate(c, s, old, now);
    s->used_at = now;
    s->used = c->api->deps.clock->realtime(c->api->deps.clock);
    list_remove(&s->link);
    list_append(&all->all, &s->link);
    return s;
}

bool websessions_may(const struct call *c, const struct web_session *s)
{
    const char *method = exchange_method(c->x), *csrf = exchange_header(c->x, "X-CSRF-Token");
    unsigned char mine[AUTH_HASH_SIZE], theirs[AUTH_HASH_SIZE];
    if (str_eq(method, "GET") || str_eq(method, "HEAD"))
        return true;
    return csrf && auth_hash(csrf, strlen(csrf), theirs) == 0 &&
           auth_hash(s->csrf, strlen(s->csrf), mine) == 0 && auth_same(mine, theirs);
}

void websessions_end(struct call *c, struct web_session *s)
{
    if (s == c->session) {
        websessions_put_cookie(c, "");
        c->session = NULL;
    }
    websessions_drop(c->api->websessions, s);
}

bool websessions_is_alive(struct api *a, const char *id)
{
    list_foreach(it, &a->websessions->all)
    {
        const struct web_session *s = list_item(it, struct web_session, link);
        if (str_eq(s->id, id))
            return !websessions_is_over(a->websessions, s, websessions_now(a)) &&
                   !websessions_is_orphan(a, s);
    }
    return false;
}

/* ---- the resource ---- */

static void websessions_put(const struct call *c, struct json_writer *w,
                            const struct web_session *s)
{
    char text[32];
    json_object_begin(w);
    json_field_string(w, "id", s->id);
    json_field_string(w, "who", s->who);
    json_field_string(w, "role", role_name(s->role));
    json_field_string(w, "method", s->method);
    json_field_string(w, "address", s->address);
    json_key(w, "agent");
    json_put_bytes(w, s->agent, strlen(s->agent));
    json_field_string(w, "created_at", clock_format(s->created, text));
    json_field_string(w, "used_at", clock_format(s->used, text));
    json_field_string(w, "expires_at", clock_format(websessions_expiry(c->api, s), text));
    json_field_bool(w, "current", s == c->session);
    json_object_end(w);
}

void websessions_list(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    websessions_sweep(c->api);
    json_array_begin(&w);
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
    list_foreach(it, &c->api->websessions->all)
        websessions_put(c, &w, list_item(it, struct web_session, link));
    json_array_end(&w);
    call_json(x, &b);
}

void websessions_revoke(void *arg, struct exchange *x, const char *id)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    struct web_session *s = NULL;
    if (!call_only(c, keys))
        return;
    list_foreach(it, &c->api->websessions->all)
    {
        struct web_session *one = list_item(it, struct web_session, link);
        if (str_eq(one->id, id))
            s = one;
    }
    if (!s) {
        call_error(x, 404, "not_found", NULL, "no session has this id");
        return;
    }
    const struct access_change change = {
        .what = "session-revoked", .subject = s->who, .subject_id = s->id};
    if (!saved_record(c, change))
        return;
    _cleanup_buf_ struct buf b = BUF_INIT(16384);
    struct json_writer w = JSON_WRITER(&b);
    websessions_put(c, &w, s);
    websessions_end(c, s);
    call_json(x, &b);
}
