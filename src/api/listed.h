/* SPDX-License-Identifier: MIT */
/* A list of requests that are alive, as a call asks for it: filters, a page, and its order, by id,
 * which is by age. A filter looks only at what its caller is shown. */
#pragma once

#include "api/call.h"

#define LISTED_LIMIT_MAX 1000

struct listed {
    struct call *call;
    bool running;   /* what starts or runs; else what waits */
    char *texts[5]; /* owned; NULL: any. See listed.c */
    bool has_uid;
    uint32_t uid;
    size_t limit;                 /* 0: no page, all of it */
    const struct request **found; /* owned array: what fits, oldest first */
    size_t count, size;
    size_t first, end; /* the page within it */
    struct err err;
};
#define _cleanup_listed_ _cleanup_(listed_done)

/* Reads the query of `c`, finds what fits, and adds the headers that tell of the rest. False, and
 * 400 was sent. To be done with in any case. */
bool listed_read(struct call *c, bool running, struct listed *ret);
void listed_done(struct listed *l);
