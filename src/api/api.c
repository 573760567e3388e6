/* SPDX-License-Identifier: MIT */
/* The route table, and the order in which every call is checked: framing (http/front), site, login,
 * role, method, body, and then existence, in the adapter. */
#include "api/api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/accounts.h"
#include "api/adapters.h"
#include "api/basic.h"
#include "api/call.h"
#include "api/feed.h"
#include "api/login.h"
#include "api/role.h"
#include "api/signin.h"
#include "api/sso.h"
#include "api/websessions.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/passwords.h"
#include "http/server.h"

#define API_BODY_NODES_MAX 1000

static const struct route api_routes[] = {
    {"GET", "/healthz", API_ROLE_NONE, health_live},
    {"GET", "/readyz", API_ROLE_NONE, health_ready},
    {"GET", "/metrics", API_ROLE_VIEWER, prometheus_metrics},
    {"GET", "/api/status", API_ROLE_VIEWER, health_status},
    {"GET", "/api/figures", API_ROLE_VIEWER, figures_show},
    {"GET", "/api/containers", API_ROLE_VIEWER, containers_list},
    {"GET", "/api/queue", API_ROLE_VIEWER, queue_list},
    {"GET", "/api/queue/{}", API_ROLE_VIEWER, queue_one},
    {"POST", "/api/queue/{}/approve", API_ROLE_APPROVER, queue_approve},
    {"POST", "/api/queue/{}/deny", API_ROLE_APPROVER, queue_deny},
    {"GET", "/api/running", API_ROLE_VIEWER, queue_running},
    {"GET", "/api/history", API_ROLE_VIEWER, history_page},
    {"GET", "/api/history/export", API_ROLE_VIEWER, export_history},
    {"GET", "/api/history/{}", API_ROLE_VIEWER, story_show},
    {"POST", "/api/history/rebuild", API_ROLE_ADMIN, history_rebuild},
    {"GET", "/api/events", API_ROLE_VIEWER, feed_events},
    {"GET", "/api/ws", API_ROLE_VIEWER, feed_socket},
    {"POST", "/api/kill", API_ROLE_OPERATOR, kill_requests},
    {"POST", "/api/pause", API_ROLE_OPERATOR, kill_pause},
    {"POST", "/api/resume", API_ROLE_OPERATOR, kill_resume},
    {"GET", "/api/jails", API_ROLE_VIEWER, jails_list},
    {"POST", "/api/jails", API_ROLE_OPERATOR, jails_create},
    {"GET", "/api/jails/{}", API_ROLE_VIEWER, jails_one},
    {"POST", "/api/jails/{}", API_ROLE_OPERATOR, jails_change},
    {"DELETE", "/api/jails/{}", API_ROLE_OPERATOR, jails_delete},
    {"GET", "/api/policy", API_ROLE_VIEWER, rules_show},
    {"GET", "/api/policy/text", API_ROLE_VIEWER, rules_text},
    {"GET", "/api/policy/loads", API_ROLE_VIEWER, rules_loads},
    {"POST", "/api/policy/explain", API_ROLE_VIEWER, why_explain},
    {"POST", "/api/policy/reload", API_ROLE_ADMIN, rules_reload},
    {"GET", "/api/tokens", API_ROLE_ADMIN, bearers_list},
    {"POST", "/api/tokens", API_ROLE_ADMIN, bearers_create},
    {"DELETE", "/api/tokens/{}", API_ROLE_ADMIN, bearers_revoke},
    {"GET", "/api/users", API_ROLE_ADMIN, users_list},
    {"POST", "/api/users", API_ROLE_ADMIN, users_create},
    {"POST", "/api/users/{}", API_ROLE_ADMIN, users_change},
    {"DELETE", "/api/users/{}", API_ROLE_ADMIN, users_delete},
    {"GET", "/api/sessions", API_ROLE_ADMIN, websessions_list},
    {"DELETE", "/api/sessions/{}", API_ROLE_ADMIN, websessions_revoke},
    {"GET", "/api/login", API_ROLE_NONE, sso_ways},
    {"POST", "/api/login", API_ROLE_NONE, signin_login},
    {"GET", "/login/oidc", API_ROLE_NONE, sso_there},
    {"GET", "/login/oidc/callback", API_ROLE_NONE, sso_back},
    {"GET", "/api/session", API_ROLE_VIEWER, signin_show},
    {"DELETE", "/api/session", API_ROLE_VIEWER, signin_logout},
    {"POST", "/api/links", API_ROLE_VIEWER, signin_link},
    {"GET", "/login", API_ROLE_NONE, webfiles_login},
    {"GET", "/", API_ROLE_NONE, webfiles_dashboard},
    {"GET", "/assets/{}", API_ROLE_NONE, webfiles_asset},
};

