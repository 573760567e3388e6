/* SPDX-License-Identifier: MIT */
#include "api/login.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "api/accounts.h"
#include "api/basic.h"
#include "api/role.h"
#include "api/websessions.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/access.h"

static void login_user_name(uid_t uid, char out[AUTH_NAME_MAX + 1])
{
    struct passwd pw, *found = NULL;
    char space[4096];
    if (getpwuid_r(uid, &pw, space, sizeof(space), &found) == 0 && found && pw.pw_name[0] &&
        strlen(pw.pw_name) <= AUTH_NAME_MAX)
        (void)snprintf(out, AUTH_NAME_MAX + 1, "%s", pw.pw_name);
    else
        (void)snprintf(out, AUTH_NAME_MAX + 1, "uid %u", (unsigned)uid);
}

#define LOGIN_PROOF_PEER "peer"
#define LOGIN_PROOF_TOKEN "token:"
#define LOGIN_PROOF_SESSION "session:"
#define LOGIN_PROOF_USER "user:" /* when it was changed last, ':', its name */

/* Whose login is on record: it is recorded anew when it was not seen for an hour. */
#define LOGIN_SEEN_MAX 256
#define LOGIN_SEEN_FOR (3600 * CLOCK_NS_PER_SEC)
struct login_seen {
    struct {
        char who[AUTH_NAME_MAX + 1], address[64];
        const char *method; /* a literal */
        uint64_t at;        /* monotonic; 0: free */
    } rows[LOGIN_SEEN_MAX];
};

void login_init(struct api *a)
{
    a->uid = geteuid();
    login_user_name(a->uid, a->user);
    login_user_name(0, a->root);
    a->seen = mem_new(struct login_seen);
}

void login_done(struct api *a)
{
    free(a->seen);
}

static bool login_is_known(struct call *c, const char *method)
{
    struct login_seen *seen = c->api->seen;
    const char *address = exchange_peer(c->x)->address;
    uint64_t now = c->api->deps.clock->monotonic(c->api->deps.clock);
    size_t oldest = 0;
    for (size_t i = 0; i < LOGIN_SEEN_MAX; i++) {
        if (seen->rows[i].at && seen->rows[i].method == method &&
            str_eq(seen->rows[i].who, c->who) && str_eq(seen->rows[i].address, address)) {
            bool known = now - seen->rows[i].at < LOGIN_SEEN_FOR;
            seen->rows[i].at = now;
            return known;
        }
        if (seen->rows[i].at < seen->rows[oldest].at)
            oldest = i;
    }
    seen->rows[oldest].method = method;
    seen->rows[oldest].at = now;
    (void)snprintf(seen->rows[oldest].who, sizeof(seen->rows[oldest].who), "%s", c->who);
    (void)snprintf(seen->rows[oldest].address, sizeof(seen->rows[oldest].address), "%s", address);
    return false;
}

static bool login_ok(struct call *c, const char *who, enum api_role role, const char *method)
{
    (void)snprintf(c->who, sizeof(c->who), "%s", who);
    c->role = role;
    c->method = method;
    if (login_is_known(c, method))
        return true;
    const struct access_login l = {.who = c->who,
                                   .role = role_name(role),
                                   .method = method,
                                   .address = exchange_peer(c->x)->address,
                                   .request_id = exchange_id(c->x)};
    access_login(c->api->deps.warden, &l);
    return true;
}

void login_record_refusal(struct call *c, const char *why)
{
    const struct access_refusal r = {.why = why,
                                     .who = c->who,
                                     .address = exchange_peer(c->x)->address,
                                     .request_id = exchange_id(c->x),
                                     .method = exchange_method(c->x),
                                     .path = exchange_path(c->x)};
    access_refused(c->api->deps.warden, &r);
}

/* ---- peer credentials ---- */

static bool login_is_peer(const struct call *c, const struct front_peer *p)
{
    return p->is_unix && p->outside && (p->uid == 0 || p->uid == c->api->uid);
}

static bool login_refuse(struct call *c, const char *why, const char *words)
{
    login_record_refusal(c, why);
    exchange_add_header(c->x, "WWW-Authenticate", "Bearer realm=\"clawrden\"");
    call_error(c->x, 401, "unauthorized", NULL, "%s", words);
    return false;
}

bool login_wrong(struct call *c)
{
    log_warn(NULL, "api: wrong credentials from %s", exchange_peer(c->x)->address);
    return login_refuse(c, "credentials", "these credentials are not right");
}

