/* SPDX-License-Identifier: MIT */
#include "api/sso.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/login.h"
#include "api/role.h"
#include "api/signin.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/access.h"
#include "http/auth.h"
#include "http/client-loop.h"
#include "oidc/flow.h"

#define SSO_COOKIE "clawrden-sso"
#define SSO_GROUPS_MAX 64
#define SSO_TIMEOUT_MS 10000
#define SSO_UNDER_WAY_MAX 32 /* exchanges with the provider at a time */

struct sso {
    struct api *api;
    struct client_loop *client;
    struct flow *flow;
    struct {
        char *name; /* owned */
        enum api_role role;
    } groups[SSO_GROUPS_MAX];
    size_t groups_count;
    unsigned under_way;
    struct list fetches, logins; /* what goes on */
};

/* An exchange with the provider. */
struct sso_fetch {
    struct list link;
    struct sso *s;
    flow_fetched *done;
    void *arg;
};

/* A browser that waits. */
struct sso_login {
    struct list link;
    struct sso *s;
    struct exchange *x; /* a reference */
    enum api_role role; /* the highest of its groups */
};

/* ---- what the flow needs ---- */

static void sso_fetched(void *arg, long status, const char *body, size_t len, const char *words)
{
    struct sso_fetch *f = arg;
    list_remove(&f->link);
    if (status == 0)
        log_warn(NULL, "api: the OpenID provider does not answer: %s", words);
    f->done(f->arg, status, body, len);
    free(f);
}

static void sso_get(void *arg, const char *url, const char *authorization, const char *form,
                    flow_fetched *done, void *done_arg)
{
    struct sso *s = arg;
    struct sso_fetch *f = mem_new(struct sso_fetch);
    *f = (struct sso_fetch){.s = s, .done = done, .arg = done_arg};
    list_append(&s->fetches, &f->link);
    client_loop_fetch(s->client, url, authorization, form, SSO_TIMEOUT_MS, sso_fetched, f);
}

static uint64_t sso_realtime(void *arg)
{
    const struct sso *s = arg;
    return s->api->deps.clock->realtime(s->api->deps.clock);
}

static uint64_t sso_monotonic(void *arg)
{
    const struct sso *s = arg;
    return s->api->deps.clock->monotonic(s->api->deps.clock);
}

static void sso_group(void *arg, const char *name)
{
    struct sso_login *l = arg;
    for (size_t i = 0; i < l->s->groups_count; i++)
        if (str_eq(l->s->groups[i].name, name) && l->s->groups[i].role > l->role)
            l->role = l->s->groups[i].role;
}

/* ---- logins ---- */

static struct sso_login *sso_begin(struct call *c)
{
    struct sso *s = c->api->sso;
    if (!s) {
        call_error(c->x, 404, "not_found", NULL, "no OpenID provider is configured");
        return NULL;
    }
    if (s->under_way >= SSO_UNDER_WAY_MAX) {
        exchange_add_header(c->x, "Retry-After", "5");
        call_error(c->x, 503, "unavailable", NULL, "too many logins are under way");
        return NULL;
    }
    struct sso_login *l = mem_new(struct sso_login);
    *l = (struct sso_login){.s = s, .x = exchange_ref(c->x), .role = API_ROLE_NONE};
    list_append(&s->logins, &l->link);
    s->under_way++;
    return l;
}

static void sso_end(struct sso_login *l)
{
    list_remove(&l->link);
    l->s->under_way--;
    (void)exchange_unref(l->x);
    free(l);
}

static void sso_refuse(struct sso_login *l, const char *who, const char *words)
{
    struct call c = {.api = l->s->api, .x = l->x};
    (void)snprintf(c.who, sizeof(c.who), "%s", who ? who : "");
    log_warn(NULL, "api: login at the OpenID provider refused: %s", words);
    login_record_refusal(&c, "oidc");
    call_error(l->x, 403, "oidc", NULL, "%s", words);
}

static void sso_redirect(struct exchange *x, const char *url, const char *binding)
{
    _cleanup_free_ char *cookie =
        mem_printf(SSO_COOKIE "=%s; Path=/login; HttpOnly; SameSite=Lax; Max-Age=%d", binding,
                   binding[0] ? 600 : 0);
    exchange_add_header(x, "Location", url);
    exchange_add_header(x, "Set-Cookie", cookie);
    exchange_reply(x, 302, NULL, NULL);
}

static void sso_goes(void *arg, const char *url, const char *binding, const char *words)
{
    struct sso_login *l = arg;
    if (url)
        sso_redirect(l->x, url, binding);
    else
        call_error(l->x, 503, "unavailable", NULL, "%s", words);
    sso_end(l);
}

void sso_there(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct sso_login *l = sso_begin(c);
    if (l)
        flow_begin(l->s->flow, sso_goes, l);
}

