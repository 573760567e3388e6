/* SPDX-License-Identifier: MIT */
/* Strings: tests, quoting for a shell, making untrusted bytes visible, durations. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

bool str_eq(const char *a, const char *b); /* NULL equals only NULL */
bool str_starts(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);
const char *str_basename(const char *path); /* what follows the last '/'; borrowed */

/* Length of the valid UTF-8 sequence at `s` (1-4), or 0: invalid, overlong, surrogate, > U+10FFFF
 * (RFC 3629). */
size_t str_utf8_next(const char *s, size_t n, uint32_t *ret_code_point);
bool str_utf8_valid(const char *s, size_t n);
/* How many bytes at the start are printable ASCII other than '"' and '\\'. */
size_t str_plain(const char *s, size_t n);

/* Appends `n` bytes so that a reviewer sees each of them and none acts on a terminal: controls,
 * DEL, C1, bidi controls, zero-width and other format characters, line and paragraph separators,
 * and bytes that are not UTF-8 become \n \t \r \e, \xNN or \u{NNNN}; backslash becomes \\. */
int str_escape(struct buf *out, const char *s, size_t n);

/* Appends `s` quoted so that a POSIX shell reads back the same bytes and every byte is visible:
 * plain words as they are, else '...', else $'...' for what str_escape() would change. */
int str_shell_quote(struct buf *out, const char *s, size_t n);
/* A whole argv, separated by blanks. */
int str_shell_quote_argv(struct buf *out, const char *const *argv, size_t argc);

/* "90s", "15m", "1h30m", "500ms", "0s"; units ms s m h d, each once, descending; no sign, no
 * blanks. 0, or -EINVAL / -ERANGE with words. Result in nanoseconds. */
int str_parse_duration(const char *s, uint64_t *ret_ns, struct err *err);
/* The shortest such form, e.g. "15m", "1h30m", "250ms". `out` of at least 48 bytes. */
const char *str_format_duration(uint64_t ns, char out[48]);

/* Decimal, no sign, no blanks, at most `max`: 0 or -EINVAL / -ERANGE. */
int str_parse_u64(const char *s, uint64_t max, uint64_t *ret);

/* The candidate nearest to `word` (edit distance at most 2 and less than half its length), for
 * "did you mean"; NULL if none. `candidates` ends with NULL. */
const char *str_nearest(const char *word, const char *const *candidates);

/* Lower-case hex, 2n+1 bytes. */
void str_hex(const void *p, size_t n, char *out);
/* 0 or -EINVAL; exactly n bytes from 2n digits. */
int str_unhex(const char *s, void *out, size_t n);
