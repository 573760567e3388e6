/* SPDX-License-Identifier: MIT */
#include "oidc/jwks.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define JWKS_NODES_MAX 10000
#define JWKS_NUMBER_MAX 1024 /* bytes: 8192 bits */
#define JWKS_RSA_BITS_MIN 2048
#define JWKS_EC_BYTES 32

struct jwk {
    enum jwks_alg alg;
    char kid[JWKS_KID_MAX + 1];
    bool has_kid;
    EVP_PKEY *key; /* owned */
};

struct jwks {
    struct jwk keys[JWKS_KEYS_MAX];
    size_t count;
};

/* ---- base64url ---- */

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = c ? strchr(digits, c) : NULL;
    return at ? (int)(at - digits) : -1;
}

long jwks_base64url(const char *s, size_t n, unsigned char *out, size_t size)
{
    size_t len = n / 4 * 3 + (n % 4 ? n % 4 - 1 : 0), at = 0;
    unsigned bits = 0, have = 0;
    if (n % 4 == 1 || len > size)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int d = digit(s[i]);
        if (d < 0)
            return -1;
        bits = (bits << 6 | (unsigned)d) & 0xffffff;
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[at++] = (unsigned char)(bits >> have);
    }
    /* Bits that count for nothing must be zero, or one value would have several spellings. */
    return bits & ((1u << have) - 1) ? -1 : (long)len;
}

/* ---- numbers ---- */

static const char *member(const struct json *o, const char *key, size_t *ret_len)
{
    const char *s = json_string(json_get(o, key), ret_len);
    return s && strlen(s) == *ret_len ? s : NULL;
}

/* A member in base64url; the length, or -1. */
static long number(const struct json *o, const char *key, unsigned char out[JWKS_NUMBER_MAX])
{
    size_t n = 0;
    const char *s = member(o, key, &n);
    return s && n > 0 ? jwks_base64url(s, n, out, JWKS_NUMBER_MAX) : -1;
}

static EVP_PKEY *make_key(const char *type, OSSL_PARAM_BLD *bld)
{
    EVP_PKEY *key = NULL;
    OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (!params || !ctx || EVP_PKEY_fromdata_init(ctx) != 1 ||
        EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    return key;
}

/* ---- keys ---- */

static EVP_PKEY *rsa_key(const struct json *o)
{
    unsigned char n[JWKS_NUMBER_MAX], e[JWKS_NUMBER_MAX];
    long n_len = number(o, "n", n), e_len = number(o, "e", e);
    /* An even modulus, or an exponent that is even or 1, would make a signature of anything. */
    if (n_len <= 0 || n[0] == 0 || !(n[n_len - 1] & 1) || e_len <= 0 || e_len > 4 || e[0] == 0 ||
        !(e[e_len - 1] & 1) || (e_len == 1 && e[0] < 3))
        return NULL;
    EVP_PKEY *key = NULL;
    BIGNUM *bn = BN_bin2bn(n, (int)n_len, NULL), *be = BN_bin2bn(e, (int)e_len, NULL);
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bn && be && bld && BN_num_bits(bn) >= JWKS_RSA_BITS_MIN &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, bn) &&
        OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, be))
        key = make_key("RSA", bld);
    OSSL_PARAM_BLD_free(bld);
    BN_free(bn);
    BN_free(be);
    return key;
}

static EVP_PKEY *ec_key(const struct json *o)
{
    unsigned char x[JWKS_NUMBER_MAX], y[JWKS_NUMBER_MAX], point[1 + 2 * JWKS_EC_BYTES] = {4};
    size_t len = 0;
    const char *curve = member(o, "crv", &len);
    if (!str_eq(curve, "P-256") || number(o, "x", x) != JWKS_EC_BYTES ||
        number(o, "y", y) != JWKS_EC_BYTES)
        return NULL;
    memcpy(point + 1, x, JWKS_EC_BYTES);
    memcpy(point + 1 + JWKS_EC_BYTES, y, JWKS_EC_BYTES);
    EVP_PKEY *key = NULL;
    OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
    if (bld && OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, "P-256", 0) &&
        OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof(point)))
        key = make_key("EC", bld);
    OSSL_PARAM_BLD_free(bld);
    EVP_PKEY_CTX *check = key ? EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL) : NULL;
    if (key && (!check || EVP_PKEY_public_check(check) != 1)) { /* is it on the curve? */
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(check);
    return key;
}

