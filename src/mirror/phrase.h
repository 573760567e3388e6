/* SPDX-License-Identifier: MIT */
/* Text without stdio: appends to a fixed buffer, cuts at its end, always NUL-terminated. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct phrase {
    char *text;
    size_t size, len;
};
#define PHRASE(buf_) ((struct phrase){.text = (buf_), .size = sizeof(buf_)})

void phrase_add(struct phrase *w, const char *s);
/* Untrusted bytes: what is not printable ASCII becomes '?'. */
void phrase_add_safe(struct phrase *w, const char *s);
void phrase_add_number(struct phrase *w, uint64_t n);
/* A short English text for an errno. */
void phrase_add_errno(struct phrase *w, int err);
/* Decimal digits at the start of `s`; *end after them. */
uint64_t phrase_number(const char *s, const char **ret_end);