/* ---- the checks ---- */

static bool api_check_role(struct call *c, const struct router_match *m)
{
    if (m->allow[0] && m->level == API_ROLE_NONE)
        return true;
    if (!login_check(c))
        return false;
    if (!m->allow[0]) {
        call_error(c->x, 404, "not_found", NULL, "there is nothing at this path");
        return false;
    }
    if (c->role >= m->level)
        return true;
    login_record_refusal(c, "role");
    call_error(c->x, 403, "forbidden", NULL, "this needs the role %s; %s has the role %s",
               role_name((enum api_role)m->level), c->who, role_name(c->role));
    return false;
}

static bool api_check_method(struct call *c, const struct router_match *m)
{
    if (m->route)
        return true;
    exchange_add_header(c->x, "Allow", m->allow);
    call_error(c->x, 405, "method_not_allowed", NULL, "this path takes %s", m->allow);
    return false;
}

static bool api_is_json(const char *type)
{
    static const char json[] = "application/json";
    if (!type || strncasecmp(type, json, strlen(json)) != 0)
        return false;
    const char *rest = type + strlen(json);
    rest += strspn(rest, " \t");
    return !*rest || *rest == ';';
}

static bool api_check_body(struct call *c)
{
    const struct buf *b = exchange_body(c->x);
    if (exchange_oversize(c->x)) {
        call_error(c->x, 413, "too_large", NULL, "the body is larger than is taken (64 KiB)");
        return false;
    }
    if (b->len == 0 || str_eq(exchange_method(c->x), "GET") ||
        str_eq(exchange_method(c->x), "HEAD"))
        return true;
    if (!api_is_json(exchange_header(c->x, "Content-Type"))) {
        call_error(c->x, 415, "media_type", NULL, "a body must be application/json");
        return false;
    }
    struct err err = {""};
    if (json_parse(buf_str(b), b->len, API_BODY_NODES_MAX, &c->body, &err) < 0) {
        call_error(c->x, 400, "bad_body", NULL, "%s", err.text);
        return false;
    }
    if (json_is_object(c->body))
        return true;
    call_error(c->x, 400, "bad_body", NULL, "the body must be a JSON object");
    return false;
}

void api_dispatch(struct api *a, struct exchange *x)
{
    struct call c = {.api = a, .x = x};
    struct router_match m;
    router_match(api_routes, ARRAY_LEN(api_routes), exchange_method(x), exchange_path(x), &m);
    if (login_check_site(&c) && api_check_role(&c, &m) && api_check_method(&c, &m) &&
        api_check_body(&c))
        m.route->handler(&c, x, m.param);
    c.body = json_free(c.body);
}

static void api_handle(void *arg, struct exchange *x)
{
    api_dispatch(arg, x);
}

/* ---- life ---- */

void api_config_default(struct api_config *c)
{
    *c = (struct api_config){.token_name = "token",
                             .session_idle = 3600 * CLOCK_NS_PER_SEC,
                             .session_max = 12 * 3600 * CLOCK_NS_PER_SEC};
    front_config_default(&c->front);
}

static bool api_peer_is_outside(void *arg, int fd)
{
    struct api *a = arg;
    return a->deps.peer_is_outside && a->deps.peer_is_outside(a->deps.arg, fd);
}

void api_hold(struct api *a)
{
    a->holds++;
}

void api_release(struct api *a)
{
    if (--a->holds > 0)
        return;
    void (*gone)(void *) = a->gone;
    void *gone_arg = a->gone_arg;
    auth_free(a->auth);
    accounts_free(a->accounts);
    websessions_free(a->websessions);
    signin_links_free(a->links);
    basic_free(a->basic);
    login_done(a);
    free(a->url);
    free(a->tls_cert);
    free(a->tls_key);
    free((char *)a->origins);
    forwarded_free(a->proxies);
    free(a);
    if (gone)
        gone(gone_arg);
}

static void api_gone(void *arg)
{
    api_release(arg);
}

