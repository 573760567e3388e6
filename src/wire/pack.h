/* SPDX-License-Identifier: MIT */
/* Numbers, strings and lists of strings in a row: one writer that measures and writes, one reader
 * that never passes its end. Errors are sticky and looked at once, in pack_put_done() and
 * pack_get_done(). Integers are big-endian, strings NUL-terminated. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Strings that lie one behind the other. Writers take `list` or, when that is NULL, `packed` of
 * `size` bytes; readers set `packed` and `size`. */
struct pack_strings {
    const char *const *list;
    const char *packed;
    size_t size;
    uint32_t count;
};

/* Counts on past the end, so that one function both measures and writes. */
struct pack_writer {
    uint8_t *p;
    size_t size, len;
    int bad;
};

struct pack_reader {
    const uint8_t *p;
    size_t len, pos;
    int bad; /* 0 or a negative errno */
};

void pack_put_bytes(struct pack_writer *w, const void *p, size_t n);
void pack_put_u32(struct pack_writer *w, uint32_t v);
void pack_put_u64(struct pack_writer *w, uint64_t v);
void pack_put_string(struct pack_writer *w, const char *s); /* NULL is "" */
/* u32 count | u32 bytes | the strings. */
void pack_put_strings(struct pack_writer *w, const struct pack_strings *s, size_t max);
/* The length, or 0 when a limit was passed. */
size_t pack_put_done(const struct pack_writer *w, size_t max);

const uint8_t *pack_get_bytes(struct pack_reader *r, size_t n); /* NULL past the end */
uint32_t pack_get_u32(struct pack_reader *r);
uint64_t pack_get_u64(struct pack_reader *r);
const char *pack_get_string(struct pack_reader *r, size_t max); /* bytes, the NUL not counted */
void pack_get_strings(struct pack_reader *r, uint32_t max, size_t string_max,
                      struct pack_strings *ret);
/* 0; -EBADMSG: it ends too early, too late, or lies; -E2BIG: a limit. */
int pack_get_done(const struct pack_reader *r);

/* The next of strings that lie one behind the other. */
const char *pack_next(const char *s);
