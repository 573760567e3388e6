/* SPDX-License-Identifier: MIT */
/* The warden as others see it: submit, report, answer, kill, reload, restore, tick, drain. What
 * follows from each stands in the table of core/course.c. */
#include "core/warden.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/course.h"
#include "core/notice.h"

#define RECORD_BYTES 1024          /* of a decision and an end, without arguments */
#define RECORD_BYTES_A_VARIABLE 16 /* their names only */
#define PEERS_SWEEP_ABOVE 256
#define PEERS_SWEEP_EVERY (60 * CLOCK_NS_PER_SEC)

void warden_config_default(struct warden_config *c)
{
    *c = (struct warden_config){
        .kill_grace = 5 * CLOCK_NS_PER_SEC,
        .waiting_max_per_peer = 64,
        .waiting_max = 10000,
        .flight_max_per_peer = 256,
        .asks_per_minute = 120,
        .record_bytes_per_minute = 128u << 20,
        .claim_grace = 30 * CLOCK_NS_PER_SEC,
    };
}

/* The index has the row of `id`. */
static void kept(void *arg, const uint8_t id[16])
{
    struct warden *w = arg;
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    struct request *r = map_get(w->by_id, text);
    if (r && r->state == REQUEST_WAITING)
        judging_tell(r);
}

struct warden *warden_new(const struct warden_config *c, struct policy *policy)
{
    struct warden *w = mem_new(struct warden);
    struct limits_config limits = {.waiting_per_peer = c->waiting_max_per_peer,
                                   .waiting_all = c->waiting_max,
                                   .flight_per_peer = c->flight_max_per_peer,
                                   .asks_per_minute = c->asks_per_minute,
                                   .record_bytes_per_minute = c->record_bytes_per_minute};
    w->config = *c;
    w->policy = policy_ref(policy);
    w->events = events_new();
    w->metrics = metrics_new();
    w->limits = limits_new(&limits);
    w->journal = journal_new(c->audit);
    w->claims = claims_new();
    w->remember = remember_new();
    w->answered = approvals_new(WARDEN_ENDED_MAX);
    w->others = approvals_new(WARDEN_ENDED_MAX);
    w->by_id = map_new();
    w->holds = holds_new();
    list_init(&w->halts);
    list_init(&w->all);
    w->armed = UINT64_MAX;
    loads_add(&w->loads, policy, "start", NULL, course_realtime(w));
    if (c->index) {
        c->index->kept = kept;
        c->index->kept_arg = w;
    }
    return w;
}

void warden_add_executor(struct warden *w, struct executor *x)
{
    if (w->executors_count < WARDEN_EXECUTORS_MAX)
        w->executors[w->executors_count++] = x;
}

void warden_set_default_executor(struct warden *w, enum door_kind door, const char *name)
{
    if ((unsigned)door < WARDEN_DOORS)
        (void)snprintf(w->default_executor[door], sizeof(w->default_executor[door]), "%s", name);
}

/* ---- every request of now, held: handlers may end any of them ---- */

static struct request **hold_all(struct warden *w, size_t *ret_count)
{
    struct request **all = mem_new_array(struct request *, w->count + 1);
    size_t n = 0;
    list_foreach(it, &w->all)
    {
        all[n] = list_item(it, struct request, all);
        course_hold(all[n++]);
    }
    *ret_count = n;
    return all;
}

static void release_all(struct request **all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        course_release(all[i]);
    free(all);
}

/* ---- submit ---- */

static void sweep(struct warden *w, uint64_t now)
{
    if (limits_peers(w->limits) < PEERS_SWEEP_ABOVE || now - w->swept_at < PEERS_SWEEP_EVERY)
        return;
    w->swept_at = now;
    limits_sweep(w->limits, now);
}

/* About what its records will take. */
static uint64_t record_bytes(const struct request *r)
{
    uint64_t n = RECORD_BYTES + r->ask.envc * RECORD_BYTES_A_VARIABLE;
    for (size_t i = 0; i < r->ask.argc; i++)
        n += strlen(r->ask.argv[i]) + 1;
    return n;
}

