/* SPDX-License-Identifier: MIT */
#include "oidc/flow.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "oidc/jws.h"

#define NS UINT64_C(1000000000)
#define DISCOVERY_FOR (3600 * NS)
#define KEYS_AGAIN (30 * NS) /* a stranger's key name does not make us ask more often */
#define TEXT_MAX (256u << 10)

struct pending {
    char state[FLOW_SECRET_SIZE], nonce[FLOW_SECRET_SIZE], verifier[FLOW_SECRET_SIZE],
        binding[FLOW_SECRET_SIZE];
    uint64_t until; /* monotonic; 0: free */
};

struct flow {
    struct flow_config c;               /* strings owned */
    char *authorize, *token, *keys_url; /* owned; NULL: not discovered */
    uint64_t discovered;                /* monotonic */
    struct jwks *keys;
    uint64_t keys_at;
    struct pending pending[FLOW_PENDING_MAX];
};

/* One login that is being finished, or one discovery that it waits for. */
struct step {
    struct flow *f;
    struct pending p;
    char *id_token; /* owned */
    bool again;     /* keys were asked for because of it */
    flow_begun *begun;
    flow_done *done;
    void *arg;
    void (*then)(struct step *s);
};

/* ---- small things ---- */

static bool secret(char out[FLOW_SECRET_SIZE])
{
    unsigned char bytes[32];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return false;
    str_hex(bytes, sizeof(bytes), out);
    return true;
}

static void put_encoded(struct buf *out, const char *s)
{
    for (; *s; s++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~", *s))
            (void)buf_append_char(out, *s);
        else
            (void)buf_printf(out, "%%%02X", (unsigned char)*s);
    }
}

static void put_parameter(struct buf *out, const char *key, const char *value)
{
    (void)buf_printf(out, "%s=", key);
    put_encoded(out, value);
}

/* https, or http on loopback for tests and sidecars: codes and secrets go there. */
static bool may_trust(const char *url)
{
    static const char *const fine[] = {"https://", "http://127.0.0.1:", "http://127.0.0.1/",
                                       "http://localhost:", "http://localhost/"};
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        if (str_starts(url, fine[i]) && strlen(url) > strlen(fine[i]) &&
            !strpbrk(url + strlen(fine[i]), " \"<>\\^`{|}#@"))
            return true;
    return false;
}

static char *text(const struct json *o, const char *key)
{
    size_t n = 0;
    const char *s = json_string(json_get(o, key), &n);
    return s && strlen(s) == n ? mem_strdup(s) : NULL;
}

static struct json *parse(long status, const char *body, size_t len)
{
    struct json *o = NULL;
    if (status != 200 || len > TEXT_MAX || json_parse(body, len, 20000, &o, NULL) < 0)
        return NULL;
    return json_is_object(o) ? o : json_free(o);
}

static void step_free(struct step *s)
{
    OPENSSL_cleanse(&s->p, sizeof(s->p));
    free(s->id_token);
    free(s);
}

static void refuse(struct step *s, const char *words)
{
    if (s->begun)
        s->begun(s->arg, NULL, NULL, words);
    else
        s->done(s->arg, NULL, words);
    step_free(s);
}

/* ---- discovery ---- */

static void discovered(void *arg, long status, const char *body, size_t len)
{
    struct step *s = arg;
    struct flow *f = s->f;
    _cleanup_(json_freep) struct json *o = parse(status, body, len);
    _cleanup_free_ char *issuer = o ? text(o, "issuer") : NULL,
                        *authorize = o ? text(o, "authorization_endpoint") : NULL,
                        *token = o ? text(o, "token_endpoint") : NULL,
                        *keys = o ? text(o, "jwks_uri") : NULL;
    if (!str_eq(issuer, f->c.issuer) || !authorize || !token || !keys || !may_trust(authorize) ||
        !may_trust(token) || !may_trust(keys)) {
        refuse(s, "the provider does not describe itself as the configured issuer");
        return;
    }
    free(f->authorize);
    free(f->token);
    free(f->keys_url);
    f->authorize = TAKE_PTR(authorize);
    f->token = TAKE_PTR(token);
    f->keys_url = TAKE_PTR(keys);
    f->discovered = f->c.monotonic(f->c.arg);
    s->then(s);
}

