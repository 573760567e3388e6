/* SPDX-License-Identifier: MIT */
/* One request under the pauses that are there: its deadline stands still, and goes on. */
#include "base/mem.h"
#include "core/halt-room.h"

bool halt_held(const struct request *r)
{
    const struct holds *all = r->track->w->holds;
    const struct queue_row *claim = r->track->claim;
    char id[UUID_TEXT_SIZE];
    if (holds_count(all) == 0)
        return false;
    if (claim) { /* it has not got its id back yet */
        uuid_format(claim->id, id);
        if (holds_find(all, HOLD_REQUEST, id))
            return true;
    }
    return holds_over(all, r) != NULL;
}

static void tell_again(struct request *r)
{
    if (r->track->told && r->caller)
        r->caller->ops->waiting(r->caller, r);
}

static void stand_still(struct request *r)
{
    struct track *t = r->track;
    uint64_t now = course_monotonic(t->w);
    r->paused = true;
    if (r->deadline && !t->kill_sent) {
        t->left = r->deadline > now ? r->deadline - now : 1;
        deadlines_clear(&t->w->deadlines, &t->deadline);
        r->deadline = 0;
    }
    if (r->state == REQUEST_WAITING)
        tell_again(r);
}

static void go_on(struct request *r)
{
    struct track *t = r->track;
    uint64_t left = t->left;
    r->paused = false;
    t->left = 0;
    (void)halt_pause_one(r, false, NULL);
    if (t->stage == STAGE_HELD) {
        (void)course_event(r, r->answer.verdict == VERDICT_ALLOW ? EV_APPROVED : EV_RESUMED);
        return;
    }
    if (t->stage == STAGE_HELD_LATE) {
        (void)course_event(r, EV_RESUMED);
        return;
    }
    if (left)
        course_due(r, course_after(course_monotonic(t->w), left));
    if (r->state == REQUEST_WAITING)
        tell_again(r);
}

void halt_request(struct request *r)
{
    if (r->state == REQUEST_ENDED || r->state == REQUEST_RECEIVED)
        return;
    bool held = halt_held(r);
    if (held && !r->paused)
        stand_still(r);
    else if (!held && r->paused)
        go_on(r);
}

void halt_request_look(const struct halt *h)
{
    size_t n;
    struct request **all = halt_hold_all(h, &n);
    for (size_t i = 0; i < n; i++)
        halt_request(all[i]);
    halt_release_all(all, n);
}

void halt_started(struct request *r)
{
    struct warden *w = r->track->w;
    const struct hold *x = holds_over(w->holds, r);
    if (!x || !halt_pause_runs(r))
        return;
    halt_request(r);
    list_foreach(it, &w->halts)
    {
        const struct halt *h = list_item(it, struct halt, link);
        if (h->starting && halt_concerns(h, r))
            return; /* it has waited for this one */
    }
    r->track->frozen = false; /* where it is was not known before */
    halt_pause_late(w, x, r);
}

void halt_forget(struct warden *w, const char *id)
{
    struct hold *x = holds_count(w->holds) ? holds_find(w->holds, HOLD_REQUEST, id) : NULL;
    if (!x)
        return;
    holds_remove(w->holds, x);
    halt_keep(w);
}
