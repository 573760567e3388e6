/* SPDX-License-Identifier: MIT */
/* What comes of a request: the decision on record, the command, the words for the caller. Handlers
 * of the table in core/course.c, each called with the new stage already set. */
#include "core/course.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/binding.h"
#include "core/notice.h"

enum { EXIT_CANNOT = 125, EXIT_REFUSED = 126, EXIT_NOT_FOUND = 127, EXIT_TIMED_OUT = 124 };

/* ---- decisions ---- */

/* The log's answer about the record that this request is waiting for. */
static void recorded(void *arg, int result)
{
    struct request *r = arg;
    struct warden *w = r->track->w;
    enum course_event ev = result < 0 ? EV_UNRECORDED : EV_RECORDED;
    if (result < 0)
        metrics_count_error(w->metrics, METRICS_ERROR_AUDIT);
    else if (r->track->stage == STAGE_ALLOWING && !r->track->killed_by[0] && r->caller &&
             halt_held(r))
        ev = EV_HELD;
    (void)course_event(r, ev);
    course_watch_journal(w);
    course_release(r);
}

static void keep(struct warden *w, struct request *r, struct buf *members)
{
    course_hold(r);
    journal_keep(w->journal, members, recorded, r);
}

static void decided(struct warden *w, struct request *r)
{
    metrics_decided(w->metrics, r, request_tool(r));
    if (!r->track->counted_only)
        course_emit(w, r, EVENT_DECIDED);
}

static void allow(struct warden *w, struct request *r, enum decision d)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    struct track *t = r->track;
    struct err err = {0};
    r->decision = d;
    r->decided_at = course_realtime(w);
    t->env_known = binding_env(r, &t->env, &err) == 0;
    if (!t->env_known)
        course_say(t->failure, sizeof(t->failure), err.text);
    audit_decision(r, t->env_known ? &t->env : NULL, &members);
    course_hold(r);
    if (journal_append(w->journal, &members, recorded, r, NULL) < 0)
        recorded(r, -EIO);
}

void outcome_allow_by_policy(struct warden *w, struct request *r)
{
    if (r->remembered[0])
        remember_next(w->remember, r, r->remembered);
    allow(w, r, DECISION_ALLOW);
}

void outcome_allow_by_person(struct warden *w, struct request *r)
{
    if (r->answer.remember)
        remember_add(w->remember, r, r->answer.approver);
    remember_next(w->remember, r, r->answer.approver);
    allow(w, r, DECISION_ASK_APPROVED);
}

static void refuse(struct warden *w, struct request *r, enum decision d, int exit_code)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    r->decision = d;
    r->decided_at = course_realtime(w);
    r->track->exit_code = exit_code;
    audit_decision(r, NULL, &members);
    keep(w, r, &members);
}

void outcome_deny(struct warden *w, struct request *r)
{
    refuse(w, r, DECISION_DENY, EXIT_REFUSED);
}

void outcome_deny_by_person(struct warden *w, struct request *r)
{
    refuse(w, r, DECISION_ASK_DENIED, EXIT_REFUSED);
}

void outcome_deny_lookup(struct warden *w, struct request *r)
{
    judging_stop_lookup(w, r);
    outcome_deny_by_person(w, r);
}

void outcome_expire(struct warden *w, struct request *r)
{
    refuse(w, r, DECISION_ASK_EXPIRED, EXIT_REFUSED);
}

void outcome_expire_lookup(struct warden *w, struct request *r)
{
    judging_stop_lookup(w, r);
    outcome_expire(w, r);
}

void outcome_withdraw(struct warden *w, struct request *r)
{
    r->caller = NULL;
    refuse(w, r, DECISION_WITHDRAWN, EXIT_CANNOT);
}

void outcome_withdraw_lookup(struct warden *w, struct request *r)
{
    judging_stop_lookup(w, r);
    outcome_withdraw(w, r);
}

void outcome_stop(struct warden *w, struct request *r)
{
    course_say(r->why, sizeof(r->why), "the warden is stopping");
    refuse(w, r, DECISION_INTERRUPTED, EXIT_CANNOT);
}

void outcome_stop_lookup(struct warden *w, struct request *r)
{
    judging_stop_lookup(w, r);
    outcome_stop(w, r);
}

void outcome_fail(struct warden *w, struct request *r)
{
    metrics_count_error(w->metrics, METRICS_ERROR_RESOLVE);
    refuse(w, r, DECISION_ERROR, EXIT_CANNOT);
}

void outcome_impossible(struct warden *w, struct request *r)
{
    metrics_count_error(w->metrics, METRICS_ERROR_EXEC);
    refuse(w, r, DECISION_ERROR, EXIT_CANNOT);
}

