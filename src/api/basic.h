/* SPDX-License-Identifier: MIT */
/* Names and passwords. What was right is remembered for some minutes as a keyed digest, so that a
 * client that sends its password with each request costs one argon2 and not thousands. */
#pragma once

#include "api/accounts.h"
#include "api/call.h"

struct basic;
struct basic *basic_new(void);
struct basic *basic_free(struct basic *b);

enum basic_result {
    BASIC_REFUSED, /* the answer was given */
    BASIC_LATER,   /* `done` follows */
    BASIC_OK,      /* known from before */
};

/* The call is over by then: `x` and `api` are what is left of it. `user` NULL: they are wrong. */
typedef void basic_done(struct api *api, struct exchange *x, const struct account_user *user,
                        const char *name);

/* Judges a name and a password for the exchange of `c`. Of one address only so many may be wrong in
 * a minute, and further ones are refused unseen. BASIC_OK: *ret_user. */
enum basic_result basic_check(struct call *c, const char *name, const char *password,
                              basic_done *done, struct account_user **ret_user);
