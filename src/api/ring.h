/* SPDX-License-Identifier: MIT */
/* The last events, numbered from 1: each reader keeps a number and takes what is behind it, so that
 * nothing is kept for a slow one. Bounded in entries and bytes; the oldest go. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct ring;

struct ring_entry {
    uint64_t seq;
    unsigned kind; /* the owner's */
    char *brief;   /* owned: for everybody */
    char *full;    /* owned, or NULL: brief is all there is */
    size_t brief_len, full_len;
};

struct ring *ring_new(size_t entries_max, size_t bytes_max);
struct ring *ring_free(struct ring *r);
CLEANUP_DEFINE(struct ring, ring_free)

/* The next number's event; takes what is in the two (`full` may be NULL). */
void ring_put(struct ring *r, unsigned kind, struct buf *brief, struct buf *full);
/* Something happened that nobody will ask for: its number is used up, and nothing before it can be
 * had any more. */
void ring_skip(struct ring *r);
/* The number of the last event; 0: none yet. */
uint64_t ring_last(const struct ring *r);
/* Whether all behind `seq` can be had. */
bool ring_has_all_after(const struct ring *r, uint64_t seq);
/* Borrowed until the next change; NULL: gone, or not yet. */
const struct ring_entry *ring_get(const struct ring *r, uint64_t seq);