void outcome_fail_lookup(struct warden *w, struct request *r)
{
    judging_restore(r);
    outcome_fail(w, r);
}

void outcome_changed(struct warden *w, struct request *r)
{
    refuse(w, r, DECISION_ERROR, EXIT_REFUSED);
}

void outcome_limit(struct warden *w, struct request *r)
{
    char key[LIMITS_KEY_SIZE];
    metrics_count_error(w->metrics, METRICS_ERROR_LIMIT);
    limits_key(&r->peer, key);
    /* Where nobody is asked this is the way of every ask, and no flood of one caller's. */
    if (limits_asks_nobody(w->limits) || limits_record(w->limits, key, course_monotonic(w))) {
        refuse(w, r, DECISION_LIMITED, EXIT_REFUSED);
        return;
    }
    r->decision = DECISION_LIMITED;
    r->decided_at = course_realtime(w);
    r->track->exit_code = EXIT_REFUSED;
    r->track->counted_only = true;
    if (w->limited.place == 0)
        course_set_deadline(w, &w->limited,
                            course_after(course_monotonic(w), 60 * CLOCK_NS_PER_SEC));
    (void)course_event(r, EV_RECORDED);
}

/* ---- running ---- */

/* It was allowed and will not be started: `text` for the agent, `why` for the record. */
static void not_started(struct request *r, int code, const char *why, struct buf *text)
{
    if (r->track->stage != STAGE_LAUNCHED)
        return; /* the executor has reported an end already */
    r->end = (struct end){.kind = END_FAILED, .value = code, .caller_gone = r->track->caller_gone};
    if (r->track->killed_by[0]) {
        r->end.kind = END_SIGNAL;
        r->end.value = r->track->kill_signal;
    }
    course_say(r->track->failure, sizeof(r->track->failure), why);
    course_say(r->end.text, sizeof(r->end.text), buf_str(text));
    free(r->track->failure_text);
    r->track->failure_text = buf_steal(text);
    (void)course_event(r, EV_NOT_STARTED);
}

static void not_started_because(struct request *r, int code, const char *why)
{
    _cleanup_buf_ struct buf text = BUF_INIT(NOTICE_MAX);
    notice_not_started(r, why, &text);
    not_started(r, code, why, &text);
}

static void not_found(struct request *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT(NOTICE_MAX);
    notice_not_found(r, &text);
    not_started(r, EXIT_NOT_FOUND, "no such program on the trusted path", &text);
}

/* Hands the caller's connection to the executor. */
static void start(struct warden *w, struct request *r, const struct binding_env *e)
{
    struct err err = {0};
    struct caller *c = TAKE_PTR(r->caller);
    int conn = c->ops->take ? c->ops->take(c) : -1;
    if (c->ops->take && conn < 0) {
        r->track->caller_gone = true;
        not_started_because(r, EXIT_CANNOT, "its caller's connection is gone");
        return;
    }
    if (r->executor->start(r->executor, r, conn, buf_str(&e->env), e->env.len, e->envc, &err) >= 0)
        return;
    metrics_count_error(w->metrics, METRICS_ERROR_EXEC);
    not_started_because(r, EXIT_CANNOT, err.text[0] ? err.text : "the executor refused it");
}

void outcome_launch(struct warden *w, struct request *r)
{
    decided(w, r);
    if (r->track->killed_by[0])
        not_started_because(r, EXIT_REFUSED, r->why);
    else if (!r->caller)
        not_started_because(r, EXIT_CANNOT, r->why[0] ? r->why : "its caller went");
    else if (r->track->held_late && !str_eq(policy_digest(r->policy), policy_digest(w->policy)))
        not_started_because(r, EXIT_CANNOT, "the policy changed while it was paused: run it again");
    else if (r->facts.program.trust == PROGRAM_NOT_FOUND)
        not_found(r);
    else if (!r->facts.exec_path)
        not_started_because(r, EXIT_CANNOT, "nobody found out what it would run");
    else if (!r->track->env_known)
        not_started_because(r, EXIT_CANNOT, r->track->failure);
    else
        start(w, r, &r->track->env);
    binding_env_done(&r->track->env);
}

void outcome_started(struct warden *w, struct request *r)
{
    r->started_at = course_realtime(w);
    r->track->running_since = course_monotonic(w);
    /* A gated tree is made of shells and agents that run for hours: the default is not for them. */
    if (!r->track->kill_sent && (r->ask.door != DOOR_GATE || r->judged.own_timeout))
        course_due(r, course_after(r->track->running_since, r->judged.timeout));
    course_emit(w, r, EVENT_STARTED);
    halt_started(r);
}

