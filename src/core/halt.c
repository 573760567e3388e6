/* SPDX-License-Identifier: MIT */
/* An order goes through the same steps whoever gave it: what is meant, the record, the act, the
 * answers of the jailer, the report. What the warden already does with single requests stays in
 * core/warden.c and core/course.c. */
#include "core/halt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/course.h"

#define STATE_MAX (16u << 20)
#define LOOK_EVERY (20 * CLOCK_NS_PER_MS) /* at what is just being started */
#define LOOKS_MAX 15
#define RETRY_AFTER (5 * CLOCK_NS_PER_SEC) /* a resume by time */
#define LOOK_AT_TIME (60 * CLOCK_NS_PER_SEC)
#define OURSELVES "clawrden"

enum halt_kind { HALT_KILL, HALT_PAUSE, HALT_RESUME };

struct halt {
    struct list link;
    struct warden *w;
    uint64_t number; /* from 1; who came later has a higher one */
    enum halt_kind kind;
    enum hold_scope scope;
    char *key, *name, *who, *why; /* owned */
    int signo;
    bool alone;    /* of a resume of everything: nothing but what paused everything */
    bool quiet;    /* of a pause that was told of before: only somebody more comes under it */
    bool starting; /* a pause that waits for what is just being started */
    bool acting;   /* a resume whose record is there */
    unsigned looks;
    unsigned pending; /* answers of the jailer */
    struct halt_report report;
    halt_done *done;
    void *arg;
};

/* One question to the jailer. */
struct halt_call {
    struct halt *h;
    size_t item;
};

/* ---- life of an order ---- */

static struct halt *begin(struct warden *w, enum halt_kind kind, const struct halt_order *o,
                          halt_done *done, void *arg)
{
    struct halt *h = mem_new(struct halt);
    h->w = w;
    h->number = ++w->orders;
    h->kind = kind;
    h->scope = o->scope;
    h->key = mem_strdup("");
    h->name = mem_strdup("");
    h->who = mem_strdup(o->who ? o->who : "");
    h->why = mem_strdup(o->why ? o->why : "");
    h->signo = o->signo;
    h->report.recorded = true;
    h->done = done;
    h->arg = arg;
    list_append(&w->halts, &h->link);
    return h;
}

static void discard(struct halt *h)
{
    struct halt_report *p = &h->report;
    for (size_t i = 0; i < p->items_count; i++) {
        free(p->items[i].key);
        free(p->items[i].name);
    }
    free(p->items);
    free(p->ids);
    free(h->key);
    free(h->name);
    free(h->who);
    free(h->why);
    free(h);
}

static void finish(struct halt *h)
{
    list_remove(&h->link);
    if (h->done)
        h->done(h->arg, &h->report);
    discard(h);
}

/* With h->report.err set. */
static void fail(struct halt *h, int error)
{
    h->report.error = error;
    finish(h);
}

static void add_id(struct halt_report *p, const char *id)
{
    p->ids = mem_realloc_array(p->ids, p->ids_count + 1, UUID_TEXT_SIZE);
    memcpy(p->ids[p->ids_count++], id, UUID_TEXT_SIZE);
}

static size_t add_item(struct halt_report *p, const char *key, const char *name)
{
    p->items = mem_realloc_array(p->items, p->items_count + 1, sizeof(struct halt_item));
    p->items[p->items_count] = (struct halt_item){.key = mem_strdup(key), .name = mem_strdup(name)};
    return p->items_count++;
}

static void halt_keep(struct warden *w)
{
    struct err err;
    _cleanup_buf_ struct buf text = BUF_INIT(STATE_MAX);
    if (!w->config.keeper)
        return;
    holds_write(w->holds, &text);
    if (text.failed || w->config.keeper->keep(w->config.keeper, buf_str(&text), text.len, &err) < 0)
        metrics_count_error(w->metrics, METRICS_ERROR_AUDIT);
}

/* ---- records ---- */

static const char *event_of(enum halt_kind k)
{
    switch (k) {
    case HALT_KILL:
        return "kill";
    case HALT_PAUSE:
        return "pause";
    case HALT_RESUME:
        return "resume";
    }
    return "kill";
}

