/* SPDX-License-Identifier: MIT */
/* A growing byte buffer with a limit. The one place where sizes from outside meet the allocator:
 * every sum here is checked before it is made. */
#include "base/buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define BUF_SIZE_MIN 64

void buf_init(struct buf *b, size_t limit)
{
    *b = BUF_INIT(limit);
}

void buf_done(struct buf *b)
{
    free(b->data);
    *b = BUF_INIT(b->limit);
}

void buf_clear(struct buf *b)
{
    b->len = 0;
    b->failed = 0;
    if (b->data)
        b->data[0] = '\0';
}

/* Makes room for `n` bytes and a NUL behind `len`. */
static int buf_grow(struct buf *b, size_t n)
{
    if (b->failed)
        return b->failed;
    if (b->len > b->limit || n > b->limit - b->len || b->len + n >= SIZE_MAX / 2)
        return b->failed = -EMSGSIZE;
    size_t need = b->len + n + 1;
    if (need <= b->size)
        return 0;
    size_t size = b->size < BUF_SIZE_MIN ? BUF_SIZE_MIN : b->size * 2;
    if (size > b->limit && b->limit < SIZE_MAX / 2)
        size = b->limit + 1;
    if (size < need)
        size = need;
    b->data = mem_realloc_array(b->data, size, 1);
    b->size = size;
    return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
    int r = buf_grow(b, n);
    if (r < 0)
        return r;
    if (n)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
    return 0;
}

int buf_append_str(struct buf *b, const char *s)
{
    return buf_append(b, s, strlen(s));
}

int buf_append_char(struct buf *b, char c)
{
    if (b->failed || b->len + 1 >= b->size)
        return buf_append(b, &c, 1);
    b->data[b->len++] = c;
    b->data[b->len] = '\0';
    return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    size_t room = b->size - b->len;
    if (b->failed)
        return b->failed;
    va_start(ap, fmt);
    int n = vsnprintf(b->data ? b->data + b->len : NULL, room, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n < room) {
        b->len += (size_t)n;
        return 0;
    }
    if (b->data)
        b->data[b->len] = '\0'; /* what did not fit is not there */
    int r = n < 0 ? (b->failed = -EMSGSIZE) : buf_grow(b, (size_t)n);
    if (r < 0)
        return r;
    va_start(ap, fmt);
    (void)vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)n;
    return 0;
}

char *buf_reserve(struct buf *b, size_t n)
{
    if (buf_grow(b, n) < 0)
        return NULL;
    /* Zeroed, so that the content stays NUL-terminated however little of it the caller fills. */
    memset(b->data + b->len, 0, n + 1);
    return b->data + b->len;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > b->len)
        n = b->len;
    if (n == 0)
        return;
    b->len -= n;
    memmove(b->data, b->data + n, b->len);
    b->data[b->len] = '\0';
}

char *buf_steal(struct buf *b)
{
    char *s = b->data ? TAKE_PTR(b->data) : mem_zalloc(1);
    *b = BUF_INIT(b->limit);
    return s;
}

const char *buf_str(const struct buf *b)
{
    return b->data ? b->data : "";
}
