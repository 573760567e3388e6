/* SPDX-License-Identifier: MIT */
/* Containers come and go while they are paused, and so do wardens. */
#include <stdlib.h>

#include "base/mem.h"
#include "core/audit.h"
#include "core/halt-room.h"

static bool being_lifted(const struct warden *w, const struct hold *x)
{
    list_foreach(it, &w->halts)
    {
        const struct halt *h = list_item(it, struct halt, link);
        if (h->acting && halt_resume_lifts(h, x))
            return true;
    }
    return false;
}

void halt_arrived(struct warden *w, const char *key)
{
    const struct hold *x = holds_over_key(w->holds, key);
    if (x && being_lifted(w, x))
        x = holds_find(w->holds, HOLD_CONTAINER, key);
    if (!x || !w->config.jailer || being_lifted(w, x))
        return;
    struct halt *h = halt_begin_quiet(w, x);
    size_t i = halt_add_item(&h->report, key, x->scope == HOLD_CONTAINER ? x->name : key);
    halt_pause_add_frozen(holds_find(w->holds, x->scope, x->key), &h->report.items[i]);
    halt_keep(w);
    w->config.jailer->freeze(w->config.jailer, key, true, halt_answered, halt_call(h, i));
}

void halt_removed(struct warden *w, const char *key)
{
    struct hold *x = holds_find(w->holds, HOLD_CONTAINER, key);
    for (size_t i = 0; i < holds_count(w->holds); i++)
        hold_drop_frozen(holds_at(w->holds, i), key);
    if (!x)
        return;
    const struct halt_order o = {
        .scope = HOLD_CONTAINER, .who = HALT_OURSELVES, .why = "the container was removed"};
    struct halt *h = halt_begin(w, HALT_RESUME, &o, NULL, NULL);
    hold_set(&h->key, x->key);
    hold_set(&h->name, x->name);
    halt_note(h, NULL);
    halt_settled(h);
}

/* A pause on the disk may be one whose record was lost with the warden: it gets another. */
static void note_restored(struct warden *w, const struct hold *x)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    const struct audit_halt a = {.event = "pause",
                                 .scope = hold_scope_name(x->scope),
                                 .request = x->scope == HOLD_REQUEST ? x->key : NULL,
                                 .container_id = x->scope == HOLD_CONTAINER ? x->key : NULL,
                                 .container = x->scope == HOLD_CONTAINER ? x->name : NULL,
                                 .who = x->who,
                                 .why = x->why,
                                 .until = x->until,
                                 .restored = true};
    audit_halt(&a, course_realtime(w), &members);
    course_note(w, &members);
}

static void arrive(void *arg, const struct jail *j)
{
    struct halt *h = arg;
    (void)halt_add_item(&h->report, j->key, j->name);
}

void halt_restore(struct warden *w, struct holds *h)
{
    holds_free(w->holds);
    w->holds = h;
    for (size_t i = holds_count(h); i-- > 0;) {
        struct hold *x = holds_at(h, i);
        if (x->scope == HOLD_REQUEST && !claims_has(w->claims, x->key))
            holds_remove(h, x); /* it has ended with the last warden */
        else
            note_restored(w, x);
    }
    struct halt there = {.w = w};
    if (w->config.jailer)
        w->config.jailer->each(w->config.jailer, arrive, &there);
    for (size_t i = 0; i < there.report.items_count; i++) {
        halt_arrived(w, there.report.items[i].key);
        free(there.report.items[i].key);
        free(there.report.items[i].name);
    }
    free(there.report.items);
    halt_time_rearm(w);
}
