/* SPDX-License-Identifier: MIT */
/* A signed token in its compact form (RFC 7515): RS256 and ES256 and nothing else, with a key of
 * the set only. Whatever the token says about keys but a name is refused. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "oidc/jwks.h"

#define JWS_MAX (64u << 10)

/* 0: the signature holds, and the payload stands in `ret`. -ENOKEY: no key of the set has this
 * name; the provider may have new ones. -EBADMSG, -EACCES (the signature does not hold). */
int jws_verify(const char *token, size_t len, const struct jwks *keys, struct buf *ret,
               struct err *err) MUST_CHECK;