/* A token of the configuration. */
static int api_add_token(struct api *a, const char *token, const char *name, enum api_role role,
                         struct err *err)
{
    struct account_token *t;
    int r = accounts_add_token(a->accounts, token, name, role, &t);
    if (r < 0)
        return err_set(err, r, "a token of the API is not of the form of one");
    t->fixed = true;
    t->created = a->started_at;
    return 0;
}

static int api_add_tokens(struct api *a, const struct api_config *c, struct err *err)
{
    const char *name = c->token_name ? c->token_name : "token";
    int r = c->token ? api_add_token(a, c->token, name, API_ROLE_ADMIN, err) : 0;
    for (size_t i = 0; r == 0 && i < c->tokens_count; i++)
        r = api_add_token(a, c->tokens[i].token, c->tokens[i].name, c->tokens[i].role, err);
    return r;
}

int api_reload_tls(struct api *a, struct err *err)
{
    struct tls_context *tls;
    if (!a->tls_cert)
        return -ENOENT;
    int r = tls_context_load(a->tls_cert, a->tls_key, &tls, err);
    if (r == 0)
        server_set_tls(a->server, tls);
    return r;
}

static int api_listen(struct api *a, const struct api_config *c, char **ret_url, struct err *err)
{
    int r = api_add_tokens(a, c, err);
    if (r < 0)
        return r;
    if (c->address && !a->accounts->tokens_count && !a->accounts->users_count)
        return err_set(err, -EINVAL, "without a token or a user the API does not listen on TCP");
    if (a->tls_cert)
        r = api_reload_tls(a, err);
    if (r == 0 && c->address)
        r = server_listen_tcp(a->server, c->address, ret_url, err);
    if (r == 0 && c->socket_path) /* last: who finds it, finds all of the API */
        r = server_listen_unix(a->server, c->socket_path, err);
    return r;
}

int api_start(uv_loop_t *loop, const struct api_deps *deps, const struct api_config *config,
              struct api **ret, char **ret_url, struct err *err)
{
    struct api *a = mem_new(struct api);
    *ret_url = NULL;
    a->deps = *deps;
    a->loop = loop;
    a->holds = 1;
    a->auth = auth_new();
    a->started_at = deps->clock->realtime(deps->clock);
    a->websessions = websessions_new(config->session_idle, config->session_max);
    a->links = signin_links_new();
    a->basic = basic_new();
    a->tls_cert = mem_strdup(config->tls_cert);
    a->tls_key = mem_strdup(config->tls_key);
    a->origins = mem_strdup(config->origins ? config->origins : "");
    login_init(a);
    int r = forwarded_new(config->proxies, &a->proxies, err);
    if (r < 0)
        (void)err_prefix(err, r, "trusted-proxy");
    struct server_config c = {.proxies = a->proxies,
                              .front = config->front,
                              .anywhere = config->anywhere,
                              .peer_is_outside = api_peer_is_outside,
                              .handle = api_handle,
                              .arg = a};
    if (r == 0)
        r = accounts_new(loop, config->accounts_path, &a->accounts, err);
    if (r == 0)
        r = server_new(loop, &c, &a->server, err);
    if (r < 0) {
        api_gone(a);
        return r;
    }
    a->feed = feed_new(loop, a);
    r = passwords_new(loop, &a->passwords, err);
    if (r == 0) {
        api_hold(a);
        r = api_listen(a, config, ret_url, err);
    }
    if (r == 0 && *ret_url) {
        size_t n = strcspn(a->origins, ";"); /* where browsers find it */
        a->url = n ? mem_strndup(a->origins, n) : mem_strdup(*ret_url);
        (void)snprintf(a->port, sizeof(a->port), "%s", strrchr(*ret_url, ':') + 1);
    }
    if (r == 0 && config->oidc)
        r = sso_new(loop, a, config->oidc, &a->sso, err);
    if (r < 0) {
        api_stop(a, NULL, NULL);
        return r;
    }
    *ret = a;
    return 0;
}

void api_stop(struct api *a, void (*gone)(void *arg), void *arg)
{
    a->gone = gone;
    a->gone_arg = arg;
    feed_close(TAKE_PTR(a->feed));
    server_close(a->server, api_gone, a);
    sso_close(TAKE_PTR(a->sso));
    if (a->passwords)
        passwords_close(TAKE_PTR(a->passwords), api_gone, a);
}

char *api_make_link(struct api *a, const char *who)
{
    return a->url ? signin_make_link(a, a->url, who, API_ROLE_ADMIN, "link", "") : NULL;
}
