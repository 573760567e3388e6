/* SPDX-License-Identifier: MIT */
/* JSON (RFC 8259). Reading hides jansson, strict: duplicate keys, trailing bytes and invalid UTF-8
 * are errors. Writing appends to a buf, needs no tree, and never fails on content: bytes that are
 * not UTF-8 take the tagged form {"bytes":"<base64>"} where a value is written. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* ---- reading ---- */

struct json; /* a node; borrowed from its root */

/* Parses one document. The text is scanned before it is parsed: more than `nodes_max` values or
 * a depth over 32 is -E2BIG, so that hostile text cannot cost more than its limits.
 * -EBADMSG with line and column in the words for anything malformed. */
int json_parse(const char *text, size_t len, size_t nodes_max, struct json **ret_root,
               struct err *err) MUST_CHECK;
struct json *json_free(struct json *root);
CLEANUP_DEFINE(struct json, json_free)

bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
bool json_is_string(const struct json *j);
bool json_is_integer(const struct json *j);
bool json_is_bool(const struct json *j);
bool json_is_null(const struct json *j);
const struct json *json_get(const struct json *object, const char *key); /* NULL when absent */
size_t json_count(const struct json *array_or_object);
const struct json *json_at(const struct json *array, size_t i);
/* Walks an object: starts with *iter = NULL; false at the end. */
bool json_next(const struct json *object, void **iter, const char **ret_key,
               const struct json **ret_value);
/* jansson exports functions of these two names and calls them itself: for the linker ours have
 * others. */
/* NULL unless a string; *ret_len may be NULL. May contain NUL bytes: check the length. */
const char *json_string(const struct json *j, size_t *ret_len) __asm__("base_json_string");
int64_t json_integer(const struct json *j, int64_t otherwise) __asm__("base_json_integer");
bool json_bool(const struct json *j, bool otherwise);
double json_number(const struct json *j, double otherwise);

/* ---- writing ---- */

/* Puts commas and colons by itself. Start with JSON_WRITER(&buf). A failed buf makes every later
 * call do nothing; check buf.failed once at the end. */
struct json_writer {
    struct buf *out;
    bool comma;
};
#define JSON_WRITER(buf_) ((struct json_writer){.out = (buf_)})

void json_object_begin(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, const char *key); /* key: ASCII of ours */

void json_put_string(struct json_writer *w, const char *s); /* NULL writes null */
void json_put_bytes(struct json_writer *w, const char *s, size_t n);
void json_put_int(struct json_writer *w, int64_t v);
void json_put_uint(struct json_writer *w, uint64_t v);
void json_put_double(struct json_writer *w, double v);
void json_put_bool(struct json_writer *w, bool v);
void json_put_null(struct json_writer *w);
void json_put_raw(struct json_writer *w, const char *json, size_t n); /* a value, already JSON */

void json_put_tree(struct json_writer *w, const struct json *j); /* what was read */

/* key and value in one */
void json_field_string(struct json_writer *w, const char *key, const char *s);
void json_field_int(struct json_writer *w, const char *key, int64_t v);
void json_field_uint(struct json_writer *w, const char *key, uint64_t v);
void json_field_bool(struct json_writer *w, const char *key, bool v);
