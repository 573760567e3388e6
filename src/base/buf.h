/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a limit set at birth: what comes from outside is kept in one.
 * After a failed append the buffer is as it was, and stays failed (sticky), so that a writer may
 * check once at its end. Always NUL-terminated behind `len`, for printing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

struct buf {
    char *data; /* owned; NULL while empty */
    size_t len;
    size_t size;
    size_t limit; /* bytes */
    int failed;   /* 0, or the errno (negative) of the first append that did not fit */
};

#define BUF_INIT(limit_) ((struct buf){.limit = (limit_)})
#define _cleanup_buf_ _cleanup_(buf_done)

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);  /* frees, leaves an empty buffer with the same limit */
void buf_clear(struct buf *b); /* forgets content and failure, keeps memory */

/* 0, or -EMSGSIZE past the limit. */
int buf_append(struct buf *b, const void *p, size_t n);
int buf_append_str(struct buf *b, const char *s);
int buf_append_char(struct buf *b, char c);
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Room for `n` more bytes behind `len`; the caller fills them and adds to `len` itself.
 * NULL past the limit. */
char *buf_reserve(struct buf *b, size_t n);

/* Drops the first `n` bytes. */
void buf_consume(struct buf *b, size_t n);

/* The content as a C string that the caller owns; the buffer is empty afterwards. Never NULL. */
char *buf_steal(struct buf *b);
/* The content, "" when empty; borrowed until the next change. */
const char *buf_str(const struct buf *b);
