/* SPDX-License-Identifier: MIT */
/* Globs: * any bytes ('/' too), ? one byte, [a-z] [!a-z] one of a set, \x the byte x. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* `budget`, when not NULL, is lowered by the work done; at 0 nothing matches any more, and the
 * caller has to treat that as "cannot be decided". */
bool glob_match(const char *pattern, const char *text, uint64_t *budget);
bool glob_match_n(const char *pattern, const char *text, size_t n, uint64_t *budget);
/* Like glob_match() for paths: "/app/" + "*" matches "/app" too. */
bool glob_match_path(const char *pattern, const char *path, uint64_t *budget);
bool glob_match_any(const char *const *patterns, size_t count, const char *text, uint64_t *budget);

bool glob_is_literal(const char *pattern); /* no special byte */
bool glob_valid(const char *pattern);      /* no open '[', no lone '\' at its end */
