/* SPDX-License-Identifier: MIT */
/* A binary min-heap whose items know their place, so that one can leave from the middle. */
#include "core/deadlines.h"

#include <stdlib.h>

#include "base/mem.h"

void deadlines_done(struct deadlines *h)
{
    free(h->heap);
    *h = (struct deadlines){0};
}

static void put(struct deadlines *h, size_t place, struct deadline *d)
{
    h->heap[place - 1] = d;
    d->place = place;
}

static void rise(struct deadlines *h, struct deadline *d)
{
    size_t place = d->place;
    while (place > 1 && h->heap[place / 2 - 1]->at > d->at) {
        put(h, place, h->heap[place / 2 - 1]);
        place /= 2;
    }
    put(h, place, d);
}

static void sink(struct deadlines *h, struct deadline *d)
{
    size_t place = d->place;
    for (;;) {
        size_t child = place * 2;
        if (child > h->count)
            break;
        if (child < h->count && h->heap[child]->at < h->heap[child - 1]->at)
            child++;
        if (h->heap[child - 1]->at >= d->at)
            break;
        put(h, place, h->heap[child - 1]);
        place = child;
    }
    put(h, place, d);
}

void deadlines_set(struct deadlines *h, struct deadline *d, uint64_t at)
{
    d->at = at;
    if (d->place == 0) {
        if (h->count == h->size) {
            h->size = h->size ? h->size * 2 : 16;
            h->heap = mem_realloc_array(h->heap, h->size, sizeof(struct deadline *));
        }
        h->count++;
        put(h, h->count, d);
    }
    rise(h, d);
    sink(h, d);
}

void deadlines_clear(struct deadlines *h, struct deadline *d)
{
    if (d->place == 0)
        return;
    struct deadline *last = h->heap[h->count - 1];
    h->count--;
    if (last != d) {
        put(h, d->place, last);
        rise(h, last);
        sink(h, last);
    }
    d->place = 0;
}

struct deadline *deadlines_first(const struct deadlines *h)
{
    return h->count ? h->heap[0] : NULL;
}
