/* SPDX-License-Identifier: MIT */
#include "api/ring.h"

#include "base/mem.h"

struct ring {
    struct ring_entry *entries; /* seq is at seq % size */
    size_t size;
    size_t bytes, bytes_max;
    uint64_t first; /* the oldest that is kept; last + 1: none */
    uint64_t last;
};

struct ring *ring_new(size_t entries_max, size_t bytes_max)
{
    struct ring *r = mem_new(struct ring);
    r->size = entries_max;
    r->bytes_max = bytes_max;
    r->entries = mem_new_array(struct ring_entry, entries_max);
    r->first = 1;
    return r;
}

static void ring_drop_oldest(struct ring *r)
{
    struct ring_entry *e = &r->entries[r->first++ % r->size];
    r->bytes -= e->brief_len + e->full_len;
    free(e->brief);
    free(e->full);
    *e = (struct ring_entry){0};
}

static void ring_drop_all(struct ring *r)
{
    while (r->first <= r->last)
        ring_drop_oldest(r);
}

struct ring *ring_free(struct ring *r)
{
    if (!r)
        return NULL;
    ring_drop_all(r);
    free(r->entries);
    free(r);
    return NULL;
}

void ring_put(struct ring *r, unsigned kind, struct buf *brief, struct buf *full)
{
    struct ring_entry e = {.seq = r->last + 1, .kind = kind, .brief_len = brief->len};
    e.full_len = full ? full->len : 0;
    e.brief = buf_steal(brief);
    e.full = full ? buf_steal(full) : NULL;
    while (r->first <= r->last && (r->last - r->first + 1 >= r->size ||
                                   r->bytes + e.brief_len + e.full_len > r->bytes_max))
        ring_drop_oldest(r);
    r->bytes += e.brief_len + e.full_len;
    r->last = e.seq;
    r->entries[e.seq % r->size] = e;
}

void ring_skip(struct ring *r)
{
    ring_drop_all(r);
    r->last++;
    r->first = r->last + 1;
}

uint64_t ring_last(const struct ring *r)
{
    return r->last;
}

bool ring_has_all_after(const struct ring *r, uint64_t seq)
{
    return seq <= r->last && seq + 1 >= r->first;
}

const struct ring_entry *ring_get(const struct ring *r, uint64_t seq)
{
    return seq >= r->first && seq <= r->last ? &r->entries[seq % r->size] : NULL;
}