static struct audit_halt summary(const struct halt *h, const char *error)
{
    bool one = h->scope == HOLD_REQUEST, container = h->scope == HOLD_CONTAINER;
    return (struct audit_halt){.event = event_of(h->kind),
                               .scope = hold_scope_name(h->scope),
                               .request = one ? h->key : NULL,
                               .container_id = container ? h->key : NULL,
                               .container = container ? h->name : NULL,
                               .who = h->who,
                               .why = h->why,
                               .signal = h->kind == HALT_KILL ? sigabbrev_np(h->signo) : NULL,
                               .error = error,
                               .until = h->report.until};
}

static void describe(const struct halt *h, const char *error, struct buf *out)
{
    const struct audit_halt a = summary(h, error);
    audit_halt(&a, course_realtime(h->w), out);
}

/* To whoever watches: it is done, as far as it could be. */
static void tell_watchers(const struct halt *h)
{
    const struct audit_halt a = summary(h, h->report.failed ? h->report.err.text : NULL);
    const struct event e = {
        .kind = EVENT_HALT, .time = course_realtime(h->w), .halt = &a, .failed = h->report.failed};
    events_emit(h->w->events, &e);
}

static void note(const struct halt *h, const char *error)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    describe(h, error, &members);
    course_note(h->w, &members);
    course_watch_journal(h->w);
}

static void act(struct halt *h);

/* Of what was let go on: before that it must be durable. */
static void recorded(void *arg, int result)
{
    struct halt *h = arg;
    if (result == 0) {
        act(h);
        return;
    }
    metrics_count_error(h->w->metrics, METRICS_ERROR_AUDIT);
    (void)err_set(&h->report.err, 0, "it could not be recorded, so it was not done");
    fail(h, -EIO);
}

/* A kill and a pause are written before they are done, and do not wait for more. */
static void record(struct halt *h)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    if (h->kind == HALT_RESUME) {
        describe(h, NULL, &members);
        if (journal_append(h->w->journal, &members, recorded, h, NULL) < 0)
            recorded(h, -EIO);
        return;
    }
    note(h, NULL);
    h->report.recorded = journal_check(h->w->journal, NULL) == 0;
    act(h);
}

/* ---- what is meant ---- */

static int find_container(struct halt *h, const char *name)
{
    bool many = false;
    char key[CONTAINER_KEY_SIZE];
    _cleanup_free_ char *found = NULL;
    struct jailer *j = h->w->config.jailer;
    int r = j ? j->find(j, name, key, &found, &h->report.err) : -ENOENT;
    if (r == 0) {
        hold_set(&h->key, key);
        hold_set(&h->name, found);
        return 0;
    }
    /* It may have ended while it was paused. */
    const struct hold *x = r == -ENOENT ? holds_named(h->w->holds, name, &many) : NULL;
    if (many)
        return err_set(&h->report.err, -ENOTUNIQ, "several containers are meant: say its whole id");
    if (!x)
        return j ? r : err_set(&h->report.err, -ENOENT, "this warden knows of no containers");
    hold_set(&h->key, x->key);
    hold_set(&h->name, x->name);
    return 0;
}

static int find_request(struct halt *h, const char *id)
{
    struct request *r;
    hold_set(&h->key, id);
    if (h->kind == HALT_RESUME && holds_find(h->w->holds, HOLD_REQUEST, id))
        return 0;
    return warden_find_open(h->w, id, &r, &h->report.err);
}

static int find_target(struct halt *h, const struct halt_order *o)
{
    struct err *err = &h->report.err;
    if (!h->who[0])
        return err_set(err, -EINVAL, "a %s needs the name of who wants it", event_of(h->kind));
    if (h->scope == HOLD_ALL)
        return 0;
    if (!o->target || !o->target[0])
        return err_set(err, -EINVAL, "which one?");
    return h->scope == HOLD_CONTAINER ? find_container(h, o->target) : find_request(h, o->target);
}