bool login_too_many(struct call *c)
{
    const char *address = exchange_peer(c->x)->address;
    login_record_refusal(c, "too-many");
    exchange_add_header(c->x, "Retry-After", "60");
    call_error(c->x, 429, "too_many_failures", NULL, "too many wrong credentials from %s", address);
    return false;
}

bool login_wrong_counted(struct call *c)
{
    uint64_t now = c->api->deps.clock->monotonic(c->api->deps.clock);
    bool limited = auth_failed(c->api->auth, exchange_peer(c->x)->address, now);
    return limited ? login_too_many(c) : login_wrong(c);
}

bool login_is_governed(struct call *c)
{
    const struct front_peer *p = exchange_peer(c->x);
    if (!p->is_unix || p->outside)
        return false;
    log_warn(NULL, "api: pid %d, uid %u is governed or cannot be placed; refused its login",
             (int)p->pid, (unsigned)p->uid);
    (void)login_refuse(c, "governed", "a governed process has no login here, whatever its user");
    return true;
}

/* ---- the ways ---- */

void login_proof_token(char out[CALL_PROOF_SIZE], const struct account_token *t)
{
    (void)snprintf(out, CALL_PROOF_SIZE, LOGIN_PROOF_TOKEN "%s", t->id);
}

void login_proof_user(char out[CALL_PROOF_SIZE], const struct account_user *u)
{
    (void)snprintf(out, CALL_PROOF_SIZE, LOGIN_PROOF_USER "%" PRIu64 ":%s", u->changed, u->name);
}

/* The right token passes whatever went wrong before from its address, so nobody can lock its holder
 * out: guessing one is hopeless. */
static bool login_by_token(struct call *c, const char *secret)
{
    uint64_t now = c->api->deps.clock->realtime(c->api->deps.clock);
    struct account_token *t =
        accounts_find_secret(c->api->accounts, secret, AUTH_TOKEN_SIZE - 1, now);
    if (!t)
        return login_wrong_counted(c);
    t->used = now;
    login_proof_token(c->proof, t);
    return login_ok(c, t->name, t->role, "token");
}

static void login_password_seen(struct api *api, struct exchange *x, const struct account_user *u,
                                const char *name)
{
    struct call c = {.api = api, .x = x};
    (void)snprintf(c.who, sizeof(c.who), "%s", name);
    if (u)
        api_dispatch(api, x); /* it is known now */
    else
        (void)login_wrong(&c);
}

static bool login_by_password(struct call *c, const struct auth_header *h)
{
    struct account_user *u = NULL;
    if (basic_check(c, h->user, h->password, login_password_seen, &u) != BASIC_OK)
        return false;
    login_proof_user(c->proof, u);
    return login_ok(c, u->name, u->role, "password");
}

static bool login_by_session(struct call *c, struct web_session *s)
{
    (void)snprintf(c->who, sizeof(c->who), "%s", s->who);
    c->role = s->role;
    c->session = s;
    (void)snprintf(c->proof, sizeof(c->proof), LOGIN_PROOF_SESSION "%s", s->id);
    c->method = "session"; /* its beginning is on record */
    if (websessions_may(c, s))
        return true;
    login_record_refusal(c, "csrf");
    call_error(c->x, 403, "csrf", NULL,
               "a session must send the header X-CSRF-Token with what its login answered");
    return false;
}

static bool login_without_header(struct call *c)
{
    struct web_session *s = websessions_find(c);
    return s ? login_by_session(c, s)
             : login_refuse(
                   c, "none",
                   "log in at /login, or with 'Authorization: Bearer TOKEN' (a token is in "
                   "the file 'token' of the warden's state directory), or with a name and "
                   "password");
}

bool login_check(struct call *c)
{
    const struct front_peer *p = exchange_peer(c->x);
    if (login_is_governed(c))
        return false;
    if (login_is_peer(c, p)) {
        (void)snprintf(c->proof, sizeof(c->proof), LOGIN_PROOF_PEER);
        return login_ok(c, p->uid == c->api->uid ? c->api->user : c->api->root, API_ROLE_ADMIN,
                        "peer");
    }
    _cleanup_auth_header_ struct auth_header h;
    auth_header_read(exchange_header(c->x, "Authorization"), &h);
    switch (h.scheme) {
    case AUTH_SCHEME_BEARER:
        return login_by_token(c, h.token);
    case AUTH_SCHEME_BASIC:
        return login_by_password(c, &h);
    case AUTH_SCHEME_BAD:
        return login_wrong_counted(c);
    case AUTH_SCHEME_NONE:
        return login_without_header(c);
    }
    return login_refuse(c, "none", "no login");
}

