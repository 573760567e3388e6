/* SPDX-License-Identifier: MIT */
/* A provider's public keys (RFC 7517): RSA of 2048 to 8192 bits and EC on P-256, for signatures.
 * What is of another kind is passed over; what claims to be one of these and is not is no key. */
#pragma once

#include <openssl/evp.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define JWKS_KEYS_MAX 32
#define JWKS_KID_MAX 128
#define JWKS_TEXT_MAX (256u << 10)

enum jwks_alg { JWKS_RS256, JWKS_ES256 };

struct jwks;
/* -EBADMSG with words: no set, no usable key in it, or two of one name and kind. */
int jwks_parse(const char *text, size_t len, struct jwks **ret, struct err *err) MUST_CHECK;
struct jwks *jwks_free(struct jwks *s);
CLEANUP_DEFINE(struct jwks, jwks_free)

/* The key for `alg` that is called `kid`; without a `kid` (NULL) the only one of that kind. NULL:
 * there is none, or which one is meant is open. Borrowed. */
EVP_PKEY *jwks_find(const struct jwks *s, enum jwks_alg alg, const char *kid);

/* Strict base64url without padding (RFC 7515, 2): the length, or -1. */
long jwks_base64url(const char *s, size_t n, unsigned char *out, size_t size);
