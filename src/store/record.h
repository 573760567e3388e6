/* SPDX-License-Identifier: MIT */
/* One record of the audit log as a line of text: how it is built, taken apart and hashed. Bytes
 * only, no files. The form is fixed (docs/audit.md):
 *   {"v":1,"seq":N,"prev":"<64 hex>",MEMBERS,"hash":"<64 hex>"}
 * `hash` is SHA-256, or HMAC-SHA256 with a key, over all bytes of the line before `,"hash"`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define RECORD_HASH_SIZE 65 /* 64 hex digits and NUL */
#define RECORD_LINE_MAX                                                                            \
    (32u << 20) /* 2 MiB of arguments, each byte written as \u00XX, and more                       \
                 */

extern const char record_hash_none[RECORD_HASH_SIZE]; /* `prev` of the very first record: zeros */

/* ---- hashing ---- */

struct record_hasher; /* for one thread at a time */

/* Without a key. Never NULL; ends the process when libcrypto has no SHA-256. */
struct record_hasher *record_hasher_new(void);
/* With the key in the file `path`: 16 to 4096 bytes, one trailing newline does not count, nobody
 * but owner and group may read it. `path` NULL: without a key. */
int record_hasher_load(const char *path, struct record_hasher **ret, struct err *err) MUST_CHECK;
struct record_hasher *record_hasher_dup(const struct record_hasher *h);
struct record_hasher *record_hasher_free(struct record_hasher *h);
CLEANUP_DEFINE(struct record_hasher, record_hasher_free)
bool record_hasher_keyed(const struct record_hasher *h);

void record_hash(struct record_hasher *h, const void *p, size_t n, char ret[RECORD_HASH_SIZE]);

/* ---- lines ---- */

/* Appends the line of a record, with its newline. -EINVAL: `members` is empty or has a newline;
 * -EMSGSIZE past the limit of `out`. */
int record_build(struct buf *out, struct record_hasher *h, uint64_t seq, const char *prev,
                 const char *members, size_t len, char ret_hash[RECORD_HASH_SIZE]) MUST_CHECK;

/* A line taken apart; pointers lead into the line. */
struct record {
    uint64_t seq;
    char prev[RECORD_HASH_SIZE], hash[RECORD_HASH_SIZE];
    const char *members;
    size_t members_len;
    size_t hashed; /* how many bytes of the line the hash covers */
};
/* The form only, not the hash. `len` without the newline. 0 or -EBADMSG. */
int record_split(const char *line, size_t len, struct record *ret) MUST_CHECK;
bool record_intact(struct record_hasher *h, const char *line, const struct record *r);

/* The raw JSON value of the first top-level member `key`; false when there is none. Does not
 * allocate; malformed members are read as far as they make sense. */
bool record_field(const char *members, size_t len, const char *key, const char **ret,
                  size_t *ret_len);
/* True when that value is the plain string `s`. */
bool record_field_is(const char *members, size_t len, const char *key, const char *s);
/* Copies a string value without escapes and NUL that fits; false otherwise, then `out` is "". */
bool record_field_copy(const char *members, size_t len, const char *key, char *out, size_t size);
/* A value of decimal digits; `otherwise` when it is none. */
uint64_t record_field_u64(const char *members, size_t len, const char *key, uint64_t otherwise);
