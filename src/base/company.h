/* SPDX-License-Identifier: MIT */
/* Whether somebody else is about: who alone asks for something may have all of it, who is not gets
 * a share. Of two it is known when each came last, which is enough. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct company {
    uint64_t last;     /* who came last */
    uint64_t last_at;  /* when; 0: nobody yet */
    uint64_t other_at; /* when one other than `last` came last; 0: nobody yet */
};

/* `who` comes. */
static inline void company_note(struct company *c, uint64_t who, uint64_t now)
{
    if (c->last != who)
        c->other_at = c->last_at;
    c->last = who;
    c->last_at = now;
}

/* Whether one other than `who` came less than `within` ago. */
static inline bool company_others(const struct company *c, uint64_t who, uint64_t now,
                                  uint64_t within)
{
    uint64_t at = c->last == who ? c->other_at : c->last_at;
    return at != 0 && now - at < within;
}