static bool concerns(const struct halt *h, const struct request *r)
{
    switch (h->scope) {
    case HOLD_ALL:
        return true;
    case HOLD_CONTAINER:
        return r->peer.in && container_is(r->peer.in, h->key);
    case HOLD_REQUEST:
        return str_eq(h->key, r->id_text);
    }
    return false;
}

/* Every request that it concerns, each held until release_all(). */
static struct request **hold_all(const struct halt *h, size_t *ret_count)
{
    struct request **all = mem_new_array(struct request *, h->w->count + 1);
    *ret_count = 0;
    list_foreach(it, &h->w->all)
    {
        struct request *r = list_item(it, struct request, all);
        if (r->state == REQUEST_ENDED || !concerns(h, r))
            continue;
        course_hold(r);
        all[(*ret_count)++] = r;
    }
    return all;
}

static void release_all(struct request **all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        course_release(all[i]);
    free(all);
}

/* ---- containers ---- */

static void collect(void *arg, const struct jail *j)
{
    struct halt *h = arg;
    if (h->scope == HOLD_ALL || str_eq(h->key, j->key))
        (void)add_item(&h->report, j->key, j->name);
}

/* The containers that it concerns become items of the report. */
static void find_items(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    if (j && h->scope != HOLD_REQUEST)
        j->each(j, collect, h);
}

static void settled(struct halt *h);

static void freeze_requests(struct halt *h, const char *key);

static void answered(void *arg, int result, const char *words)
{
    struct halt_call *c = arg;
    struct halt *h = c->h;
    struct halt_item *item = &h->report.items[c->item];
    free(c);
    if (!h->w) { /* see halt_end() */
        if (--h->pending == 0)
            discard(h);
        return;
    }
    struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    if (x && x->order > h->number)
        x = NULL; /* of a later pause, which asks for itself */
    item->error = result == -EALREADY ? 0 : result;
    /* Somebody else has stopped it, and may let it go on: not ours to do with everything. What
     * could not be stopped may stand still in part. */
    bool theirs =
        result == -EALREADY && h->scope == HOLD_ALL && !h->report.already && !item->before;
    if (h->kind == HALT_PAUSE && x && (result == -ENOENT || theirs))
        hold_drop_frozen(x, item->key);
    item->absent = item->error == -ENOENT;
    if (item->absent)
        item->error = 0; /* what is gone neither runs nor waits */
    if (item->error < 0) {
        _cleanup_free_ char *text = mem_printf("container %s: %s", item->name, words);
        (void)snprintf(item->words, sizeof(item->words), "%s", words);
        h->report.failed++;
        note(h, text);
        if (h->kind == HALT_PAUSE)
            freeze_requests(h, item->key);
    }
    if (--h->pending == 0)
        settled(h);
}

static struct halt_call *call(struct halt *h, size_t item)
{
    struct halt_call *c = mem_new(struct halt_call);
    *c = (struct halt_call){h, item};
    h->pending++;
    return c;
}

/* ---- killing ---- */

static void kill_requests(struct halt *h)
{
    size_t n;
    struct request **all = hold_all(h, &n);
    for (size_t i = 0; i < n; i++) {
        enum stage before = all[i]->track->stage;
        warden_kill_request(all[i], h->signo, h->who, h->why);
        if (before != all[i]->track->stage || all[i]->track->killed_by[0])
            add_id(&h->report, all[i]->id_text);
    }
    release_all(all, n);
}

static void act_kill(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    kill_requests(h);
    if (h->scope == HOLD_REQUEST && h->report.ids_count == 0) {
        (void)err_set(&h->report.err, 0, "it has ended meanwhile");
        h->report.error = -EALREADY;
    }
    find_items(h);
    h->pending = 1;
    for (size_t i = 0; i < h->report.items_count; i++) {
        const char *key = h->report.items[i].key;
        int signo = holds_over_key(h->w->holds, key) ? SIGKILL : h->signo;
        j->kill(j, key, signo, h->w->config.kill_grace, answered, call(h, i));
    }
    if (--h->pending == 0)
        settled(h);
}

/* ---- pausing ---- */

static void rearm(struct warden *w);

static int freeze(struct request *r, bool on, struct err *err)
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

