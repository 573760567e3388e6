/* SPDX-License-Identifier: MIT */
/* Memory of one policy: many small pieces, freed together. What is in a pool never moves. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct pool;

struct pool *pool_new(void);
struct pool *pool_free(struct pool *p);
CLEANUP_DEFINE(struct pool, pool_free)

void *pool_alloc(struct pool *p, size_t size) __attribute__((malloc, returns_nonnull)); /* zeroed */
char *pool_strndup(struct pool *p, const char *s, size_t n) __attribute__((returns_nonnull));
char *pool_printf(struct pool *p, const char *fmt, ...) PRINTF_LIKE(2, 3)
    __attribute__((returns_nonnull));

#define pool_new_array(p, type, n) ((type *)pool_alloc((p), (size_t)(n) * sizeof(type)))