/* What stands against even looking at it; the event that follows. */
static enum course_event admit(struct warden *w, struct request *r, const char *key)
{
    struct err err = {0};
    if (journal_flush(w->journal, NULL) < 0) {
        w->unrecorded++;
        metrics_count_error(w->metrics, METRICS_ERROR_AUDIT);
        return EV_UNRECORDED;
    }
    if (w->draining) {
        course_say(r->why, sizeof(r->why), "the warden is stopping");
        return EV_IMPOSSIBLE;
    }
    if (limits_may_enter(w->limits, key, &err) < 0 ||
        limits_take_record(w->limits, key, record_bytes(r), course_monotonic(w), &err) < 0) {
        course_say(r->why, sizeof(r->why), err.text);
        return EV_LIMITED;
    }
    return EV_SUBMITTED;
}

void warden_submit(struct warden *w, struct request *r)
{
    char key[LIMITS_KEY_SIZE];
    r->received_at = course_realtime(w);
    uuid_new(r->received_at, r->id);
    uuid_format(r->id, r->id_text);
    r->policy = policy_ref(w->policy);
    limits_key(&r->peer, key);
    sweep(w, course_monotonic(w));
    enum course_event ev = admit(w, r, key);
    course_begin(w, r);
    course_emit(w, r, EVENT_RECEIVED);
    if (ev == EV_SUBMITTED && r->ask.has_claim)
        r->track->claim = claims_take(w->claims, r->ask.claim, r->peer.pid, r->peer.start_time);
    (void)course_event(r, ev);
    course_watch_journal(w);
    course_release(r);
}

/* ---- reports ---- */

static void say_why(struct request *r, const char *why, const char *otherwise)
{
    course_say(r->why, sizeof(r->why), why && why[0] ? why : otherwise);
}

void warden_withdraw(struct warden *w, struct request *r, const char *why)
{
    course_hold(r);
    if (r->state != REQUEST_ENDED && !r->track->killed_by[0])
        say_why(r, why, "its caller went");
    (void)course_event(r, EV_WITHDRAWN);
    course_release(r);
}

static bool looks_up(const struct request *r)
{
    enum stage s = r->track->stage;
    return s == STAGE_RESOLVING || s == STAGE_REFRESHING || s == STAGE_CHECKING;
}

void warden_resolved(struct warden *w, struct request *r, int error, const char *words)
{
    if (!looks_up(r))
        return;
    course_hold(r);
    bool known = error >= 0 && r->facts.known;
    if (!known)
        say_why(r, words, "what it would run could not be found out");
    if (known)
        (void)course_event(r, EV_RESOLVED);
    else if (!halt_held(r) || !course_event(r, EV_HELD)) /* asked again when it goes on */
        (void)course_event(r, EV_UNRESOLVED);
    course_release(r);
}

void warden_started(struct warden *w, struct request *r, pid_t pid)
{
    course_hold(r);
    if (r->track->stage == STAGE_LAUNCHED)
        r->command_pid = pid;
    (void)course_event(r, EV_STARTED);
    course_release(r);
}

void warden_ended(struct warden *w, struct request *r, const struct end *end)
{
    enum stage s = r->track->stage;
    if (s != STAGE_LAUNCHED && s != STAGE_RUNNING)
        return;
    course_hold(r);
    r->end = *end;
    r->end.text[sizeof(r->end.text) - 1] = '\0';
    /* Whoever starts it cannot say what a kill in the middle of that was: it ends as by the signal.
     */
    if (s == STAGE_LAUNCHED && r->track->killed_by[0] && r->end.kind == END_FAILED)
        r->end = (struct end){
            .kind = END_SIGNAL, .value = r->track->kill_signal, .caller_gone = end->caller_gone};
    (void)course_event(r, EV_ENDED);
    course_release(r);
}

/* ---- people ---- */

int warden_find_open(struct warden *w, const char *id, struct request **ret, struct err *err)
{
    struct request *r = map_get(w->by_id, id);
    uint64_t now = course_realtime(w);
    *ret = NULL;
    if (r && r->state == REQUEST_ENDED)
        return approvals_late(r, now, err);
    if (r && r->state == REQUEST_RECEIVED)
        return err_set(err, -ENOENT, "no such request waits");
    if (!r && claims_has(w->claims, id))
        return err_set(err, -EAGAIN,
                       "its caller has not come back since the warden was started again");
    if (!r) {
        int error = approvals_recall(w->answered, id, now, err);
        return error == -ENOENT ? approvals_recall(w->others, id, now, err) : error;
    }
    *ret = r;
    return 0;
}

/* What is paused and was approved, or needs no approval. */
static int check_held(const struct request *r, struct err *err)
{
    if (r->track->stage != STAGE_HELD)
        return 0;
    if (r->answer.verdict != VERDICT_ALLOW)
        return err_set(err, -EALREADY,
                       "the policy allows it: it is paused, and goes on when it is resumed");
    return err_set(err, -EALREADY, "%s has approved it: it is paused, and runs when it is resumed",
                   r->answer.approver);
}