/* What says that it is for something else, is. */
static bool is_for_signatures(const struct json *o, const char *alg)
{
    size_t n = 0;
    const char *use = member(o, "use", &n), *named = member(o, "alg", &n);
    const struct json *ops = json_get(o, "key_ops");
    bool verifies = !ops;
    for (size_t i = 0; ops && i < json_count(ops); i++)
        verifies |= str_eq(json_string(json_at(ops, i), NULL), "verify");
    return verifies && (!json_get(o, "use") || str_eq(use, "sig")) &&
           (!json_get(o, "alg") || str_eq(named, alg)) && !json_get(o, "d") && !json_get(o, "k");
}

static int add_key(struct jwks *s, const struct json *o, struct err *err)
{
    size_t n = 0;
    const char *type = json_is_object(o) ? member(o, "kty", &n) : NULL;
    bool rsa = str_eq(type, "RSA"), ec = str_eq(type, "EC");
    if ((!rsa && !ec) || !is_for_signatures(o, rsa ? "RS256" : "ES256"))
        return 0;
    struct jwk k = {.alg = rsa ? JWKS_RS256 : JWKS_ES256};
    const char *kid = member(o, "kid", &n);
    if (json_get(o, "kid") && (!kid || n > JWKS_KID_MAX))
        return 0;
    k.has_kid = kid != NULL;
    (void)snprintf(k.kid, sizeof(k.kid), "%s", kid ? kid : "");
    for (size_t i = 0; i < s->count; i++)
        if (k.has_kid && s->keys[i].has_kid && s->keys[i].alg == k.alg &&
            str_eq(s->keys[i].kid, k.kid))
            return err_set(err, -EBADMSG, "two keys of the provider have one name");
    if (s->count == JWKS_KEYS_MAX)
        return err_set(err, -EBADMSG, "the provider has more than %d keys", JWKS_KEYS_MAX);
    k.key = rsa ? rsa_key(o) : ec_key(o);
    if (k.key)
        s->keys[s->count++] = k;
    return 0;
}

int jwks_parse(const char *text, size_t len, struct jwks **ret, struct err *err)
{
    _cleanup_(json_freep) struct json *root = NULL;
    if (len > JWKS_TEXT_MAX)
        return err_set(err, -EBADMSG, "the provider's keys are longer than is taken");
    int r = json_parse(text, len, JWKS_NODES_MAX, &root, err);
    const struct json *keys = r == 0 && json_is_object(root) ? json_get(root, "keys") : NULL;
    if (!keys || !json_is_array(keys))
        return err_prefix(err, -EBADMSG, "the provider's keys are no set of keys");
    _cleanup_(jwks_freep) struct jwks *s = mem_new(struct jwks);
    for (size_t i = 0; i < json_count(keys); i++)
        if ((r = add_key(s, json_at(keys, i), err)) < 0)
            return r;
    if (s->count == 0)
        return err_set(err, -EBADMSG, "the provider has no key for RS256 or ES256 that is taken");
    *ret = TAKE_PTR(s);
    return 0;
}

struct jwks *jwks_free(struct jwks *s)
{
    for (size_t i = 0; s && i < s->count; i++)
        EVP_PKEY_free(s->keys[i].key);
    free(s);
    return NULL;
}

EVP_PKEY *jwks_find(const struct jwks *s, enum jwks_alg alg, const char *kid)
{
    EVP_PKEY *found = NULL;
    for (size_t i = 0; i < s->count; i++) {
        const struct jwk *k = &s->keys[i];
        if (k->alg != alg || (kid && !(k->has_kid && str_eq(k->kid, kid))))
            continue;
        if (found)
            return NULL;
        found = k->key;
    }
    return found;
}
