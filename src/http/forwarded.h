/* SPDX-License-Identifier: MIT */
/* Whose X-Forwarded-For is believed: addresses and networks of proxies, and the client that such a
 * header names. Pure but for words about a bad list. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define FORWARDED_ADDRESS_SIZE 64
#define FORWARDED_MAX 4096 /* bytes of all its headers together; more are not believed */
#define FORWARDED_HOPS_MAX 32

struct forwarded;

/* `list`: "ADDRESS[/BITS];...". -EINVAL with words. *ret NULL when the list is empty. */
int forwarded_new(const char *list, struct forwarded **ret, struct err *err) MUST_CHECK;
struct forwarded *forwarded_free(struct forwarded *f); /* NULL is fine; returns NULL */
CLEANUP_DEFINE(struct forwarded, forwarded_free)

/* Whether the header of a peer at this address is believed. `f` may be NULL: of nobody's. */
bool forwarded_trusts(const struct forwarded *f, const char *address);

/* The client of a request that `peer`, which is trusted, sent with these headers (in their order,
 * joined by commas): the rightmost hop that is no proxy of ours. What stands left of it anybody
 * may have written. Where a hop is no address, or all are proxies, it is the last one that could be
 * read. Always fills `out`, in one form per address. */
void forwarded_client(const struct forwarded *f, const char *peer, const char *headers,
                      char out[FORWARDED_ADDRESS_SIZE]);