static void discover(struct step *s, void (*then)(struct step *s))
{
    struct flow *f = s->f;
    if (f->authorize && f->c.monotonic(f->c.arg) - f->discovered < DISCOVERY_FOR) {
        then(s);
        return;
    }
    s->then = then;
    bool slash = str_ends(f->c.issuer, "/");
    _cleanup_free_ char *url =
        mem_printf("%s%s.well-known/openid-configuration", f->c.issuer, slash ? "" : "/");
    f->c.fetch(f->c.arg, url, NULL, NULL, discovered, s);
}

/* ---- going there ---- */

static void put_challenge(struct buf *out, const char *verifier)
{
    unsigned char hash[32];
    char encoded[64];
    (void)EVP_Digest(verifier, strlen(verifier), hash, NULL, EVP_sha256(), NULL);
    int n = EVP_EncodeBlock((unsigned char *)encoded, hash, sizeof(hash));
    for (int i = 0; i < n && encoded[i] != '='; i++)
        (void)buf_append_char(out, encoded[i] == '+' ? '-' : encoded[i] == '/' ? '_' : encoded[i]);
}

static void go(struct step *s)
{
    struct flow *f = s->f;
    struct pending *p = &f->pending[0];
    for (size_t i = 1; i < FLOW_PENDING_MAX; i++)
        if (f->pending[i].until < p->until)
            p = &f->pending[i];
    if (!secret(p->state) || !secret(p->nonce) || !secret(p->verifier) || !secret(p->binding)) {
        refuse(s, "no random bytes");
        return;
    }
    p->until = f->c.monotonic(f->c.arg) + FLOW_PENDING_FOR;
    _cleanup_buf_ struct buf url = BUF_INIT(TEXT_MAX);
    (void)buf_printf(&url, "%s%cresponse_type=code&code_challenge_method=S256&code_challenge=",
                     f->authorize, strchr(f->authorize, '?') ? '&' : '?');
    put_challenge(&url, p->verifier);
    const char *const parameters[][2] = {{"&client_id", f->c.client_id},
                                         {"&redirect_uri", f->c.redirect_uri},
                                         {"&scope", f->c.scope},
                                         {"&state", p->state},
                                         {"&nonce", p->nonce}};
    for (size_t i = 0; i < ARRAY_LEN(parameters); i++)
        put_parameter(&url, parameters[i][0], parameters[i][1]);
    s->begun(s->arg, buf_str(&url), p->binding, NULL);
    step_free(s);
}

void flow_begin(struct flow *f, flow_begun *done, void *arg)
{
    struct step *s = mem_new(struct step);
    *s = (struct step){.f = f, .begun = done, .arg = arg};
    discover(s, go);
}

/* ---- coming back ---- */

static void check(struct step *s);

static void keys_came(void *arg, long status, const char *body, size_t len)
{
    struct step *s = arg;
    struct jwks *keys = NULL;
    struct err err = {""};
    if (status != 200 || jwks_parse(body, len, &keys, &err) < 0) {
        refuse(s, err.text[0] ? err.text : "the provider does not give its keys");
        return;
    }
    jwks_free(s->f->keys);
    s->f->keys = keys;
    s->f->keys_at = s->f->c.monotonic(s->f->c.arg);
    check(s);
}

static void get_keys(struct step *s)
{
    s->again = true;
    s->f->c.fetch(s->f->c.arg, s->f->keys_url, NULL, NULL, keys_came, s);
}

static void check(struct step *s)
{
    struct flow *f = s->f;
    char name[IDTOKEN_NAME_MAX + 1];
    struct err err = {""};
    bool old = f->c.monotonic(f->c.arg) - f->keys_at >= DISCOVERY_FOR; /* some may be withdrawn */
    if (!f->keys || (old && !s->again)) {
        get_keys(s);
        return;
    }
    _cleanup_buf_ struct buf payload = BUF_INIT(JWS_MAX);
    int r = jws_verify(s->id_token, strlen(s->id_token), f->keys, &payload, &err);
    if (r == -ENOKEY && !s->again && f->c.monotonic(f->c.arg) - f->keys_at >= KEYS_AGAIN) {
        get_keys(s); /* the provider has changed them */
        return;
    }
    const struct idtoken_expect e = {.issuer = f->c.issuer,
                                     .client_id = f->c.client_id,
                                     .nonce = s->p.nonce,
                                     .now = f->c.realtime(f->c.arg) / NS,
                                     .groups_claim = f->c.groups_claim,
                                     .group = f->c.group,
                                     .arg = s->arg};
    if (r == 0)
        r = idtoken_check(buf_str(&payload), payload.len, &e, name, &err);
    if (r < 0) {
        refuse(s, err.text);
        return;
    }
    s->done(s->arg, name, NULL);
    step_free(s);
}

