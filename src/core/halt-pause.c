/* SPDX-License-Identifier: MIT */
/* A pause: what is held, from when on, and who stops what runs. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/halt-room.h"

#define STAND_WITHIN (3 * CLOCK_NS_PER_SEC) /* from the order on */

int halt_pause_one(struct request *r, bool on, struct err *err)
{
    struct track *t = r->track;
    if (t->frozen == on)
        return 0;
    if (t->stage != STAGE_LAUNCHED && t->stage != STAGE_RUNNING)
        return on ? err_set(err, -EAGAIN, "it does not run yet") : 0;
    if (!r->executor || !r->executor->freeze)
        return err_set(err, -EOPNOTSUPP, "what runs it cannot stop it");
    int error = r->executor->freeze(r->executor, r, on, err);
    if (error == 0)
        t->frozen = on;
    return error;
}

bool halt_pause_runs(const struct request *r)
{
    return r->track->stage == STAGE_LAUNCHED || r->track->stage == STAGE_RUNNING;
}

/* ---- whether it stands still ---- */

/* Whatever stopped its container: a process of a frozen container does not get so far as to stop
 * once more. */
static bool stands_with_container(const struct request *r)
{
    const struct holds *all = r->track->w->holds;
    for (size_t i = 0; r->peer.in && i < holds_count(all); i++) {
        const struct hold *x = holds_at(all, i);
        for (size_t k = 0; k < x->frozen_count; k++)
            if (container_is(r->peer.in, x->frozen[k]))
                return true;
    }
    return false;
}

static bool stands(const struct request *r)
{
    return !r->executor->stands || r->executor->stands(r->executor, r) || stands_with_container(r);
}

static void add_loose(struct halt *h, const struct request *r, const char *words)
{
    struct halt_report *p = &h->report;
    _cleanup_free_ char *text = mem_printf("request %s: %s", r->id_text, words);
    p->loose = mem_realloc_array(p->loose, p->loose_count + 1, sizeof(struct halt_loose));
    struct halt_loose *x = &p->loose[p->loose_count++];
    memcpy(x->id, r->id_text, sizeof(x->id));
    course_say(x->words, sizeof(x->words), words);
    (void)err_set(&p->err, 0, "%s", text);
    p->failed++;
    halt_note(h, text);
}

static void add_moving(struct halt *h, const struct request *r)
{
    if (h->moving_count == 0) {
        h->pending++;
        h->moving_until = course_after(course_monotonic(h->w), STAND_WITHIN);
    }
    h->moving = mem_realloc_array(h->moving, h->moving_count + 1, UUID_TEXT_SIZE);
    memcpy(h->moving[h->moving_count++], r->id_text, UUID_TEXT_SIZE);
    halt_time_rearm(h->w);
}

void halt_pause_forget(struct halt *h)
{
    if (h->moving_count > 0)
        h->pending--;
    h->moving_count = 0;
}

/* True: there is nothing more to see. */
static bool look_at(struct halt *h, const char *id)
{
    const struct request *r = warden_find(h->w, id);
    if (!r || !halt_pause_runs(r) || !r->track->frozen)
        return true; /* it has ended, or somebody lets it go on */
    if (stands(r))
        halt_add_id(&h->report, id);
    else if (course_monotonic(h->w) < h->moving_until)
        return false;
    else
        add_loose(h, r, "something of it does not stand still");
    return true;
}

bool halt_pause_look(struct halt *h)
{
    for (size_t i = h->moving_count; i-- > 0;)
        if (look_at(h, h->moving[i]))
            memmove(h->moving[i], h->moving[--h->moving_count], UUID_TEXT_SIZE);
    if (h->moving_count > 0)
        return false;
    if (--h->pending == 0)
        halt_settled(h);
    return true;
}

void halt_pause_for(struct halt *h, struct request *r)
{
    struct err err = {0};
    if (halt_pause_one(r, true, &err) < 0)
        add_loose(h, r, err.text);
    else if (stands(r))
        halt_add_id(&h->report, r->id_text);
    else
        add_moving(h, r);
}