static bool runs(const struct request *r)
{
    return r->track->stage == STAGE_LAUNCHED || r->track->stage == STAGE_RUNNING;
}

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
static void freeze_requests(struct halt *h, const char *key)
{
    size_t n;
    struct err err = {0};
    struct request **all = hold_all(h, &n);
    for (size_t i = 0; i < n; i++) {
        struct request *r = all[i];
        if (!runs(r) || (key && !(r->peer.in && container_is(r->peer.in, key))) ||
            (!key && frozen_with_all(h, r)))
            continue;
        if (freeze(r, true, &err) == 0) {
            add_id(&h->report, r->id_text);
            continue;
        }
        _cleanup_free_ char *text = mem_printf("request %s: %s", r->id_text, err.text);
        note(h, text);
        (void)err_set(&h->report.err, 0, "%s", text);
        h->report.failed++;
    }
    release_all(all, n);
}

static void add_frozen(struct hold *x, struct halt_item *item)
{
    item->before = hold_froze(x, item->key);
    hold_add_frozen(x, item->key);
}

static void freeze_all(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    find_items(h);
    for (size_t i = 0; x && i < h->report.items_count; i++)
        add_frozen(x, &h->report.items[i]);
    halt_keep(h->w); /* before: a warden that is killed now lets go on what it has stopped */
    h->pending = 1;
    for (size_t i = 0; i < h->report.items_count; i++)
        j->freeze(j, h->report.items[i].key, true, answered, call(h, i));
    freeze_requests(h, NULL);
    if (--h->pending == 0)
        settled(h);
}

/* A command that is frozen in the middle of its start is lost: what is on its way has a moment. */
static bool something_starts(const struct halt *h)
{
    list_foreach(it, &h->w->all)
    {
        const struct request *r = list_item(it, struct request, all);
        if (r->track->stage == STAGE_LAUNCHED && concerns(h, r))
            return true;
    }
    return false;
}

static void look_at_requests(struct halt *h)
{
    size_t n;
    struct request **all = hold_all(h, &n);
    for (size_t i = 0; i < n; i++)
        halt_request(all[i]);
    release_all(all, n);
}

static void act_pause(struct halt *h)
{
    if (h->looks++ < LOOKS_MAX && something_starts(h)) {
        h->starting = true;
        rearm(h->w);
        return;
    }
    h->starting = false;
    freeze_all(h);
}

/* ---- going on ---- */

static bool means(const struct halt *h, enum hold_scope scope, const char *key)
{
    if (h->scope == HOLD_ALL && !h->alone)
        return true;
    return scope == h->scope && str_eq(key, h->key);
}

/* Whether this order ends that pause: not one that was ordered after it, whatever is done first. */
static bool lifts(const struct halt *h, const struct hold *x)
{
    return x->order < h->number && means(h, x->scope, x->key);
}

/* Pauses before it that still wait for what is being started have nothing left to do. */
static void overtake(const struct halt *h)
{
    struct warden *w = h->w;
    for (struct list *it = w->halts.next; it != &w->halts;) {
        struct halt *p = list_item(it, struct halt, link);
        it = it->next;
        if (!p->starting || p->number > h->number || !means(h, p->scope, p->key))
            continue;
        (void)err_set(&p->report.err, 0, "it was resumed meanwhile");
        fail(p, -EAGAIN);
    }
}

/* The pause that keeps it besides; NULL: none. */
static struct hold *keeper_of(const struct halt *h, const char *key)
{
    struct hold *all = holds_find(h->w->holds, HOLD_ALL, "");
    struct hold *one = holds_find(h->w->holds, HOLD_CONTAINER, key);
    if (all && !lifts(h, all))
        return all;
    return one && !lifts(h, one) ? one : NULL;
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
        (void)add_item(&h->report, key, name);
    t->at = mem_realloc_array(t->at, t->count + 1, sizeof(*t->at));
    t->at[t->count++] = i;
}

