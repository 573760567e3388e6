/* SPDX-License-Identifier: MIT */
/* Words for the person or agent behind stderr. No stdio: it would cost more than the verdict. */
#pragma once

#include <stddef.h>

/* One line on stderr: "clawrden: " and the parts behind one another, control bytes as '?'. */
#define say_line(...) say_parts((const char *const[]){__VA_ARGS__, NULL})
void say_parts(const char *const *parts);

/* A text that the warden or the helper wrote. On a terminal control bytes other than newline and
 * tab are taken out, in place: the sender escapes, and a second look costs nothing. */
void say_text(char *text, size_t len);

/* All of it to `fd`, through partial writes and a non-blocking descriptor; 0 or -errno. */
int say_bytes(int fd, const char *p, size_t len);

/* Decimal; `out` has room for 12. Returns out. */
char *say_number(unsigned n, char out[12]);

/* What an errno of a socket call means, in words. */
const char *say_errno(int e);
