/* SPDX-License-Identifier: MIT */
/* Chunks in a chain. Sizes are bounded by POLICY_TEXT_MAX, so sums cannot overflow. */
#include "policy/pool.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define POOL_CHUNK (16u << 10)
#define POOL_ALIGN (sizeof(void *) * 2)

struct pool_chunk {
    struct pool_chunk *next;
    size_t used, size;
    _Alignas(sizeof(void *) * 2) char data[];
};

struct pool {
    struct pool_chunk *chunks;
};

struct pool *pool_new(void)
{
    return mem_new(struct pool);
}

struct pool *pool_free(struct pool *p)
{
    if (!p)
        return NULL;
    while (p->chunks) {
        struct pool_chunk *c = p->chunks;
        p->chunks = c->next;
        free(c);
    }
    free(p);
    return NULL;
}

void *pool_alloc(struct pool *p, size_t size)
{
    size = (size + POOL_ALIGN - 1) & ~(POOL_ALIGN - 1);
    struct pool_chunk *c = p->chunks;
    if (!c || c->size - c->used < size) {
        size_t room = size > POOL_CHUNK ? size : POOL_CHUNK;
        c = mem_zalloc(sizeof(*c) + room);
        c->size = room;
        c->next = p->chunks;
        p->chunks = c;
    }
    void *r = c->data + c->used;
    c->used += size;
    return r;
}

char *pool_strndup(struct pool *p, const char *s, size_t n)
{
    char *r = pool_alloc(p, n + 1);
    memcpy(r, s, n);
    return r;
}

char *pool_printf(struct pool *p, const char *fmt, ...)
{
    char text[512];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(text))
        n = sizeof(text) - 1;
    return pool_strndup(p, text, (size_t)n);
}
