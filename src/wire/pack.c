/* SPDX-License-Identifier: MIT */
#include "wire/pack.h"

#include <errno.h>
#include <string.h>

#include "wire/bytes.h"

void pack_put_bytes(struct pack_writer *w, const void *p, size_t n)
{
    if (n && w->len <= w->size && n <= w->size - w->len)
        memcpy(w->p + w->len, p, n);
    w->len += n;
}

void pack_put_u32(struct pack_writer *w, uint32_t v)
{
    uint8_t b[4];
    bytes_put_u32(b, v);
    pack_put_bytes(w, b, sizeof(b));
}

void pack_put_u64(struct pack_writer *w, uint64_t v)
{
    uint8_t b[8];
    bytes_put_u64(b, v);
    pack_put_bytes(w, b, sizeof(b));
}

void pack_put_string(struct pack_writer *w, const char *s)
{
    if (!s)
        s = "";
    pack_put_bytes(w, s, strlen(s) + 1);
}

void pack_put_strings(struct pack_writer *w, const struct pack_strings *s, size_t max)
{
    size_t size = s->size;
    if (s->list) {
        size = 0;
        for (uint32_t i = 0; i < s->count; i++)
            size += strlen(s->list[i]) + 1;
    }
    if (size > max) {
        w->bad = 1;
        return;
    }
    pack_put_u32(w, s->count);
    pack_put_u32(w, (uint32_t)size);
    if (!s->list) {
        pack_put_bytes(w, s->packed, size);
        return;
    }
    for (uint32_t i = 0; i < s->count; i++)
        pack_put_string(w, s->list[i]);
}

size_t pack_put_done(const struct pack_writer *w, size_t max)
{
    return w->bad || w->len > max ? 0 : w->len;
}

static void fail(struct pack_reader *r, int error)
{
    if (!r->bad)
        r->bad = error;
}

const uint8_t *pack_get_bytes(struct pack_reader *r, size_t n)
{
    if (r->bad || n > r->len - r->pos) {
        fail(r, -EBADMSG);
        return NULL;
    }
    const uint8_t *p = r->p + r->pos;
    r->pos += n;
    return p;
}

uint32_t pack_get_u32(struct pack_reader *r)
{
    const uint8_t *p = pack_get_bytes(r, 4);
    return p ? bytes_get_u32(p) : 0;
}

uint64_t pack_get_u64(struct pack_reader *r)
{
    const uint8_t *p = pack_get_bytes(r, 8);
    return p ? bytes_get_u64(p) : 0;
}

const char *pack_get_string(struct pack_reader *r, size_t max)
{
    size_t left = r->bad ? 0 : r->len - r->pos;
    const uint8_t *start = r->p + r->pos;
    const uint8_t *end = left ? memchr(start, 0, left) : NULL;
    if (!end)
        fail(r, -EBADMSG);
    else if ((size_t)(end - start) > max)
        fail(r, -E2BIG);
    if (r->bad)
        return "";
    r->pos += (size_t)(end - start) + 1;
    return (const char *)start;
}

void pack_get_strings(struct pack_reader *r, uint32_t max, size_t string_max,
                      struct pack_strings *ret)
{
    uint32_t count = pack_get_u32(r), size = pack_get_u32(r), seen = 0;
    const char *p = (const char *)pack_get_bytes(r, size);
    *ret = (struct pack_strings){.packed = "", .count = 0};
    if (count > max)
        fail(r, -E2BIG);
    if (r->bad)
        return;
    for (size_t at = 0; at < size; seen++) {
        const char *end = memchr(p + at, 0, size - at);
        if (!end || seen == count) {
            fail(r, -EBADMSG);
            return;
        }
        if ((size_t)(end - (p + at)) > string_max) {
            fail(r, -E2BIG);
            return;
        }
        at = (size_t)(end - p) + 1;
    }
    if (seen != count)
        fail(r, -EBADMSG);
    else if (count)
        *ret = (struct pack_strings){.packed = p, .size = size, .count = count};
}

int pack_get_done(const struct pack_reader *r)
{
    if (r->bad)
        return r->bad;
    return r->pos == r->len ? 0 : -EBADMSG;
}

const char *pack_next(const char *s)
{
    return s + strlen(s) + 1;
}