/* What its pauses have stopped and not let go on yet. Another order may add to that meanwhile. */
static void thaw(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    struct thaw t = {0};
    for (size_t i = 0; i < holds_count(h->w->holds); i++) {
        struct hold *x = holds_at(h->w->holds, i);
        if (!lifts(h, x))
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
        j->freeze(j, h->report.items[t.at[i]].key, false, answered, call(h, t.at[i]));
    free(t.at);
}

static void act_resume(struct halt *h)
{
    overtake(h);
    h->pending = 1;
    thaw(h);
    if (--h->pending == 0)
        settled(h);
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
    look_at_requests(&everything);
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

static void resumed(struct halt *h)
{
    struct warden *w = h->w;
    uint64_t since = UINT64_MAX;
    keep_failed(h);
    for (size_t i = holds_count(w->holds); i-- > 0;) {
        struct hold *x = holds_at(w->holds, i);
        if (!lifts(h, x) || has_failed(h, x))
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
    rearm(w);
}

/* ---- the steps ---- */

static void act(struct halt *h)
{
    switch (h->kind) {
    case HALT_KILL:
        act_kill(h);
        return;
    case HALT_PAUSE:
        act_pause(h);
        return;
    case HALT_RESUME:
        act_resume(h);
        return;
    }
}

/* A command that runs and cannot be stopped is not "paused". */
static void give_up(struct halt *h)
{
    struct hold *x = holds_find(h->w->holds, h->scope, h->key);
    if (x)
        holds_remove(h->w->holds, x);
    look_at_requests(h);
    h->report.error = -EOPNOTSUPP;
}

/* All answers are there, so far. */
static void settled(struct halt *h)
{
    if (h->kind == HALT_PAUSE && h->scope == HOLD_REQUEST && h->report.failed)
        give_up(h);
    if (h->kind == HALT_PAUSE)
        halt_keep(h->w);
    if (h->kind == HALT_RESUME) {
        h->pending = 1;
        thaw(h);
        if (--h->pending > 0)
            return; /* more of them answer */
        resumed(h);
    }
    if (h->report.error == 0 && !h->quiet)
        tell_watchers(h);
    finish(h);
}

void halt_kill(struct warden *w, const struct halt_order *o, halt_done *done, void *arg)
{
    struct halt *h = begin(w, HALT_KILL, o, done, arg);
    int r = find_target(h, o);
    if (r == 0 && (o->signo < 0 || o->signo > SIGRTMAX))
        r = err_set(&h->report.err, -EINVAL, "no such signal: %d", o->signo);
    if (r < 0) {
        fail(h, r);
        return;
    }
    if (h->signo == 0)
        h->signo = SIGTERM;
    record(h);
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
    struct halt *h = begin(w, HALT_PAUSE, o, done, arg);
    int r = find_target(h, o);
    if (r == 0)
        r = put_hold(h, o->resume_after);
    if (r < 0) {
        fail(h, r);
        return;
    }
    look_at_requests(h);
    rearm(w);
    record(h);
}

static int check_resume(struct halt *h)
{
    size_t n = 0;
    for (size_t i = 0; i < holds_count(h->w->holds); i++)
        n += lifts(h, holds_at(h->w->holds, i));
    if (n > 0)
        return 0;
    if (h->scope != HOLD_ALL && holds_find(h->w->holds, HOLD_ALL, ""))
        return err_set(&h->report.err, -EALREADY,
                       "everything is paused, and it with everything: resume all of it");
    return err_set(&h->report.err, -EALREADY, "it is not paused");
}

static void resume(struct warden *w, const struct halt_order *o, bool alone, halt_done *done,
                   void *arg)
{
    struct halt *h = begin(w, HALT_RESUME, o, done, arg);
    h->alone = alone;
    int r = find_target(h, o);
    if (r == 0)
        r = check_resume(h);
    if (r < 0)
        fail(h, r);
    else
        record(h);
}

void halt_resume(struct warden *w, const struct halt_order *o, halt_done *done, void *arg)
{
    resume(w, o, false, done, arg);
}

const struct holds *halt_holds(const struct warden *w)
{
    return w->holds;
}

/* ---- single requests ---- */

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
    (void)freeze(r, false, NULL);
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

void halt_started(struct request *r)
{
    struct err err = {0};
    const struct hold *x = holds_over(r->track->w->holds, r);
    if (!x || !runs(r))
        return;
    halt_request(r);
    list_foreach(it, &r->track->w->halts)
    {
        const struct halt *h = list_item(it, struct halt, link);
        if (h->starting && concerns(h, r))
            return; /* it has waited for this one */
    }
    (void)freeze(r, true, &err); /* where it cannot be, the order's report says so for its like */
}

void halt_forget(struct warden *w, const char *id)
{
    struct hold *x = holds_count(w->holds) ? holds_find(w->holds, HOLD_REQUEST, id) : NULL;
    if (!x)
        return;
    holds_remove(w->holds, x);
    halt_keep(w);
}

/* ---- time ---- */

static void rearm(struct warden *w)
{
    uint64_t now = course_monotonic(w), wall = course_realtime(w), at = UINT64_MAX;
    list_foreach(it, &w->halts) if (list_item(it, struct halt, link)->starting) at =
        course_after(now, LOOK_EVERY);
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
        .scope = x->scope, .target = x->key, .who = OURSELVES, .why = "its time is up"};
    x->retry = course_after(course_monotonic(w), RETRY_AFTER);
    resume(w, &o, true, NULL, NULL);
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

void halt_due(struct warden *w)
{
    struct hold *x;
    while ((x = find_due(w)))
        resume_by_time(w, x);
    for (bool again = true; again;) {
        again = false;
        list_foreach(it, &w->halts)
        {
            struct halt *h = list_item(it, struct halt, link);
            if (!h->starting || (h->looks < LOOKS_MAX && something_starts(h)))
                continue;
            h->looks = LOOKS_MAX;
            act_pause(h); /* may end it, and others */
            again = true;
            break;
        }
    }
    list_foreach(it, &w->halts)
    {
        struct halt *h = list_item(it, struct halt, link);
        h->looks += h->starting;
    }
    rearm(w);
}

void halt_end(struct warden *w)
{
    while (!list_empty(&w->halts)) {
        struct halt *h = list_item(w->halts.next, struct halt, link);
        (void)err_set(&h->report.err, 0, "the warden is stopping");
        h->report.error = -EAGAIN;
        if (h->pending == 0) {
            finish(h);
            continue;
        }
        /* The jailer still answers: then nobody hears of it. */
        list_remove(&h->link);
        if (h->done)
            h->done(h->arg, &h->report);
        h->w = NULL;
    }
}

/* ---- containers come and go ---- */

static bool being_lifted(const struct warden *w, const struct hold *x)
{
    list_foreach(it, &w->halts)
    {
        const struct halt *h = list_item(it, struct halt, link);
        if (h->acting && lifts(h, x))
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
    const struct halt_order o = {.scope = x->scope, .who = OURSELVES, .why = "it is paused"};
    struct halt *h = begin(w, HALT_PAUSE, &o, NULL, NULL);
    hold_set(&h->key, x->key);
    hold_set(&h->name, x->name);
    h->report.already = true;
    h->quiet = true;
    size_t i = add_item(&h->report, key, x->scope == HOLD_CONTAINER ? x->name : key);
    add_frozen(holds_find(w->holds, x->scope, x->key), &h->report.items[i]);
    halt_keep(w);
    w->config.jailer->freeze(w->config.jailer, key, true, answered, call(h, i));
}

void halt_removed(struct warden *w, const char *key)
{
    struct hold *x = holds_find(w->holds, HOLD_CONTAINER, key);
    for (size_t i = 0; i < holds_count(w->holds); i++)
        hold_drop_frozen(holds_at(w->holds, i), key);
    if (!x)
        return;
    const struct halt_order o = {
        .scope = HOLD_CONTAINER, .who = OURSELVES, .why = "the container was removed"};
    struct halt *h = begin(w, HALT_RESUME, &o, NULL, NULL);
    hold_set(&h->key, x->key);
    hold_set(&h->name, x->name);
    note(h, NULL);
    settled(h);
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
    (void)add_item(&h->report, j->key, j->name);
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
    rearm(w);
}