/* Its time is up, or the grace after a SIGTERM is. */
void outcome_overdue(struct warden *w, struct request *r)
{
    if (r->track->kill_sent) {
        course_kill(r, SIGKILL);
        return;
    }
    r->timed_out = true;
    course_kill(r, SIGTERM);
}

void outcome_caller_left(struct warden *w, struct request *r)
{
    r->caller = NULL;
    r->track->caller_gone = true;
}

void outcome_caller_left_command(struct warden *w, struct request *r)
{
    course_kill(r, SIGTERM);
}

/* Allowed and recorded, and paused just then: it starts when that ends. */
void outcome_hold(struct warden *w, struct request *r)
{
    (void)w;
    r->paused = true;
    r->track->held_late = true;
}

void outcome_caller_left_held(struct warden *w, struct request *r)
{
    outcome_caller_left(w, r);
    (void)course_event(r, EV_RESUMED); /* outcome_launch() looks at the caller */
}

void outcome_kill_held(struct warden *w, struct request *r)
{
    (void)w;
    (void)course_event(r, EV_RESUMED); /* outcome_launch() looks at killed_by */
}

void outcome_kill_later(struct warden *w, struct request *r)
{
    /* outcome_launch() looks at killed_by: the decision is on its way to the log. */
}

void outcome_kill(struct warden *w, struct request *r)
{
    /* warden_kill_request() sends the signal: it knows which. */
}

void outcome_fail_end(struct warden *w, struct request *r)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    struct audit_end e = {.killed_by = r->track->killed_by, .error = r->track->failure};
    r->ended_at = course_realtime(w);
    audit_end(r, &e, &members);
    keep(w, r, &members);
}

void outcome_close(struct warden *w, struct request *r)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    struct track *t = r->track;
    struct audit_end e = {.killed_by = t->killed_by};
    r->ended_at = course_realtime(w);
    if (r->started_at) {
        e.duration = course_monotonic(w) - t->running_since;
        metrics_observe(w->metrics, METRICS_TIME_EXECUTION, e.duration);
    }
    if (r->end.kind == END_FAILED) {
        metrics_count_error(w->metrics, METRICS_ERROR_EXEC);
        e.error = r->end.text[0] ? r->end.text : "it could not be started";
    } else if (r->why[0])
        e.error = r->why;
    audit_end(r, &e, &members);
    keep(w, r, &members);
}

/* ---- telling ---- */

static void tell(struct request *r, int exit_code, const char *text)
{
    struct caller *c = TAKE_PTR(r->caller);
    if (c)
        c->ops->refused(c, r, exit_code, text);
}

void outcome_tell_refused(struct warden *w, struct request *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT(NOTICE_MAX);
    decided(w, r);
    notice_refused(r, &text);
    r->ended_at = r->decided_at;
    tell(r, r->track->exit_code, buf_str(&text));
    course_emit(w, r, EVENT_ENDED);
}

void outcome_tell_unrecorded(struct warden *w, struct request *r)
{
    _cleanup_buf_ struct buf text = BUF_INIT(NOTICE_MAX);
    struct err why = {0};
    (void)journal_check(w->journal, &why);
    notice_unrecorded(r, why.text[0] ? why.text : "it refused the record", &text);
    r->ended_at = course_realtime(w);
    if (r->decision == DECISION_NONE)
        r->decision = DECISION_ERROR;
    tell(r, EXIT_CANNOT, buf_str(&text));
    course_emit(w, r, EVENT_ENDED);
}

/* The allowance could not be recorded, so nothing was started. That is kept for the log instead. */
void outcome_not_recorded(struct warden *w, struct request *r)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    r->decision = DECISION_ERROR;
    course_say(r->why, sizeof(r->why),
               "the record of its allowance could not be written: it did not run");
    audit_decision(r, NULL, &members);
    course_note(w, &members);
    outcome_tell_unrecorded(w, r);
}

void outcome_tell_failed(struct warden *w, struct request *r)
{
    int code = r->end.kind == END_SIGNAL ? 128 + r->end.value : r->end.value;
    tell(r, code, r->track->failure_text ? r->track->failure_text : r->end.text);
    course_emit(w, r, EVENT_ENDED);
}

void outcome_tell_ended(struct warden *w, struct request *r)
{
    course_emit(w, r, EVENT_ENDED);
    if (r->timed_out) { /* the record has the command's real end */
        r->end.kind = END_EXIT;
        r->end.value = EXIT_TIMED_OUT;
        notice_timed_out(r);
    } else if (r->track->killed_by[0])
        notice_killed(r, r->why);
    r->executor->release(r->executor, r);
}
