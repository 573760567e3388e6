/* SPDX-License-Identifier: MIT */
/* Text without stdio: appends to a fixed buffer, cuts at its end, always NUL-terminated. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct words {
    char *text;
    size_t size, len;
};
#define WORDS(buf_) ((struct words){.text = (buf_), .size = sizeof(buf_)})

void words_add(struct words *w, const char *s);
/* Untrusted bytes: what is not printable ASCII becomes '?'. */
void words_add_safe(struct words *w, const char *s);
void words_add_number(struct words *w, uint64_t n);
/* A short English text for an errno. */
void words_add_errno(struct words *w, int err);
/* Decimal digits at the start of `s`; *end after them. */
uint64_t words_number(const char *s, const char **ret_end);