void halt_pause_late(struct warden *w, const struct hold *x, struct request *r)
{
    struct halt *h = halt_begin_quiet(w, x);
    h->pending = 1;
    halt_pause_for(h, r);
    if (--h->pending == 0)
        halt_settled(h);
}

/* ---- what it stops ---- */

/* Its container stands still as a whole. */
static bool frozen_with_all(const struct halt *h, const struct request *r)
{
    const struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    for (size_t i = 0; x && r->peer.in && i < x->frozen_count; i++)
        if (container_is(r->peer.in, x->frozen[i]))
            return true;
    return false;
}

/* One by one: of the host, or of a container (`key`) that could not be stopped as a whole. */
void halt_pause_requests(struct halt *h, const char *key)
{
    size_t n;
    struct request **all = halt_hold_all(h, &n);
    for (size_t i = 0; i < n; i++) {
        struct request *r = all[i];
        if (!halt_pause_runs(r) || (key && !(r->peer.in && container_is(r->peer.in, key))) ||
            (!key && frozen_with_all(h, r)))
            continue;
        halt_pause_for(h, r);
    }
    halt_release_all(all, n);
}

void halt_pause_add_frozen(struct hold *x, struct halt_item *item)
{
    item->before = hold_froze(x, item->key);
    hold_add_frozen(x, item->key);
}

static void freeze_all(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    halt_find_items(h);
    for (size_t i = 0; x && i < h->report.items_count; i++)
        halt_pause_add_frozen(x, &h->report.items[i]);
    halt_keep(h->w); /* before: a warden that is killed now lets go on what it has stopped */
    h->pending = 1;
    for (size_t i = 0; i < h->report.items_count; i++)
        j->freeze(j, h->report.items[i].key, true, halt_answered, halt_call(h, i));
    halt_pause_requests(h, NULL);
    if (--h->pending == 0)
        halt_settled(h);
}

/* A command that is frozen in the middle of its start is lost: what is on its way has a moment. */
bool halt_pause_starts(const struct halt *h)
{
    list_foreach(it, &h->w->all)
    {
        const struct request *r = list_item(it, struct request, all);
        if (r->track->stage == STAGE_LAUNCHED && halt_concerns(h, r))
            return true;
    }
    return false;
}

void halt_pause_act(struct halt *h)
{
    if (h->looks++ < HALT_LOOKS_MAX && halt_pause_starts(h)) {
        h->starting = true;
        halt_time_rearm(h->w);
        return;
    }
    h->starting = false;
    freeze_all(h);
}

/* A command that runs and cannot be stopped is not "paused". */
void halt_pause_give_up(struct halt *h)
{
    struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    if (x)
        holds_remove(h->w->holds, x);
    halt_request_look(h);
    h->report.error = -EOPNOTSUPP;
}

/* From the moment that this returns nothing of it is started any more. */
static int put_hold(struct halt *h, uint64_t resume_after)
{
    struct warden *w = h->w;
    h->report.already = holds_find(w->holds, h->scope, h->key) != NULL;
    struct hold *x = holds_put(w->holds, h->scope, h->key);
    if (!x)
        return err_set(&h->report.err, -ENOSPC, "too many are paused one by one");
    uint64_t now = course_realtime(w);
    if (!h->report.already)
        x->since = now;
    x->order = h->number;
    x->until = resume_after ? course_after(now, resume_after) : 0;
    x->retry = 0;
    hold_set(&x->name, h->name);
    hold_set(&x->who, h->who);
    hold_set(&x->why, h->why);
    h->report.until = x->until;
    halt_keep(w);
    return 0;
}

void halt_pause(struct warden *w, const struct halt_order *o, halt_done *done, void *arg)
{
    struct halt *h = halt_begin(w, HALT_PAUSE, o, done, arg);
    int r = halt_find_target(h, o);
    if (r == 0)
        r = put_hold(h, o->resume_after);
    if (r < 0) {
        halt_fail(h, r);
        return;
    }
    halt_request_look(h);
    halt_time_rearm(w);
    halt_record(h);
}
