/* SPDX-License-Identifier: MIT */
/* Credentials as bytes: the form of tokens, what an Authorization header or a cookie holds, and how
 * often an address was wrong. A token is 256 random bits, so it needs no slow hash; passwords have
 * one (http/passwords.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define AUTH_TOKEN_SIZE 48 /* "clw_" + 43 characters of base64url + NUL */
#define AUTH_HASH_SIZE 32
#define AUTH_NAME_MAX 64
#define AUTH_PASSWORD_MAX 1024
#define AUTH_FAILURES_MAX 10 /* wrong credentials of one address in AUTH_WINDOW ... */
#define AUTH_WINDOW (60 * UINT64_C(1000000000))

/* ---- tokens ---- */

/* `s` is terminated behind its `n` bytes. */
bool auth_token_valid(const char *s, size_t n);
int auth_token_make(char out[AUTH_TOKEN_SIZE], struct err *err) MUST_CHECK;
/* What is kept of a token. -EIO: no libcrypto. */
int auth_hash(const char *s, size_t n, unsigned char out[AUTH_HASH_SIZE]) MUST_CHECK;
/* In the same time wherever they differ. */
bool auth_same(const unsigned char a[AUTH_HASH_SIZE], const unsigned char b[AUTH_HASH_SIZE]);
/* `n` random bytes as 2n hex digits and a NUL. */
int auth_random_hex(char *out, size_t n, struct err *err) MUST_CHECK;

/* The token in the file at `path`, which is made (0600) when there is none; then *ret_made is true.
 * A file that others may read or that another user owns is refused with words. */
int auth_token_load_or_make(const char *path, char out[AUTH_TOKEN_SIZE], bool *ret_made,
                            struct err *err) MUST_CHECK;

/* ---- headers ---- */

enum auth_scheme {
    AUTH_SCHEME_BAD,  /* there is something, and it is none of these */
    AUTH_SCHEME_NONE, /* no header */
    AUTH_SCHEME_BEARER,
    AUTH_SCHEME_BASIC,
};
struct auth_header {
    enum auth_scheme scheme;
    const char *token; /* borrowed from the header; of the form of a token */
    char user[AUTH_NAME_MAX + 1];
    char password[AUTH_PASSWORD_MAX + 1];
};
/* Takes the value of an Authorization header apart (NULL: none). Wipe it by auth_header_done(). */
void auth_header_read(const char *value, struct auth_header *ret);
void auth_header_done(struct auth_header *h);
#define _cleanup_auth_header_ _cleanup_(auth_header_done)

/* The token in the cookie `name` of a Cookie header; false: there is none, or more than one. */
bool auth_cookie(const char *header, const char *name, char out[AUTH_TOKEN_SIZE]);

/* The same for a value of any form that fits. */
bool auth_cookie_value(const char *header, const char *name, char *out, size_t size);

/* ---- failures ---- */

struct auth; /* who was wrong how often */
struct auth *auth_new(void);
struct auth *auth_free(struct auth *a);
CLEANUP_DEFINE(struct auth, auth_free)

/* True: this address was wrong too often lately. IPv6 addresses count by their /64. */
bool auth_is_limited(struct auth *a, const char *address, uint64_t now);
/* It was wrong once more. True: too often by now. */
bool auth_failed(struct auth *a, const char *address, uint64_t now);
/* What was counted by auth_failed() was right after all. */
void auth_forgive(struct auth *a, const char *address, uint64_t now);
