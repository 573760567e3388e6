/* SPDX-License-Identifier: MIT */
#include "api/login.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"

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

void login_init(struct api *a)
{
    a->uid = geteuid();
    login_user_name(a->uid, a->user);
    login_user_name(0, a->root);
}

/* ---- peer credentials ---- */

static bool login_by_peer(struct call *c, const struct front_peer *p)
{
    if (!p->is_unix || !p->outside || (p->uid != 0 && p->uid != c->api->uid))
        return false;
    c->role = API_ROLE_ADMIN;
    c->who = p->uid == c->api->uid ? c->api->user : c->api->root;
    return true;
}

static bool login_refuse(struct call *c, const char *words)
{
    exchange_add_header(c->x, "WWW-Authenticate", "Bearer realm=\"clawrden\"");
    call_error(c->x, 401, "unauthorized", NULL, "%s", words);
    return false;
}

bool login_check(struct call *c)
{
    const struct front_peer *p = exchange_peer(c->x);
    if (p->is_unix && !p->outside) {
        log_warn(NULL, "api: pid %d, uid %u is governed or cannot be placed; refused its login",
                 (int)p->pid, (unsigned)p->uid);
        return login_refuse(c, "a governed process has no login here, whatever its user");
    }
    if (login_by_peer(c, p))
        return true;
    unsigned level = API_ROLE_NONE;
    uint64_t now = c->api->deps.clock->monotonic(c->api->deps.clock);
    switch (auth_check(c->api->auth, exchange_header(c->x, "Authorization"), p->address, now,
                       &c->who, &level)) {
    case AUTH_OK:
        c->role = (enum api_role)level;
        return true;
    case AUTH_NONE:
        return login_refuse(c,
                            "log in with 'Authorization: Bearer TOKEN'; the token is in the file "
                            "'token' of the warden's state directory");
    case AUTH_WRONG:
        log_warn(NULL, "api: wrong credentials from %s", p->address);
        return login_refuse(c, "these credentials are not right");
    case AUTH_LIMITED:
        exchange_add_header(c->x, "Retry-After", "60");
        call_error(c->x, 429, "too_many_failures", NULL, "too many wrong credentials from %s",
                   p->address);
        return false;
    }
    return login_refuse(c, "no login");
}

/* ---- the site ---- */

static bool login_host_is_local(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};
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

bool login_check_site(struct exchange *x)
{
    const char *host = exchange_header(x, "Host"), *origin = exchange_header(x, "Origin");
    const char *method = exchange_method(x);
    if (!exchange_peer(x)->is_unix && host && !login_host_is_local(host)) {
        call_error(x, 421, "misdirected", NULL,
                   "the Host of a request must be localhost, 127.0.0.1 or [::1]");
        return false;
    }
    if (!origin || str_eq(method, "GET") || str_eq(method, "HEAD"))
        return true;
    if (host && str_starts(origin, "http://") && str_eq(origin + strlen("http://"), host))
        return true;
    call_error(x, 403, "origin", NULL, "a page of another site may not do this");
    return false;
}
