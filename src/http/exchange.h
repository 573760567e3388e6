/* SPDX-License-Identifier: MIT */
/* One request and its answer. Borrowed by the handler for the time of the call; who answers later
 * keeps a reference. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "http/front.h"

struct exchange;

struct exchange *exchange_ref(struct exchange *x);
struct exchange *exchange_unref(struct exchange *x);
CLEANUP_DEFINE(struct exchange, exchange_unref)

const char *exchange_method(const struct exchange *x);
const char *exchange_path(const struct exchange *x); /* as sent, without the query */
const struct front_peer *exchange_peer(const struct exchange *x);
/* What this request is called in answer, log and records: a UUIDv7 of ours. */
const char *exchange_id(const struct exchange *x);
/* All headers of this name, joined by commas in their order. False: longer than `out` takes. */
bool exchange_joined_header(const struct exchange *x, const char *name, struct buf *out);
/* Headers and query can be read until the answer is given. NULL when absent; headers may be asked
 * for in any case. */
const char *exchange_header(const struct exchange *x, const char *name);
/* Each query parameter in turn, decoded; `fn` returns false to stop. False: a parameter is
 * malformed or longer than 4 KiB, or `fn` stopped. */
bool exchange_each_query(const struct exchange *x,
                         bool (*fn)(void *arg, const char *key, const char *value), void *arg);
/* HTTP/1.1: an answer may come in chunks. */
bool exchange_takes_chunks(const struct exchange *x);
const struct buf *exchange_body(const struct exchange *x);
/* The body is larger than is read: answer with a refusal. */
bool exchange_oversize(const struct exchange *x);

/* Adds a header to the answer, before exchange_reply(). */
void exchange_add_header(struct exchange *x, const char *name, const char *value);
/* Gives the answer; takes what is in `body` (NULL: nothing). A second one, and one whose caller has
 * gone, does nothing. */
void exchange_reply(struct exchange *x, unsigned status, const char *content_type,
                    struct buf *body);
bool exchange_replied(const struct exchange *x);