int warden_answer(struct warden *w, const char *id, const struct answer *a, const char *digest,
                  struct err *err)
{
    struct request *r = NULL;
    int error = approvals_check(a, err);
    if (error == 0)
        error = warden_find_open(w, id, &r, err);
    if (!r)
        return error;
    enum course_event ev = a->verdict == VERDICT_ALLOW ? EV_APPROVED : EV_DENIED;
    if (r->state != REQUEST_WAITING)
        return approvals_late(r, course_realtime(w), err);
    if (ev == EV_APPROVED && (error = check_held(r, err)) < 0)
        return error;
    if (ev == EV_APPROVED && r->track->stage != STAGE_WAITING)
        return err_set(err, -ESTALE, "it is being judged again after a reload: look at it again");
    error = approvals_check_seen(r, digest, err);
    if (error < 0)
        return error;
    if (a->remember && ev == EV_APPROVED && (error = remember_check(r, err)) < 0)
        return error;
    if (ev == EV_APPROVED && w->draining)
        return err_set(err, -EAGAIN, "the warden is stopping: answer when it is back");
    course_hold(r);
    r->answer = *a;
    (void)course_event(r, ev == EV_APPROVED && halt_held(r) ? EV_HELD : ev);
    course_release(r);
    return 0;
}

/* What waits, or was only just approved, is denied. */
static void deny_for(struct request *r, const char *who, const char *why)
{
    r->answer = (struct answer){.verdict = VERDICT_DENY, .channel = "kill"};
    course_say(r->answer.approver, sizeof(r->answer.approver), who);
    course_say(r->answer.comment, sizeof(r->answer.comment), why);
}

static void kill_for(struct request *r, int signo, const char *who, const char *why)
{
    course_say(r->track->killed_by, sizeof(r->track->killed_by), who);
    r->track->kill_signal = signo;
    (void)snprintf(r->why, sizeof(r->why), "ended by %s%s%s", r->track->killed_by,
                   why[0] ? ": " : "", why);
    (void)course_event(r, EV_KILLED);
    if (r->track->stage == STAGE_LAUNCHED || r->track->stage == STAGE_RUNNING)
        course_kill(r, signo);
}

void warden_kill_request(struct request *r, int signo, const char *who, const char *why)
{
    switch (r->track->stage) {
    case STAGE_WAITING:
    case STAGE_HELD:
    case STAGE_REFRESHING:
        deny_for(r, who, why);
        (void)course_event(r, EV_DENIED);
        return;
    case STAGE_CHECKING:
        deny_for(r, who, why);
        (void)course_event(r, EV_KILLED);
        return;
    case STAGE_ALLOWING:
    case STAGE_HELD_LATE:
    case STAGE_LAUNCHED:
    case STAGE_RUNNING:
        kill_for(r, signo, who, why);
        return;
    case STAGE_NEW:
    case STAGE_RESOLVING:
    case STAGE_JUDGING:
    case STAGE_REJUDGING:
    case STAGE_COMPARING:
    case STAGE_REFUSING:
    case STAGE_FAILING:
    case STAGE_CLOSING:
    case STAGE_DONE:
    case STAGE_COUNT_:
        return;
    }
}

void warden_forget_tree(struct warden *w, uint64_t tree)
{
    remember_forget(w->remember, tree);
}

/* ---- policy ---- */

static void tell_policy(struct warden *w, const char *words)
{
    struct event e = {.kind = EVENT_POLICY, .time = course_realtime(w), .text = words};
    metrics_count_policy(w->metrics, words == NULL);
    events_emit(w->events, &e);
}

static void judge_waiting_again(struct warden *w)
{
    size_t n;
    struct request **all = hold_all(w, &n);
    for (size_t i = 0; i < n; i++)
        (void)course_event(all[i], EV_RELOADED);
    release_all(all, n);
}

void warden_set_policy(struct warden *w, struct policy *p, const char *who)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    _cleanup_(policy_unrefp) struct policy *before = w->policy;
    bool same = str_eq(policy_digest(before), policy_digest(p));
    w->policy = policy_ref(p);
    w->policy_failed = false;
    loads_add(&w->loads, p, who, NULL, course_realtime(w));
    audit_policy(policy_digest(p), policy_name(p), who, NULL, course_realtime(w), &members);
    course_note(w, &members);
    course_watch_journal(w);
    tell_policy(w, NULL);
    /* While the warden stops, what waits is left to the next one, which judges it again. */
    if (!same && !w->draining)
        judge_waiting_again(w);
}

