/* SPDX-License-Identifier: MIT */
/* Pauses that end by time, and those that wait for what is just being started. */
#include "base/clock.h"
#include "core/halt-room.h"

#define RETRY_AFTER (5 * CLOCK_NS_PER_SEC) /* a resume by time */
#define LOOK_AT_TIME (60 * CLOCK_NS_PER_SEC)

void halt_time_rearm(struct warden *w)
{
    uint64_t now = course_monotonic(w), wall = course_realtime(w), at = UINT64_MAX;
    list_foreach(it, &w->halts)
    {
        const struct halt *h = list_item(it, struct halt, link);
        if (h->starting || h->moving_count > 0)
            at = course_after(now, HALT_LOOK_EVERY);
    }
    for (size_t i = 0; i < holds_count(w->holds); i++) {
        const struct hold *x = holds_at(w->holds, i);
        if (!x->until)
            continue;
        uint64_t left = x->until > wall ? x->until - wall : 0;
        uint64_t then = course_after(now, left < LOOK_AT_TIME ? left : LOOK_AT_TIME);
        if (then < x->retry)
            then = x->retry;
        if (then < at)
            at = then;
    }
    if (at == UINT64_MAX)
        deadlines_clear(&w->deadlines, &w->halting);
    else
        course_set_deadline(w, &w->halting, at);
}

/* By time, for what paused it alone. Tried again when it fails. */
static void resume_by_time(struct warden *w, struct hold *x)
{
    const struct halt_order o = {
        .scope = x->scope, .target = x->key, .who = HALT_OURSELVES, .why = "its time is up"};
    x->retry = course_after(course_monotonic(w), RETRY_AFTER);
    halt_resume_by(w, &o, true, NULL, NULL);
}

static struct hold *find_due(struct warden *w)
{
    uint64_t now = course_monotonic(w), wall = course_realtime(w);
    for (size_t i = 0; i < holds_count(w->holds); i++) {
        struct hold *x = holds_at(w->holds, i);
        if (x->until && x->until <= wall && x->retry <= now)
            return x;
    }
    return NULL;
}

/* True: it went a step further, and may have ended, and others with it. */
static bool look_at(struct halt *h)
{
    if (h->moving_count > 0)
        return halt_pause_look(h);
    if (!h->starting || (h->looks < HALT_LOOKS_MAX && halt_pause_starts(h)))
        return false;
    h->looks = HALT_LOOKS_MAX;
    halt_pause_act(h);
    return true;
}

void halt_due(struct warden *w)
{
    struct hold *x;
    while ((x = find_due(w)))
        resume_by_time(w, x);
    for (bool again = true; again;) {
        again = false;
        list_foreach(it, &w->halts) if ((again = look_at(list_item(it, struct halt, link)))) break;
    }
    list_foreach(it, &w->halts)
    {
        struct halt *h = list_item(it, struct halt, link);
        h->looks += h->starting;
    }
    halt_time_rearm(w);
}
