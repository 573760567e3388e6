/* SPDX-License-Identifier: MIT */
/* What an answer is bound to: a digest over everything that a person saw and that will run. The
 * same request gives the same digest in the next life of the warden; any difference gives another.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/request.h"

#define BINDING_DIGEST_SIZE 65 /* hex SHA-256, NUL */
#define BINDING_ENV_MAX (16u << 20)

/* The environment under r->judged. */
struct binding_env {
    struct buf env; /* "NAME=value\0"... */
    size_t envc;
    struct buf passed, dropped; /* "NAME\0"... */
};

/* 0, or -EMSGSIZE with words; *ret is to be released by binding_env_done() in any case. */
int binding_env(const struct request *r, struct binding_env *ret, struct err *err) MUST_CHECK;
void binding_env_done(struct binding_env *e);

/* Over name, argv, cwd, passing environment, ids, program and script identity, resolved paths and
 * policy version. 0, or a negative errno with words: then there is nothing to bind an answer to. */
int binding_digest(const struct request *r, char ret[BINDING_DIGEST_SIZE],
                   struct err *err) MUST_CHECK;