struct policy *warden_policy(struct warden *w)
{
    return w->policy;
}

void warden_policy_failed(struct warden *w, const char *who, const char *words)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    w->policy_failed = true;
    (void)err_set(&w->policy_error, 0, "%s", words);
    metrics_count_error(w->metrics, METRICS_ERROR_POLICY);
    loads_add(&w->loads, w->policy, who, words, course_realtime(w));
    audit_policy(policy_digest(w->policy), policy_name(w->policy), who, words, course_realtime(w),
                 &members);
    course_note(w, &members);
    course_watch_journal(w);
    tell_policy(w, w->policy_error.text);
}

const struct loads *warden_loads(const struct warden *w)
{
    return &w->loads;
}

const char *warden_policy_error(const struct warden *w)
{
    return w->policy_failed ? w->policy_error.text : NULL;
}

/* ---- time ---- */

static void set_unclaimed(struct warden *w)
{
    uint64_t next = claims_next(w->claims);
    if (next != UINT64_MAX)
        course_set_deadline(w, &w->unclaimed, next);
}

void warden_restore(struct warden *w, const struct queue_row *rows, size_t n)
{
    uint64_t until = course_after(course_monotonic(w), w->config.claim_grace);
    for (size_t i = 0; i < n; i++)
        claims_keep(w->claims, &rows[i], until);
    set_unclaimed(w);
}

static void close_unclaimed(struct warden *w, uint64_t now)
{
    struct queue_row *row;
    if (w->draining) /* the next warden keeps them for its own time */
        return;
    if (holds_count(w->holds) > 0) { /* whose callers cannot come: see halt_due() */
        claims_later(w->claims, course_after(now, w->config.claim_grace), 0);
        set_unclaimed(w);
        return;
    }
    while ((row = claims_take_due(w->claims, now)))
        course_close_claim(w, row, "its caller did not come back after a restart of the warden");
    set_unclaimed(w);
}

static void record_limited(void *arg, const char *key, uint64_t n)
{
    struct warden *w = arg;
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    audit_limited(key, n, course_realtime(w), &members);
    course_note(w, &members);
}

static void tell_untold(struct warden *w)
{
    size_t n;
    struct request **all = hold_all(w, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->state == REQUEST_WAITING)
            judging_tell(all[i]);
    release_all(all, n);
}

static void due(struct warden *w, struct deadline *d, uint64_t now)
{
    if (d == &w->retry)
        (void)journal_flush(w->journal, NULL);
    else if (d == &w->unclaimed)
        close_unclaimed(w, now);
    else if (d == &w->limited)
        limits_collect(w->limits, record_limited, w);
    else if (d == &w->untold)
        tell_untold(w);
    else if (d == &w->halting)
        halt_due(w);
    else {
        struct request *r = container_of(d, struct track, deadline)->r;
        course_hold(r);
        (void)course_event(r, EV_DEADLINE);
        course_release(r);
    }
}

uint64_t warden_tick(struct warden *w)
{
    uint64_t now = course_monotonic(w);
    struct deadline *d;
    w->armed = 0; /* nobody needs to be told meanwhile */
    while ((d = deadlines_first(&w->deadlines)) && d->at <= now) {
        deadlines_clear(&w->deadlines, d);
        due(w, d, now);
    }
    course_watch_journal(w);
    d = deadlines_first(&w->deadlines);
    w->armed = d ? d->at : UINT64_MAX;
    return w->armed;
}

void warden_on_rearm(struct warden *w, void (*fn)(void *arg), void *arg)
{
    w->rearm = fn;
    w->rearm_arg = arg;
}

/* ---- the end ---- */

void warden_drain(struct warden *w)
{
    size_t n;
    w->draining = true;
    struct request **all = hold_all(w, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->state == REQUEST_WAITING && all[i]->ask.door != DOOR_SHIM_V2)
            (void)course_event(all[i], EV_STOPPING);
    release_all(all, n);
    limits_collect(w->limits, record_limited,
                   w); /* nothing more is refused by a cap from here on */
}

/* It is nothing that a stop is about. */
static bool outlives(const struct request *r)
{
    return r->state == REQUEST_RUNNING && r->executor->outlives;
}

