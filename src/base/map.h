/* SPDX-License-Identifier: MIT */
/* A hash map from strings to pointers, with a random seed so that nobody can choose collisions.
 * Keys are copied; values are borrowed. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"

struct map;

struct map *map_new(void);
struct map *map_free(struct map *m); /* values are the caller's business; returns NULL */
CLEANUP_DEFINE(struct map, map_free)

void *map_get(const struct map *m, const char *key); /* NULL when absent */
/* Returns the value that was there before, or NULL. `value` must not be NULL. */
void *map_put(struct map *m, const char *key, void *value);
void *map_remove(struct map *m, const char *key); /* the removed value, or NULL */
size_t map_count(const struct map *m);

/* Each entry once, in no order; the current entry may be removed inside the loop.
 *   for (size_t i = 0; map_next(m, &i, &key, &value);) */
int map_next(const struct map *m, size_t *iter, const char **ret_key, void **ret_value);
