/* SPDX-License-Identifier: MIT */
/* A resume: which pauses it ends, and what keeps a container paused besides. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/halt-room.h"

static bool means(const struct halt *h, enum hold_scope scope, const char *key)
{
    if (h->scope == HOLD_ALL && !h->alone)
        return true;
    return scope == h->scope && str_eq(key, h->key);
}

/* Whether this order ends that pause: not one that was ordered after it, whatever is done first. */
bool halt_resume_lifts(const struct halt *h, const struct hold *x)
{
    return x->order < h->number && means(h, x->scope, x->key);
}

/* Pauses before it that still wait, for what is being started or until all stands still, have
 * nothing left to do. */
static void overtake(const struct halt *h)
{
    struct warden *w = h->w;
    for (struct list *it = w->halts.next; it != &w->halts;) {
        struct halt *p = list_item(it, struct halt, link);
        it = it->next;
        if (p->number > h->number || !means(h, p->scope, p->key) ||
            !(p->starting || p->moving_count > 0))
            continue;
        halt_pause_forget(p);
        if (p->pending > 0)
            continue; /* the jailer answers */
        (void)err_set(&p->report.err, 0, "it was resumed meanwhile");
        halt_fail(p, -EAGAIN);
    }
}

/* The pause that keeps it besides; NULL: none. */
static struct hold *keeper_of(const struct halt *h, const char *key)
{
    struct hold *all = holds_find(h->w->holds, HOLD_ALL, "");
    struct hold *one = holds_find(h->w->holds, HOLD_CONTAINER, key);
    if (all && !halt_resume_lifts(h, all))
        return all;
    return one && !halt_resume_lifts(h, one) ? one : NULL;
}

/* Whoever ends that pause lets it go on. */
static void leave_to(struct warden *w, struct hold *x, const char *key)
{
    hold_add_frozen(x, key);
    list_foreach(it, &w->halts)
    {
        struct halt *h = list_item(it, struct halt, link);
        for (size_t i = 0; h->scope == HOLD_ALL && i < h->report.items_count; i++)
            if (str_eq(h->report.items[i].key, key))
                h->report.items[i].before = true;
    }
}

/* Items of the report that are asked for in one go. */
struct thaw {
    size_t *at; /* owned */
    size_t count;
};

static void thaw_item(struct halt *h, const char *key, const char *name, struct thaw *t)
{
    struct hold *keeper = keeper_of(h, key);
    size_t i = 0;
    if (keeper) {
        leave_to(h->w, keeper, key);
        return;
    }
    while (i < h->report.items_count && !str_eq(h->report.items[i].key, key))
        i++;
    if (i == h->report.items_count)
        (void)halt_add_item(&h->report, key, name);
    t->at = mem_realloc_array(t->at, t->count + 1, sizeof(*t->at));
    t->at[t->count++] = i;
}

/* What its pauses have stopped and not let go on yet. Another order may add to that meanwhile. */
void halt_resume_thaw(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    struct thaw t = {0};
    for (size_t i = 0; i < holds_count(h->w->holds); i++) {
        struct hold *x = holds_at(h->w->holds, i);
        if (!halt_resume_lifts(h, x))
            continue;
        if (x->scope == HOLD_CONTAINER && !h->acting)
            hold_add_frozen(x, x->key); /* whether that is known or not */
        while (x->frozen_count > 0) {
            _cleanup_free_ char *key = mem_strdup(x->frozen[0]);
            hold_drop_frozen(x, key);
            thaw_item(h, key, x->scope == HOLD_CONTAINER ? x->name : key, &t);
        }
    }
    h->acting = true;
    for (size_t i = 0; j && i < t.count; i++)
        j->freeze(j, h->report.items[t.at[i]].key, false, halt_answered, halt_call(h, t.at[i]));
    free(t.at);
}

void halt_resume_act(struct halt *h)
{
    overtake(h);
    h->pending = 1;
    halt_resume_thaw(h);
    if (--h->pending == 0)
        halt_settled(h);
}

