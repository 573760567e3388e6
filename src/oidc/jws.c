/* SPDX-License-Identifier: MIT */
#include "oidc/jws.h"

#include <errno.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define JWS_HEADER_MAX 4096
#define JWS_SIGNATURE_MAX 1024
#define JWS_EC_SIZE 64 /* r and s of P-256 */

struct jws {
    const char *part[3];
    size_t len[3];
    enum jwks_alg alg;
    char kid[JWKS_KID_MAX + 1];
    bool has_kid;
};

static int split(const char *token, size_t len, struct jws *ret, struct err *err)
{
    const char *end = token + len;
    if (len > JWS_MAX)
        return err_set(err, -EBADMSG, "the token is longer than is taken");
    for (int i = 0; i < 3; i++) {
        const char *dot = memchr(token, '.', (size_t)(end - token));
        if (!dot != (i == 2))
            return err_set(err, -EBADMSG, "the token has not three parts");
        ret->part[i] = token;
        ret->len[i] = (size_t)((dot ? dot : end) - token);
        token = dot ? dot + 1 : end;
    }
    return 0;
}

/* ---- the header ---- */

/* Members that could bring a key along, or change what is signed. */
static bool is_allowed(const char *key)
{
    static const char *const allowed[] = {"alg", "kid", "typ"};
    for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
        if (str_eq(key, allowed[i]))
            return true;
    return false;
}

static int read_header(struct jws *j, const struct json *o, struct err *err)
{
    void *iter = NULL;
    const char *key;
    const struct json *value;
    size_t n = 0;
    while (json_next(o, &iter, &key, &value))
        if (!is_allowed(key))
            return err_set(err, -EBADMSG, "the token's header has a member that is not taken");
    const char *alg = json_string(json_get(o, "alg"), &n);
    if (!str_eq(alg, "RS256") && !str_eq(alg, "ES256"))
        return err_set(err, -EBADMSG, "the token is signed by another way than RS256 or ES256");
    j->alg = str_eq(alg, "RS256") ? JWKS_RS256 : JWKS_ES256;
    const struct json *typ = json_get(o, "typ"), *kid = json_get(o, "kid");
    const char *type = json_string(typ, &n);
    if (typ && (!type || strcasecmp(type, "JWT") != 0))
        return err_set(err, -EBADMSG, "the token is of another type");
    const char *name = json_string(kid, &n);
    if (kid && (!name || n > JWKS_KID_MAX || strlen(name) != n))
        return err_set(err, -EBADMSG, "the token's key has no usable name");
    j->has_kid = kid != NULL;
    if (name)
        memcpy(j->kid, name, n + 1);
    return 0;
}

static int parse_header(struct jws *j, struct err *err)
{
    unsigned char text[JWS_HEADER_MAX + 1];
    _cleanup_(json_freep) struct json *o = NULL;
    long n = jwks_base64url(j->part[0], j->len[0], text, JWS_HEADER_MAX);
    if (n <= 0)
        return err_set(err, -EBADMSG, "the token's header is not base64url");
    text[n] = '\0';
    if (json_parse((const char *)text, (size_t)n, 100, &o, NULL) < 0 || !json_is_object(o))
        return err_set(err, -EBADMSG, "the token's header is no JSON object");
    return read_header(j, o, err);
}

/* ---- the signature ---- */

/* From r and s to what libcrypto reads; 0 bytes when it cannot be. */
static size_t ec_signature(const unsigned char *raw, unsigned char out[JWS_SIGNATURE_MAX])
{
    unsigned char *p = out;
    ECDSA_SIG *sig = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(raw, JWS_EC_SIZE / 2, NULL),
           *s = BN_bin2bn(raw + JWS_EC_SIZE / 2, JWS_EC_SIZE / 2, NULL);
    int n = 0;
    if (sig && r && s && ECDSA_SIG_set0(sig, r, s) == 1) {
        r = s = NULL; /* owned by `sig` now */
        n = i2d_ECDSA_SIG(sig, &p);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return n > 0 ? (size_t)n : 0;
}

static bool verify(const struct jws *j, EVP_PKEY *key, const unsigned char *sig, size_t n)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *pctx = NULL;
    size_t signed_len = (size_t)(j->part[1] + j->len[1] - j->part[0]);
    bool ok =
        ctx && EVP_DigestVerifyInit(ctx, &pctx, EVP_sha256(), NULL, key) == 1 &&
        (j->alg != JWKS_RS256 || EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PADDING) == 1) &&
        EVP_DigestVerify(ctx, sig, n, (const unsigned char *)j->part[0], signed_len) == 1;
    EVP_MD_CTX_free(ctx);
    ERR_clear_error();
    return ok;
}

static int check_signature(const struct jws *j, EVP_PKEY *key, struct err *err)
{
    unsigned char raw[JWS_SIGNATURE_MAX], der[JWS_SIGNATURE_MAX];
    long n = jwks_base64url(j->part[2], j->len[2], raw, sizeof(raw));
    bool ok = false;
    if (j->alg == JWKS_RS256)
        ok = n == EVP_PKEY_get_size(key) && verify(j, key, raw, (size_t)n);
    else if (n == JWS_EC_SIZE) {
        size_t len = ec_signature(raw, der);
        ok = len > 0 && verify(j, key, der, len);
    }
    return ok ? 0 : err_set(err, -EACCES, "the token's signature does not hold");
}

int jws_verify(const char *token, size_t len, const struct jwks *keys, struct buf *ret,
               struct err *err)
{
    struct jws j = {.has_kid = false};
    int r = split(token, len, &j, err);
    if (r == 0)
        r = parse_header(&j, err);
    if (r < 0)
        return r;
    EVP_PKEY *key = jwks_find(keys, j.alg, j.has_kid ? j.kid : NULL);
    if (!key)
        return err_set(err, -ENOKEY, "the provider has no key of the token's name and kind");
    r = check_signature(&j, key, err);
    if (r < 0)
        return r;
    size_t size = j.len[1] / 4 * 3 + 3;
    _cleanup_free_ unsigned char *payload = mem_zalloc(size);
    long n = jwks_base64url(j.part[1], j.len[1], payload, size);
    if (n <= 0)
        return err_set(err, -EBADMSG, "the token's payload is not base64url");
    buf_clear(ret);
    return buf_append(ret, payload, (size_t)n);
}
