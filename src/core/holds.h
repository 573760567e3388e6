/* SPDX-License-Identifier: MIT */
/* What is paused: everything, containers, single requests. A set and its text for the disk; what a
 * pause does is in core/halt.c. No I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "core/request.h"

enum hold_scope { HOLD_REQUEST, HOLD_CONTAINER, HOLD_ALL };
const char *hold_scope_name(enum hold_scope s); /* "request", "container", "all" */

/* Strings are owned. */
struct hold {
    enum hold_scope scope;
    char *key;  /* the request's id, the container's key (container_key()), or "" */
    char *name; /* of the container, for people */
    char *who, *why;
    uint64_t order; /* number of the order that paused it last; 0: a warden before this one */
    uint64_t since, until; /* realtime ns; until 0: somebody ends it */
    uint64_t retry;        /* monotonic: a resume by time that failed is tried again then */
    char **frozen;         /* owned, and its strings: keys of containers that were stopped for it */
    size_t frozen_count;
};

#define HOLDS_MAX 4096

struct holds;
struct holds *holds_new(void);
struct holds *holds_free(struct holds *h);
CLEANUP_DEFINE(struct holds, holds_free)

/* The one for this, made when there is none; NULL: HOLDS_MAX are there. */
struct hold *holds_put(struct holds *h, enum hold_scope scope, const char *key);
struct hold *holds_find(const struct holds *h, enum hold_scope scope, const char *key);
/* A container's, by key or name; NULL: none, or *ret_many. */
struct hold *holds_named(const struct holds *h, const char *name, bool *ret_many);
void holds_remove(struct holds *h, struct hold *x);
size_t holds_count(const struct holds *h);
struct hold *holds_at(const struct holds *h, size_t i);

/* The widest that holds `r`, or a container of this key; NULL: none does. */
const struct hold *holds_over(const struct holds *h, const struct request *r);
const struct hold *holds_over_key(const struct holds *h, const char *key);

void hold_set(char **text, const char *value);
bool hold_froze(const struct hold *x, const char *key);
void hold_add_frozen(struct hold *x, const char *key);
void hold_drop_frozen(struct hold *x, const char *key);

/* {"scope","id"?,"container"?,"by","reason","since","until"}, for people. */
void hold_put_json(const struct hold *x, struct json_writer *w);

/* The whole set, and back. -EBADMSG with words: it is no such text; `h` is as it was. */
void holds_write(const struct holds *h, struct buf *out);
int holds_read(struct holds *h, const char *text, size_t len, struct err *err) MUST_CHECK;