/* A container that could not be let go on stays paused, by name. */
static void keep_failed(struct halt *h)
{
    for (size_t i = 0; i < h->report.items_count; i++) {
        const struct halt_item *item = &h->report.items[i];
        if (item->error == 0)
            continue;
        struct hold *x = holds_put(h->w->holds, HOLD_CONTAINER, item->key);
        if (!x)
            continue;
        if (!x->name[0])
            hold_set(&x->name, item->name);
        if (!x->since) {
            x->since = course_realtime(h->w);
            hold_set(&x->who, h->who);
        }
        x->order = ++h->w->orders; /* none that is under way ends it */
        hold_add_frozen(x, item->key);
    }
}

static bool has_failed(const struct halt *h, const struct hold *x)
{
    for (size_t i = 0; x->scope == HOLD_CONTAINER && i < h->report.items_count; i++)
        if (h->report.items[i].error < 0 && str_eq(h->report.items[i].key, x->key))
            return true;
    return false;
}

static void look_at_everything(struct warden *w)
{
    struct halt everything = {.w = w, .scope = HOLD_ALL};
    halt_request_look(&everything);
}

/* The places of callers who could not come back, since they stood still. */
static void shift_claims(struct warden *w, uint64_t since)
{
    uint64_t now = course_realtime(w);
    uint64_t until = course_after(course_monotonic(w), w->config.claim_grace);
    claims_later(w->claims, until, now > since ? now - since : 0);
    if (claims_next(w->claims) != UINT64_MAX)
        course_set_deadline(w, &w->unclaimed, until);
}

static bool is_paused_again(const struct halt *h)
{
    for (size_t i = 0; i < holds_count(h->w->holds); i++) {
        const struct hold *x = holds_at(h->w->holds, i);
        if (x->order > h->number && means(h, x->scope, x->key))
            return true;
    }
    return false;
}

void halt_resume_end(struct halt *h)
{
    struct warden *w = h->w;
    uint64_t since = UINT64_MAX;
    keep_failed(h);
    for (size_t i = holds_count(w->holds); i-- > 0;) {
        struct hold *x = holds_at(w->holds, i);
        if (!halt_resume_lifts(h, x) || has_failed(h, x))
            continue;
        if (x->since < since)
            since = x->since;
        holds_remove(w->holds, x);
    }
    if (since != UINT64_MAX)
        shift_claims(w, since);
    else if (!h->report.failed && is_paused_again(h))
        h->report.error = err_set(&h->report.err, -EAGAIN, "it was paused again meanwhile");
    halt_keep(w);
    h->report.still = h->scope != HOLD_ALL && holds_find(w->holds, HOLD_ALL, "");
    look_at_everything(w);
    halt_time_rearm(w);
}

static int check_resume(struct halt *h)
{
    size_t n = 0;
    for (size_t i = 0; i < holds_count(h->w->holds); i++)
        n += halt_resume_lifts(h, holds_at(h->w->holds, i));
    if (n > 0)
        return 0;
    if (h->scope != HOLD_ALL && holds_find(h->w->holds, HOLD_ALL, ""))
        return err_set(&h->report.err, -EALREADY,
                       "everything is paused, and it with everything: resume all of it");
    return err_set(&h->report.err, -EALREADY, "it is not paused");
}

void halt_resume_by(struct warden *w, const struct halt_order *o, bool alone, halt_done *done,
                    void *arg)
{
    struct halt *h = halt_begin(w, HALT_RESUME, o, done, arg);
    h->alone = alone;
    int r = halt_find_target(h, o);
    if (r == 0)
        r = check_resume(h);
    if (r < 0)
        halt_fail(h, r);
    else
        halt_record(h);
}

void halt_resume(struct warden *w, const struct halt_order *o, halt_done *done, void *arg)
{
    halt_resume_by(w, o, false, done, arg);
}