static void sso_came(void *arg, const char *name, const char *words)
{
    struct sso_login *l = arg;
    struct api *a = l->s->api;
    if (!name)
        sso_refuse(l, NULL, words);
    else if (l->role == API_ROLE_NONE)
        sso_refuse(l, name, "no group of this person has a role here");
    else {
        _cleanup_free_ char *link = signin_make_link(a, "", name, l->role, "oidc", "");
        if (link)
            sso_redirect(l->x, link, "");
        else
            call_error(l->x, 500, "internal", NULL, "no random bytes");
    }
    sso_end(l);
}

/* What the browser brings: each parameter once. */
struct sso_query {
    char *state, *code, *iss, *error; /* owned */
    bool twice;
};

static bool sso_parameter(void *arg, const char *key, const char *value)
{
    struct sso_query *q = arg;
    char **at = str_eq(key, "state")   ? &q->state
                : str_eq(key, "code")  ? &q->code
                : str_eq(key, "iss")   ? &q->iss
                : str_eq(key, "error") ? &q->error
                                       : NULL;
    if (!at)
        return true; /* session_state and the like */
    q->twice |= *at != NULL;
    free(*at);
    *at = mem_strdup(value);
    return true;
}

void sso_back(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct sso_query q = {.twice = false};
    char binding[FLOW_SECRET_SIZE];
    bool bound =
        auth_cookie_value(exchange_header(x, "Cookie"), SSO_COOKIE, binding, sizeof(binding));
    if (!exchange_each_query(x, sso_parameter, &q) || q.twice) {
        call_error(x, 400, "bad_query", NULL, "a parameter cannot be read, or is there twice");
    } else {
        struct sso_login *l = sso_begin(c);
        const struct flow_answer a = {.state = q.state,
                                      .code = q.code,
                                      .iss = q.iss,
                                      .error = q.error,
                                      .binding = bound ? binding : NULL};
        if (l)
            flow_finish(l->s->flow, &a, sso_came, l);
    }
    free(q.state);
    free(q.code);
    free(q.iss);
    free(q.error);
}

void sso_ways(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_key(&w, "ways");
    json_array_begin(&w);
    json_put_string(&w, "token");
    json_put_string(&w, "password");
    if (c->api->sso)
        json_put_string(&w, "oidc");
    json_array_end(&w);
    json_object_end(&w);
    call_json(x, &b);
}

/* ---- life ---- */

/* "GROUP=ROLE;GROUP=ROLE": a group's name may have '=' in it. */
static int sso_read_groups(struct sso *s, const char *text, struct err *err)
{
    while (*text) {
        size_t n = strcspn(text, ";");
        _cleanup_free_ char *one = mem_strndup(text, n);
        char *equals = strrchr(one, '=');
        enum api_role role;
        if (!equals || equals == one || !role_parse(equals + 1, &role) ||
            s->groups_count == SSO_GROUPS_MAX)
            return err_set(err, -EINVAL,
                           "oidc-role: '%s' is no GROUP=ROLE with viewer, approver, operator or "
                           "admin",
                           one);
        s->groups[s->groups_count].name = mem_strndup(one, (size_t)(equals - one));
        s->groups[s->groups_count++].role = role;
        text += n + (text[n] == ';');
    }
    return s->groups_count ? 0 : err_set(err, -EINVAL, "oidc-role: no group has a role");
}

int sso_new(uv_loop_t *loop, struct api *a, const struct api_oidc *c, struct sso **ret,
            struct err *err)
{
    struct sso *s = mem_new(struct sso);
    s->api = a;
    list_init(&s->fetches);
    list_init(&s->logins);
    _cleanup_free_ char *back = mem_printf("%s/login/oidc/callback", a->url ? a->url : "");
    const struct flow_config f = {.issuer = c->issuer,
                                  .client_id = c->client_id,
                                  .client_secret = c->client_secret,
                                  .redirect_uri = back,
                                  .scope = c->scope,
                                  .groups_claim = c->groups_claim,
                                  .fetch = sso_get,
                                  .realtime = sso_realtime,
                                  .monotonic = sso_monotonic,
                                  .group = sso_group,
                                  .arg = s};
    int r = a->url ? sso_read_groups(s, c->roles, err)
                   : err_set(err, -EINVAL, "oidc needs an address that browsers reach: --api");
    if (r == 0)
        r = flow_new(&f, &s->flow, err);
    if (r == 0)
        r = client_loop_new_web(loop, c->ca, &s->client, err);
    if (r < 0) {
        sso_close(s);
        return r;
    }
    *ret = s;
    return 0;
}

void sso_close(struct sso *s)
{
    if (!s)
        return;
    client_loop_close(s->client);
    list_foreach(it, &s->fetches)
    {
        struct sso_fetch *f = list_item(it, struct sso_fetch, link);
        list_remove(&f->link);
        f->done(f->arg, 0, "", 0); /* the browser was answered: it only lets go */
        free(f);
    }
    list_foreach(it, &s->logins) sso_end(list_item(it, struct sso_login, link));
    flow_free(s->flow);
    for (size_t i = 0; i < s->groups_count; i++)
        free(s->groups[i].name);
    free(s);
}
