/* SPDX-License-Identifier: MIT */
/* Moments to come, the nearest first. No clock: callers compare. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* Embedded in its owner; zeroed means not set. */
struct deadline {
    uint64_t at;
    size_t place; /* in the heap, from 1; 0: not set */
};

/* Zeroed means empty. */
struct deadlines {
    struct deadline **heap; /* owned array of borrowed deadlines */
    size_t count, size;
};

void deadlines_done(struct deadlines *h);
/* Sets or moves it. */
void deadlines_set(struct deadlines *h, struct deadline *d, uint64_t at);
void deadlines_clear(struct deadlines *h, struct deadline *d); /* harmless when not set */
struct deadline *deadlines_first(const struct deadlines *h);   /* NULL when empty */
