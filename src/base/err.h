/* SPDX-License-Identifier: MIT */
/* The words of a failure, for a person. A plain value: no allocation, may live on the stack.
 * Functions take `struct err *err` last and accept NULL there. */
#pragma once

#include "base/cleanup.h"

#define ERR_TEXT_MAX 1024

struct err {
    char text[ERR_TEXT_MAX]; /* always NUL-terminated; "" when nothing failed */
};

/* Sets the words and returns `code` (a negative errno), so that callers write
 * `return err_set(err, -EINVAL, "...")`. Longer texts are cut, ending in "...". */
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Like err_set(), with ": " and strerror(-code) behind the words. */
int err_errno(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts "words: " in front of what is there. Returns `code`. */
int err_prefix(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
