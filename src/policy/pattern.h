/* SPDX-License-Identifier: MIT */
/* Regular expressions: the only user of PCRE2 here. The interpreter, never the JIT (that needs
 * memory which is writable and executable), under limits. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define PATTERN_TEXT_MAX 4096
#define PATTERN_MATCH_LIMIT 10000
#define PATTERN_SUBJECT_MAX (64u << 10) /* longer subjects are past the limit */

struct pattern;

/* `bytes`: the subject may be any bytes; otherwise one that is not UTF-8 is an error. */
struct pattern *pattern_new(const char *text, bool bytes, struct err *err);
struct pattern *pattern_free(struct pattern *p);
CLEANUP_DEFINE(struct pattern, pattern_free)

/* 1 and the place of the first match at or after `from`, 0: none, -E2BIG: past a limit,
 * -EILSEQ: not UTF-8. Both errors mean "cannot be decided". */
int pattern_find(const struct pattern *p, const char *s, size_t n, size_t from, size_t *ret_start,
                 size_t *ret_end);