static void token_came(void *arg, long status, const char *body, size_t len)
{
    struct step *s = arg;
    _cleanup_(json_freep) struct json *o = parse(status, body, len);
    s->id_token = o ? text(o, "id_token") : NULL;
    if (s->id_token)
        check(s);
    else
        refuse(s, "the provider does not give a token for the code");
}

static char *basic(const struct flow *f)
{
    if (!f->c.client_secret)
        return NULL;
    _cleanup_buf_ struct buf plain = BUF_INIT(8192);
    char encoded[12000];
    put_encoded(&plain, f->c.client_id); /* RFC 6749, 2.3.1: encoded first */
    (void)buf_append_char(&plain, ':');
    put_encoded(&plain, f->c.client_secret);
    if (plain.failed)
        return NULL;
    (void)EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain.data,
                          (int)plain.len);
    return mem_printf("Basic %s", encoded);
}

/* Where a state leads, once. */
static bool take_pending(struct flow *f, const struct flow_answer *a, struct pending *ret)
{
    uint64_t now = f->c.monotonic(f->c.arg);
    for (size_t i = 0; a->state && i < FLOW_PENDING_MAX; i++) {
        struct pending *p = &f->pending[i];
        if (p->until <= now || strlen(a->state) != FLOW_SECRET_SIZE - 1 ||
            CRYPTO_memcmp(a->state, p->state, FLOW_SECRET_SIZE - 1) != 0)
            continue;
        *ret = *p;
        p->until = 0;
        return a->binding && strlen(a->binding) == FLOW_SECRET_SIZE - 1 &&
               CRYPTO_memcmp(a->binding, ret->binding, FLOW_SECRET_SIZE - 1) == 0;
    }
    return false;
}

void flow_finish(struct flow *f, const struct flow_answer *a, flow_done *done, void *arg)
{
    struct step *s = mem_new(struct step);
    *s = (struct step){.f = f, .done = done, .arg = arg};
    if (!take_pending(f, a, &s->p))
        refuse(s, "this browser has begun no such login, or too long ago");
    else if (a->error)
        refuse(s, "the provider refused the login");
    else if (a->iss && !str_eq(a->iss, f->c.issuer)) /* RFC 9207 */
        refuse(s, "the answer is of another provider");
    else if (!a->code || !a->code[0] || !f->token)
        refuse(s, "the answer has no code");
    else {
        _cleanup_buf_ struct buf form = BUF_INIT(TEXT_MAX);
        _cleanup_free_ char *authorization = basic(f);
        put_parameter(&form, "grant_type", "authorization_code");
        put_parameter(&form, "&code", a->code);
        put_parameter(&form, "&redirect_uri", f->c.redirect_uri);
        put_parameter(&form, "&code_verifier", s->p.verifier);
        if (!authorization)
            put_parameter(&form, "&client_id", f->c.client_id);
        f->c.fetch(f->c.arg, f->token, authorization, buf_str(&form), token_came, s);
    }
}

/* ---- life ---- */

int flow_new(const struct flow_config *c, struct flow **ret, struct err *err)
{
    if (!may_trust(c->issuer))
        return err_set(err, -EINVAL, "'%s' is no issuer: it must be https", c->issuer);
    struct flow *f = mem_new(struct flow);
    f->c = *c;
    f->c.issuer = mem_strdup(c->issuer);
    f->c.client_id = mem_strdup(c->client_id);
    f->c.client_secret = mem_strdup(c->client_secret);
    f->c.redirect_uri = mem_strdup(c->redirect_uri);
    f->c.scope = mem_strdup(c->scope);
    f->c.groups_claim = mem_strdup(c->groups_claim);
    *ret = f;
    return 0;
}

struct flow *flow_free(struct flow *f)
{
    if (!f)
        return NULL;
    const char *const owned[] = {f->c.issuer,       f->c.client_id, f->c.client_secret,
                                 f->c.redirect_uri, f->c.scope,     f->c.groups_claim};
    for (size_t i = 0; i < ARRAY_LEN(owned); i++)
        free((char *)owned[i]);
    free(f->authorize);
    free(f->token);
    free(f->keys_url);
    jwks_free(f->keys);
    OPENSSL_cleanse(f->pending, sizeof(f->pending));
    free(f);
    return NULL;
}
