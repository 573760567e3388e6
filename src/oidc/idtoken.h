/* SPDX-License-Identifier: MIT */
/* What an ID token says, once its signature holds (OpenID Connect Core 1.0, 3.1.3.7). Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define IDTOKEN_NAME_MAX 64
#define IDTOKEN_LEEWAY 60 /* seconds that clocks may differ */
#define IDTOKEN_AGE_MAX 600

struct idtoken_expect {
    const char *issuer, *client_id, *nonce;
    uint64_t now;             /* seconds since 1970 */
    const char *groups_claim; /* its name */
    /* Each group that the token names. */
    void (*group)(void *arg, const char *name);
    void *arg;
};

/* 0 with a name for people: preferred_username, email (when it is verified) or sub, whichever is
 * there and fits. -EACCES with words: the token is not for us, not now, or not understood. */
int idtoken_check(const char *payload, size_t len, const struct idtoken_expect *e,
                  char ret_name[IDTOKEN_NAME_MAX + 1], struct err *err) MUST_CHECK;