bool warden_idle(const struct warden *w)
{
    size_t n = w->counts[REQUEST_WAITING];
    for (const struct list *it = w->all.next; it != &w->all; it = it->next)
        n += outlives(list_item(it, struct request, all));
    return w->count == n;
}

void warden_kill_all(struct warden *w, const char *why)
{
    size_t n;
    struct request **all = hold_all(w, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i]->state == REQUEST_STARTING ||
            (all[i]->state == REQUEST_RUNNING && !outlives(all[i])))
            warden_kill_request(all[i], SIGKILL, "clawrden", why);
    release_all(all, n);
}

/* An allowed command whose end will not be seen: the log gets one all the same. */
static void interrupt(struct warden *w, struct request *r)
{
    static const char why[] = "the warden stopped before its end was known";
    _cleanup_buf_ struct buf members = AUDIT_BUF(), text = BUF_INIT(NOTICE_MAX);
    audit_interrupted(r->id_text, r->ask.name, course_realtime(w), why, &members);
    course_note(w, &members);
    notice_not_started(r, why, &text);
    if (r->track->stage == STAGE_ALLOWING || r->track->stage == STAGE_HELD_LATE) {
        struct caller *c = TAKE_PTR(r->caller);
        if (c)
            c->ops->refused(c, r, 125, buf_str(&text));
        return;
    }
    if (!outlives(r))
        r->executor->kill(r->executor, r, SIGKILL);
    r->end = (struct end){.kind = END_FAILED, .value = 125};
    (void)snprintf(r->end.text, sizeof(r->end.text), "clawrden: %s\n", why);
    r->executor->release(r->executor, r);
}

static void stop_one(struct warden *w, struct request *r)
{
    enum stage s = r->track->stage;
    bool comes_back = w->draining && r->ask.door == DOOR_SHIM_V2;
    if (r->state == REQUEST_WAITING && comes_back) {
        if (s == STAGE_REFRESHING)
            w->config.resolver->cancel(w->config.resolver, r);
    } else if (s == STAGE_ALLOWING || s == STAGE_HELD_LATE || s == STAGE_LAUNCHED ||
               s == STAGE_RUNNING)
        interrupt(w, r);
    else
        (void)course_event(r, EV_STOPPING);
}

struct warden *warden_free(struct warden *w)
{
    if (!w)
        return NULL;
    size_t n;
    struct request **all = hold_all(w, &n);
    if (w->config.index)
        w->config.index->kept = NULL;
    halt_end(w);
    for (size_t i = 0; i < n; i++)
        stop_one(w, all[i]);
    w->journal = journal_free(w->journal);
    /* Records that the log has taken and not confirmed: their callers are not left without words.
     */
    for (size_t i = 0; i < n; i++)
        if (all[i]->state == REQUEST_ENDED)
            (void)course_event(all[i], EV_RECORDED);
    for (size_t i = 0; i < n; i++)
        course_drop(all[i]);
    free(all);
    claims_free(w->claims);
    holds_free(w->holds);
    remember_free(w->remember);
    approvals_free(w->answered);
    approvals_free(w->others);
    limits_free(w->limits);
    metrics_free(w->metrics);
    events_free(w->events);
    map_free(w->by_id);
    deadlines_done(&w->deadlines);
    policy_unref(w->policy);
    free(w);
    return NULL;
}

/* ---- looking ---- */

bool warden_can_record(const struct warden *w, struct err *ret_why)
{
    return journal_check(w->journal, ret_why) == 0;
}

struct request *warden_find(struct warden *w, const char *id)
{
    struct request *r = map_get(w->by_id, id);
    if (!r || r->state == REQUEST_RECEIVED || r->state == REQUEST_ENDED)
        return NULL;
    return r;
}

void warden_each_jail(struct warden *w, void (*fn)(void *arg, const struct jail *j), void *arg)
{
    if (w->config.jailer)
        w->config.jailer->each(w->config.jailer, fn, arg);
}

void warden_each(struct warden *w, void (*fn)(void *arg, const struct request *r), void *arg)
{
    list_foreach(it, &w->all)
    {
        struct request *r = list_item(it, struct request, all);
        if (r->state != REQUEST_ENDED)
            fn(arg, r);
    }
}

size_t warden_count(const struct warden *w, enum request_state s)
{
    return (unsigned)s <= REQUEST_ENDED ? w->counts[s] : 0;
}

struct events *warden_events(struct warden *w)
{
    return w->events;
}

struct metrics *warden_metrics(struct warden *w)
{
    return w->metrics;
}
