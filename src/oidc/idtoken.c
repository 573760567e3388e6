/* SPDX-License-Identifier: MIT */
#include "oidc/idtoken.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

#define NODES_MAX 10000
#define GROUPS_MAX 1000
#define SUB_MAX 255
#define SECONDS_MAX 1e12

static int no(struct err *err, const char *words)
{
    return err_set(err, -EACCES, "the ID token %s", words);
}

static const char *member(const struct json *o, const char *key)
{
    size_t n = 0;
    const char *s = json_string(json_get(o, key), &n);
    return s && strlen(s) == n ? s : NULL;
}

static bool same(const char *a, const char *b)
{
    size_t n = strlen(a);
    return n == strlen(b) && CRYPTO_memcmp(a, b, n) == 0;
}

/* ---- for whom ---- */

static int check_audience(const struct json *o, const struct idtoken_expect *e, struct err *err)
{
    const struct json *aud = json_get(o, "aud");
    bool ours = false;
    size_t n = 1;
    if (aud && json_is_array(aud)) {
        n = json_count(aud);
        for (size_t i = 0; i < n; i++) {
            const char *one = json_string(json_at(aud, i), NULL);
            if (!one)
                return no(err, "has an audience that is not understood");
            ours |= str_eq(one, e->client_id);
        }
    } else {
        ours = str_eq(member(o, "aud"), e->client_id);
    }
    if (!ours)
        return no(err, "is for somebody else (aud)");
    const char *azp = member(o, "azp");
    if (json_get(o, "azp") ? !str_eq(azp, e->client_id) : n > 1)
        return no(err, "was made for somebody else (azp)");
    return 0;
}

/* ---- when ---- */

/* False: it is there and is no time, or it is not there and must be. */
static bool seconds(const struct json *o, const char *key, bool needed, double *ret)
{
    const struct json *j = json_get(o, key);
    *ret = -1;
    if (!j)
        return !needed;
    double v = json_number(j, -1);
    *ret = v;
    return v >= 0 && v < SECONDS_MAX;
}

static int check_times(const struct json *o, const struct idtoken_expect *e, struct err *err)
{
    double exp, iat, nbf, now = (double)e->now;
    if (!seconds(o, "exp", true, &exp) || !seconds(o, "iat", true, &iat) ||
        !seconds(o, "nbf", false, &nbf))
        return no(err, "has a time that is missing or not understood");
    if (exp + IDTOKEN_LEEWAY <= now)
        return no(err, "has expired");
    if (iat > now + IDTOKEN_LEEWAY || nbf > now + IDTOKEN_LEEWAY)
        return no(err, "is not valid yet");
    if (iat + IDTOKEN_AGE_MAX + IDTOKEN_LEEWAY < now)
        return no(err, "was made long ago");
    return 0;
}

/* ---- who ---- */

static void put_groups(const struct json *o, const struct idtoken_expect *e)
{
    const struct json *groups = json_get(o, e->groups_claim);
    const char *one = groups ? json_string(groups, NULL) : NULL;
    if (one)
        e->group(e->arg, one);
    if (!groups || !json_is_array(groups))
        return;
    for (size_t i = 0; i < json_count(groups) && i < GROUPS_MAX; i++) {
        size_t n = 0;
        one = json_string(json_at(groups, i), &n);
        if (one && strlen(one) == n)
            e->group(e->arg, one);
    }
}

/* Only what a record can hold and nobody can mistake. */
static bool take_name(const char *s, char ret[IDTOKEN_NAME_MAX + 1])
{
    if (!s || !s[0] || strlen(s) > IDTOKEN_NAME_MAX ||
        strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._@+-|:") !=
            strlen(s))
        return false;
    (void)snprintf(ret, IDTOKEN_NAME_MAX + 1, "%s", s);
    return true;
}

int idtoken_check(const char *payload, size_t len, const struct idtoken_expect *e,
                  char ret_name[IDTOKEN_NAME_MAX + 1], struct err *err)
{
    _cleanup_(json_freep) struct json *o = NULL;
    if (json_parse(payload, len, NODES_MAX, &o, NULL) < 0 || !json_is_object(o))
        return no(err, "is no JSON object");
    const char *iss = member(o, "iss"), *sub = member(o, "sub"), *nonce = member(o, "nonce");
    if (!iss || !str_eq(iss, e->issuer))
        return no(err, "is of another issuer (iss)");
    if (!sub || !sub[0] || strlen(sub) > SUB_MAX)
        return no(err, "names nobody (sub)");
    if (!nonce || !same(nonce, e->nonce))
        return no(err, "answers another login (nonce)");
    int r = check_audience(o, e, err);
    if (r == 0)
        r = check_times(o, e, err);
    if (r < 0)
        return r;
    bool verified = json_bool(json_get(o, "email_verified"), false);
    if (!take_name(member(o, "preferred_username"), ret_name) &&
        !(verified && take_name(member(o, "email"), ret_name)) && !take_name(sub, ret_name))
        return no(err, "has no name that a record can hold");
    put_groups(o, e);
    return 0;
}
