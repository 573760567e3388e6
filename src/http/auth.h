/* SPDX-License-Identifier: MIT */
/* Bearer tokens: who holds one is named by it. Only hashes are kept in memory; a token is 256
 * random bits, so it needs no slow hash. Wrong tokens are counted per address. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTH_TOKEN_SIZE 48 /* "clw_" + 43 characters of base64url + NUL */
#define AUTH_NAME_MAX 64
#define AUTH_TOKENS_MAX 64
#define AUTH_FAILURES_MAX 10 /* wrong credentials of one address in AUTH_WINDOW ... */
#define AUTH_WINDOW (60 * UINT64_C(1000000000))

struct auth;
struct auth *auth_new(void);
struct auth *auth_free(struct auth *a);
CLEANUP_DEFINE(struct auth, auth_free)

/* 0; -EINVAL: not of the form of a token; -ENOSPC. `level` is the caller's own. */
int auth_add_token(struct auth *a, const char *token, const char *name, unsigned level) MUST_CHECK;

enum auth_result {
    AUTH_WRONG, /* something was presented and it is not right */
    AUTH_NONE,  /* nothing was presented */
    AUTH_OK,
    AUTH_LIMITED, /* wrong, and wrong too often: not looked at closely any more */
};

/* Judges the value of an Authorization header (NULL: none). The right token passes whatever went
 * wrong before from its address, so nobody can lock its holder out. */
enum auth_result auth_check(struct auth *a, const char *header, const char *address, uint64_t now,
                            const char **ret_name, unsigned *ret_level);

/* The token in the file at `path`, which is made (0600) when there is none. A file that others may
 * read or that another user owns is refused with words. */
int auth_token_load_or_make(const char *path, char out[AUTH_TOKEN_SIZE],
                            struct err *err) MUST_CHECK;
