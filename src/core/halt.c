/* SPDX-License-Identifier: MIT */
/* An order goes through the same steps whoever gave it: what is meant, the record, the act, the
 * answers of the jailer, the report. What the warden already does with single requests stays in
 * core/warden.c and core/course.c. */
#include "core/halt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/halt-room.h"

#define STATE_MAX (16u << 20)

/* ---- life of an order ---- */

struct halt *halt_begin(struct warden *w, enum halt_kind kind, const struct halt_order *o,
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

struct halt *halt_begin_quiet(struct warden *w, const struct hold *x)
{
    const struct halt_order o = {.scope = x->scope, .who = HALT_OURSELVES, .why = "it is paused"};
    struct halt *h = halt_begin(w, HALT_PAUSE, &o, NULL, NULL);
    hold_set(&h->key, x->key);
    hold_set(&h->name, x->name);
    h->report.already = true;
    h->quiet = true;
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
    free(p->loose);
    free(h->moving);
    free(h->key);
    free(h->name);
    free(h->who);
    free(h->why);
    free(h);
}

void halt_finish(struct halt *h)
{
    list_remove(&h->link);
    if (h->done)
        h->done(h->arg, &h->report);
    discard(h);
}

/* With h->report.err set. */
void halt_fail(struct halt *h, int error)
{
    h->report.error = error;
    halt_finish(h);
}

void halt_add_id(struct halt_report *p, const char *id)
{
    p->ids = mem_realloc_array(p->ids, p->ids_count + 1, UUID_TEXT_SIZE);
    memcpy(p->ids[p->ids_count++], id, UUID_TEXT_SIZE);
}

size_t halt_add_item(struct halt_report *p, const char *key, const char *name)
{
    p->items = mem_realloc_array(p->items, p->items_count + 1, sizeof(struct halt_item));
    p->items[p->items_count] = (struct halt_item){.key = mem_strdup(key), .name = mem_strdup(name)};
    return p->items_count++;
}

void halt_keep(struct warden *w)
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

void halt_note(const struct halt *h, const char *error)
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
    halt_fail(h, -EIO);
}

/* A kill and a pause are written before they are done, and do not wait for more. */
void halt_record(struct halt *h)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    if (h->kind == HALT_RESUME) {
        describe(h, NULL, &members);
        if (journal_append(h->w->journal, &members, recorded, h, NULL) < 0)
            recorded(h, -EIO);
        return;
    }
    halt_note(h, NULL);
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

int halt_find_target(struct halt *h, const struct halt_order *o)
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

bool halt_concerns(const struct halt *h, const struct request *r)
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

/* Every request that it concerns, each held until halt_release_all(). */
struct request **halt_hold_all(const struct halt *h, size_t *ret_count)
{
    struct request **all = mem_new_array(struct request *, h->w->count + 1);
    *ret_count = 0;
    list_foreach(it, &h->w->all)
    {
        struct request *r = list_item(it, struct request, all);
        if (r->state == REQUEST_ENDED || !halt_concerns(h, r))
            continue;
        course_hold(r);
        all[(*ret_count)++] = r;
    }
    return all;
}

void halt_release_all(struct request **all, size_t n)
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
        (void)halt_add_item(&h->report, j->key, j->name);
}

/* The containers that it concerns become items of the report. */
void halt_find_items(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    if (j && h->scope != HOLD_REQUEST)
        j->each(j, collect, h);
}

void halt_settled(struct halt *h);

void halt_pause_requests(struct halt *h, const char *key);

void halt_answered(void *arg, int result, const char *words)
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
        halt_note(h, text);
        if (h->kind == HALT_PAUSE)
            halt_pause_requests(h, item->key);
    }
    if (--h->pending == 0)
        halt_settled(h);
}

struct halt_call *halt_call(struct halt *h, size_t item)
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
    struct request **all = halt_hold_all(h, &n);
    for (size_t i = 0; i < n; i++) {
        enum stage before = all[i]->track->stage;
        warden_kill_request(all[i], h->signo, h->who, h->why);
        if (before != all[i]->track->stage || all[i]->track->killed_by[0])
            halt_add_id(&h->report, all[i]->id_text);
    }
    halt_release_all(all, n);
}

static void act_kill(struct halt *h)
{
    struct jailer *j = h->w->config.jailer;
    kill_requests(h);
    if (h->scope == HOLD_REQUEST && h->report.ids_count == 0) {
        (void)err_set(&h->report.err, 0, "it has ended meanwhile");
        h->report.error = -EALREADY;
    }
    halt_find_items(h);
    h->pending = 1;
    for (size_t i = 0; i < h->report.items_count; i++) {
        const char *key = h->report.items[i].key;
        int signo = holds_over_key(h->w->holds, key) ? SIGKILL : h->signo;
        j->kill(j, key, signo, h->w->config.kill_grace, halt_answered, halt_call(h, i));
    }
    if (--h->pending == 0)
        halt_settled(h);
}

/* ---- the steps ---- */

static void act(struct halt *h)
{
    switch (h->kind) {
    case HALT_KILL:
        act_kill(h);
        return;
    case HALT_PAUSE:
        halt_pause_act(h);
        return;
    case HALT_RESUME:
        halt_resume_act(h);
        return;
    }
}

/* All answers are there, so far. */
void halt_settled(struct halt *h)
{
    if (h->kind == HALT_PAUSE && h->scope == HOLD_REQUEST && h->report.failed)
        halt_pause_give_up(h);
    if (h->kind == HALT_PAUSE)
        halt_keep(h->w);
    if (h->kind == HALT_RESUME) {
        h->pending = 1;
        halt_resume_thaw(h);
        if (--h->pending > 0)
            return; /* more of them answer */
        halt_resume_end(h);
    }
    if (h->report.error == 0 && !h->quiet)
        tell_watchers(h);
    halt_finish(h);
}

void halt_kill(struct warden *w, const struct halt_order *o, halt_done *done, void *arg)
{
    struct halt *h = halt_begin(w, HALT_KILL, o, done, arg);
    int r = halt_find_target(h, o);
    if (r == 0 && (o->signo < 0 || o->signo > SIGRTMAX))
        r = err_set(&h->report.err, -EINVAL, "no such signal: %d", o->signo);
    if (r < 0) {
        halt_fail(h, r);
        return;
    }
    if (h->signo == 0)
        h->signo = SIGTERM;
    halt_record(h);
}

const struct holds *halt_holds(const struct warden *w)
{
    return w->holds;
}

void halt_end(struct warden *w)
{
    while (!list_empty(&w->halts)) {
        struct halt *h = list_item(w->halts.next, struct halt, link);
        (void)err_set(&h->report.err, 0, "the warden is stopping");
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): halt_finish() took the one before out
        h->report.error = -EAGAIN;
        halt_pause_forget(h);
        if (h->pending == 0) {
            halt_finish(h);
            continue;
        }
        /* The jailer still answers: then nobody hears of it. */
        list_remove(&h->link);
        if (h->done)
            h->done(h->arg, &h->report);
        h->w = NULL;
    }
}