/* ---- later ---- */

static bool login_token_is_valid(struct api *a, const char *id)
{
    const struct account_token *t = accounts_find_token(a->accounts, id);
    uint64_t now = a->deps.clock->realtime(a->deps.clock);
    return t && (!t->expires || now < t->expires);
}

static bool login_user_is_as_it_was(struct api *a, const char *changed_and_name)
{
    char changed[32];
    const char *colon = strchr(changed_and_name, ':');
    const struct account_user *u = colon ? accounts_find_user(a->accounts, colon + 1) : NULL;
    if (!u)
        return false;
    int n = snprintf(changed, sizeof(changed), "%" PRIu64 ":", u->changed);
    return strncmp(changed_and_name, changed, (size_t)n) == 0;
}

bool login_still_valid(struct api *a, const char *proof)
{
    if (str_eq(proof, LOGIN_PROOF_PEER))
        return true;
    if (str_starts(proof, LOGIN_PROOF_TOKEN))
        return login_token_is_valid(a, proof + strlen(LOGIN_PROOF_TOKEN));
    if (str_starts(proof, LOGIN_PROOF_SESSION))
        return websessions_is_alive(a, proof + strlen(LOGIN_PROOF_SESSION));
    return str_starts(proof, LOGIN_PROOF_USER) &&
           login_user_is_as_it_was(a, proof + strlen(LOGIN_PROOF_USER));
}

/* ---- the site ---- */

/* One of the configured origins is SCHEME://HOST. */
static bool login_is_origin(const struct call *c, const char *scheme, const char *host)
{
    size_t n = strlen(scheme), k = strlen(host);
    for (const char *s = c->api->origins; *s;) {
        size_t len = strcspn(s, ";");
        if (len == n + k && strncasecmp(s, scheme, n) == 0 && strncasecmp(s + n, host, k) == 0)
            return true;
        s += len + (s[len] == ';');
    }
    return false;
}

bool login_is_https(const struct call *c)
{
    const char *host = exchange_header(c->x, "Host");
    return exchange_peer(c->x)->tls || (host && login_is_origin(c, "https://", host));
}

/* An address in numbers is nobody's name that could be made to lead here. */
static bool login_host_is_numeric(const char *host)
{
    char text[64];
    struct in6_addr in;
    bool is_v6 = host[0] == '[';
    size_t n = strcspn(host + is_v6, is_v6 ? "]" : ":");
    const char *rest = host + is_v6 + n + (is_v6 && host[is_v6 + n] == ']');
    uint64_t port;
    (void)snprintf(text, sizeof(text), "%.*s", (int)(n < 60 ? n : 60), host + is_v6);
    return inet_pton(is_v6 ? AF_INET6 : AF_INET, text, &in) == 1 &&
           (!*rest || (*rest == ':' && str_parse_u64(rest + 1, 65535, &port) == 0));
}

static bool login_host_is_local(const char *host)
{
    if (login_host_is_numeric(host))
        return true;
    static const char *const names[] = {"localhost"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);
        if (strncasecmp(host, names[i], n) != 0)
            continue;
        uint64_t port;
        if (!host[n] || (host[n] == ':' && str_parse_u64(host + n + 1, 65535, &port) == 0))
            return true;
    }
    return false;
}

bool login_check_origin(struct call *c)
{
    const char *host = exchange_header(c->x, "Host"), *origin = exchange_header(c->x, "Origin");
    const char *scheme = login_is_https(c) ? "https://" : "http://";
    if (!origin ||
        (host && str_starts(origin, scheme) && strcasecmp(origin + strlen(scheme), host) == 0))
        return true;
    login_record_refusal(c, "origin");
    call_error(c->x, 403, "origin", NULL, "a page of another site may not do this");
    return false;
}

bool login_check_site(struct call *c)
{
    const char *host = exchange_header(c->x, "Host"), *method = exchange_method(c->x);
    /* Under TLS the certificate has proven the name to the browser. */
    if (!exchange_peer(c->x)->is_unix && !exchange_peer(c->x)->tls && host &&
        !login_host_is_local(host) && !login_is_origin(c, "https://", host) &&
        !login_is_origin(c, "http://", host)) {
        call_error(c->x, 421, "misdirected", NULL,
                   "the Host of a request must be localhost or an address in numbers, or be named "
                   "by --api-origin");
        return false;
    }
    /* Upgrades are GETs that act. */
    bool acts =
        !(str_eq(method, "GET") || str_eq(method, "HEAD")) || exchange_header(c->x, "Upgrade");
    return !acts || login_check_origin(c);
}
