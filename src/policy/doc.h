/* SPDX-License-Identifier: MIT */
/* A YAML document as a tree that knows where each node stands: the only user of libyaml here.
 * Strict: one document, no alias, anchor or tag, no duplicate key, bounded depth and size. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "policy/pool.h"

#define DOC_DEPTH_MAX 32
#define DOC_KEYS_MAX 512 /* in one mapping */

enum doc_kind { DOC_SCALAR, DOC_LIST, DOC_MAP };

struct doc_node {
    enum doc_kind kind;
    unsigned line, column; /* from 1 */
    bool plain;            /* a scalar without quotes */
    const char *text;      /* of a scalar: no NUL inside; "" for the others */
    size_t count;          /* members of a list or map */
    struct doc_node *first, *next;
    const struct doc_node *key; /* of a member of a map */
};

struct doc {
    const char *name;
    const struct doc_node *root;
};

/* All of it lives in `pool`. -EINVAL with "NAME:LINE:COLUMN: words", -E2BIG. */
int doc_parse(struct pool *pool, const char *text, size_t len, size_t len_max, const char *name,
              struct doc *ret, struct err *err) MUST_CHECK;

/* Returns -EINVAL; words with the place of `n` in front. */
int doc_fail(const struct doc *d, const struct doc_node *n, struct err *err, const char *fmt, ...)
    PRINTF_LIKE(4, 5);
/* Text of a node for such words: escaped, cut, in single quotes. */
const char *doc_show(const char *text, char out[96]);

/* NULL when the map has no such key. */
const struct doc_node *doc_get(const struct doc_node *map, const char *key);

/* Typed views; each -EINVAL with words naming `what`. */
int doc_map(const struct doc *d, const struct doc_node *n, const char *what, struct err *err);
int doc_list(const struct doc *d, const struct doc_node *n, const char *what, struct err *err);
int doc_string(const struct doc *d, const struct doc_node *n, const char *what, const char **ret,
               struct err *err);
int doc_bool(const struct doc *d, const struct doc_node *n, const char *what, bool *ret,
             struct err *err);
int doc_uint(const struct doc *d, const struct doc_node *n, const char *what, uint64_t max,
             uint64_t *ret, struct err *err);
int doc_duration(const struct doc *d, const struct doc_node *n, const char *what, uint64_t *ret,
                 struct err *err);
/* A list of strings, or one string. */
int doc_strings(const struct doc *d, struct pool *pool, const struct doc_node *n, const char *what,
                const char *const **ret, size_t *ret_count, struct err *err);

/* One row of a table of keys. `arg` is the caller's. */
struct doc_key {
    const char *name;
    int (*read)(void *arg, const struct doc_node *value, struct err *err);
};
/* Calls the row of each member; an unknown key is an error with the nearest one. The table ends
 * with a row whose name is NULL. */
int doc_decode(const struct doc *d, const struct doc_node *map, const struct doc_key *keys,
               void *arg, const char *what, struct err *err) MUST_CHECK;
