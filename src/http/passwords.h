/* SPDX-License-Identifier: MIT */
/* Passwords by argon2id, off the loop: each takes 64 MiB and about a tenth of a second, so at most
 * PASSWORDS_AT_ONCE are looked at together and PASSWORDS_WAITING_MAX wait; the rest is refused. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/err.h"

#define PASSWORDS_AT_ONCE 2
#define PASSWORDS_WAITING_MAX 16
#define PASSWORDS_ENCODED_SIZE 160

struct passwords;

int passwords_new(uv_loop_t *loop, struct passwords **ret, struct err *err) MUST_CHECK;
/* What waits is answered with -ECANCELED from within this call; what is under way when it is done;
 * then `gone(arg)`. */
void passwords_close(struct passwords *p, void (*gone)(void *arg), void *arg);

/* `result`: of a check 0 (right), -EACCES (wrong); of a hash 0 with `encoded`; else another
 * negative errno. Called once, on the loop. */
typedef void passwords_done(void *arg, int result, const char *encoded);

/* Is `password` the one of `encoded`? NULL: there is none, and it takes as long to say no.
 * -EBUSY: too many wait; `done` will not be called. */
int passwords_check(struct passwords *p, const char *encoded, const char *password,
                    passwords_done *done, void *arg) MUST_CHECK;
/* Makes `encoded` of a new password. */
int passwords_hash(struct passwords *p, const char *password, passwords_done *done,
                   void *arg) MUST_CHECK;
