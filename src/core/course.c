/* SPDX-License-Identifier: MIT */
/* The course of one request: the table of what may follow what, and the one function that changes a
 * stage. What is done on the way stands in core/judging.c and
 * core/outcome.c. */
#include "core/course.h"

#include <signal.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "core/audit.h"

#define RETRY_EVERY CLOCK_NS_PER_SEC

struct transition {
    enum stage to;
    course_handler *handler; /* NULL: nothing follows, the event is late or means nothing here */
};

static const struct transition table[STAGE_COUNT_][EV_COUNT_] =
    {
        [STAGE_NEW] =
            {
                [EV_SUBMITTED] = {STAGE_RESOLVING, judging_resolve},
                [EV_LIMITED] = {STAGE_REFUSING, outcome_limit},
                [EV_IMPOSSIBLE] = {STAGE_REFUSING, outcome_impossible},
                [EV_UNRECORDED] = {STAGE_DONE, outcome_tell_unrecorded},
            },
        [STAGE_RESOLVING] =
            {
                [EV_RESOLVED] = {STAGE_JUDGING, judging_judge},
                [EV_UNRESOLVED] = {STAGE_REFUSING, outcome_fail},
                [EV_HELD] = {STAGE_HELD, judging_hold_unknown},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_withdraw_lookup},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop_lookup},
            },
        [STAGE_JUDGING] =
            {
                [EV_STALE] = {STAGE_RESOLVING, judging_resolve},
                [EV_POLICY_DENIES] = {STAGE_REFUSING, outcome_deny},
                [EV_POLICY_ASKS] = {STAGE_WAITING, judging_wait},
                [EV_POLICY_ALLOWS] = {STAGE_ALLOWING, outcome_allow_by_policy},
                [EV_HELD] = {STAGE_HELD, judging_hold},
                [EV_LIMITED] = {STAGE_REFUSING, outcome_limit},
                [EV_IMPOSSIBLE] = {STAGE_REFUSING, outcome_impossible},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop},
            },
        [STAGE_WAITING] =
            {
                [EV_APPROVED] = {STAGE_CHECKING, judging_check},
                [EV_HELD] = {STAGE_HELD, judging_hold_approved},
                [EV_DENIED] = {STAGE_REFUSING, outcome_deny_by_person},
                [EV_DEADLINE] = {STAGE_REFUSING, outcome_expire},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_withdraw},
                [EV_RELOADED] = {STAGE_REJUDGING, judging_rejudge},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop},
            },
        [STAGE_REFRESHING] =
            {
                [EV_RESOLVED] = {STAGE_REJUDGING, judging_judge_again},
                [EV_UNRESOLVED] = {STAGE_REFUSING, outcome_fail_lookup},
                [EV_DENIED] = {STAGE_REFUSING, outcome_deny_lookup},
                [EV_DEADLINE] = {STAGE_REFUSING, outcome_expire_lookup},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_withdraw_lookup},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop_lookup},
            },
        [STAGE_REJUDGING] =
            {
                [EV_STALE] = {STAGE_REFRESHING, judging_refresh},
                [EV_POLICY_DENIES] = {STAGE_REFUSING, outcome_deny},
                [EV_POLICY_ASKS] = {STAGE_WAITING, judging_wait_again},
                [EV_POLICY_ALLOWS] = {STAGE_ALLOWING, outcome_allow_by_policy},
                [EV_HELD] = {STAGE_HELD, judging_hold},
                [EV_IMPOSSIBLE] = {STAGE_REFUSING, outcome_impossible},
            },
        [STAGE_HELD] =
            {
                [EV_RESUMED] = {STAGE_RESOLVING, judging_resolve},
                [EV_APPROVED] = {STAGE_CHECKING, judging_check},
                [EV_DENIED] = {STAGE_REFUSING, outcome_deny_by_person},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_withdraw},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop},
            },
        [STAGE_CHECKING] =
            {
                [EV_HELD] = {STAGE_HELD, judging_hold_lookup},
                [EV_RESOLVED] = {STAGE_COMPARING, judging_compare},
                [EV_UNRESOLVED] = {STAGE_REFUSING, outcome_fail_lookup},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_withdraw_lookup},
                [EV_KILLED] = {STAGE_REFUSING, outcome_deny_lookup},
                [EV_STOPPING] = {STAGE_REFUSING, outcome_stop_lookup},
            },
        [STAGE_COMPARING] =
            {
                [EV_SAME] = {STAGE_ALLOWING, outcome_allow_by_person},
                [EV_HELD] = {STAGE_HELD, judging_hold_approved},
                [EV_CHANGED] = {STAGE_REFUSING, outcome_changed},
            },
        [STAGE_ALLOWING] =
            {
                [EV_RECORDED] = {STAGE_LAUNCHED, outcome_launch},
                [EV_HELD] = {STAGE_HELD_LATE, outcome_hold},
                [EV_UNRECORDED] = {STAGE_DONE, outcome_not_recorded},
                [EV_WITHDRAWN] = {STAGE_ALLOWING, outcome_caller_left},
                [EV_KILLED] = {STAGE_ALLOWING, outcome_kill_later},
            },
        [STAGE_HELD_LATE] =
            {
                [EV_RESUMED] = {STAGE_LAUNCHED, outcome_launch},
                [EV_WITHDRAWN] = {STAGE_HELD_LATE, outcome_caller_left_held},
                [EV_KILLED] = {STAGE_HELD_LATE, outcome_kill_held},
            },
        [STAGE_LAUNCHED] =
            {
                [EV_NOT_STARTED] = {STAGE_FAILING, outcome_fail_end},
                [EV_STARTED] = {STAGE_RUNNING, outcome_started},
                [EV_ENDED] = {STAGE_CLOSING, outcome_close},
                [EV_DEADLINE] = {STAGE_LAUNCHED, outcome_overdue},
                [EV_WITHDRAWN] = {STAGE_LAUNCHED, outcome_caller_left_command},
                [EV_KILLED] = {STAGE_LAUNCHED, outcome_kill},
            },
        [STAGE_RUNNING] =
            {
                [EV_ENDED] = {STAGE_CLOSING, outcome_close},
                [EV_DEADLINE] = {STAGE_RUNNING, outcome_overdue},
                [EV_WITHDRAWN] = {STAGE_RUNNING, outcome_caller_left_command},
                [EV_KILLED] = {STAGE_RUNNING, outcome_kill},
            },
        [STAGE_REFUSING] =
            {
                [EV_RECORDED] = {STAGE_DONE, outcome_tell_refused},
                [EV_UNRECORDED] = {STAGE_DONE, outcome_tell_unrecorded},
                [EV_WITHDRAWN] = {STAGE_REFUSING, outcome_caller_left},
            },
        [STAGE_FAILING] =
            {
                [EV_RECORDED] = {STAGE_DONE, outcome_tell_failed},
                [EV_UNRECORDED] = {STAGE_DONE, outcome_tell_failed},
                [EV_WITHDRAWN] = {STAGE_FAILING, outcome_caller_left},
            },
        [STAGE_CLOSING] =
            {
                [EV_RECORDED] = {STAGE_DONE, outcome_tell_ended},
                [EV_UNRECORDED] = {STAGE_DONE, outcome_tell_ended},
            },
};

static enum request_state state_of(enum stage s)
{
    switch (s) {
    case STAGE_NEW:
    case STAGE_RESOLVING:
    case STAGE_JUDGING:
        return REQUEST_RECEIVED;
    case STAGE_WAITING:
    case STAGE_REFRESHING:
    case STAGE_REJUDGING:
    case STAGE_HELD:
        return REQUEST_WAITING;
    case STAGE_CHECKING:
    case STAGE_COMPARING:
    case STAGE_ALLOWING:
    case STAGE_HELD_LATE:
    case STAGE_LAUNCHED:
        return REQUEST_STARTING;
    case STAGE_RUNNING:
        return REQUEST_RUNNING;
    case STAGE_REFUSING:
    case STAGE_FAILING:
    case STAGE_CLOSING:
    case STAGE_DONE:
    case STAGE_COUNT_:
        break;
    }
    return REQUEST_ENDED;
}

static enum limits_place place_of(enum request_state s)
{
    switch (s) {
    case REQUEST_RECEIVED:
    case REQUEST_STARTING:
    case REQUEST_RUNNING:
        return LIMITS_FLIGHT;
    case REQUEST_WAITING:
        return LIMITS_WAITING;
    case REQUEST_ENDED:
        break;
    }
    return LIMITS_NOWHERE;
}

static void move(struct warden *w, const struct request *r, enum limits_place from,
                 enum limits_place to)
{
    char key[LIMITS_KEY_SIZE];
    limits_key(&r->peer, key);
    limits_move(w->limits, key, from, to);
}

/* A deadline belongs to the state that set it. */
static void clear_deadline(struct warden *w, struct request *r)
{
    deadlines_clear(&w->deadlines, &r->track->deadline);
    r->deadline = 0;
    r->track->left = 0;
}

static void set_stage(struct request *r, enum stage to)
{
    struct warden *w = r->track->w;
    enum request_state before = r->state, now = state_of(to);
    r->track->stage = to;
    if (before == now)
        return;
    w->counts[before]--;
    w->counts[now]++;
    move(w, r, place_of(before), place_of(now));
    if (before == REQUEST_WAITING || now == REQUEST_ENDED)
        clear_deadline(w, r);
    r->state = now;
}

bool course_event(struct request *r, enum course_event ev)
{
    const struct transition *t = &table[r->track->stage][ev];
    if (!t->handler)
        return false;
    set_stage(r, t->to);
    t->handler(r->track->w, r);
    return true;
}

void course_begin(struct warden *w, struct request *r)
{
    struct track *t = mem_new(struct track);
    t->w = w;
    t->r = r;
    t->holds = 1;
    r->track = t;
    r->state = REQUEST_RECEIVED;
    w->counts[REQUEST_RECEIVED]++;
    w->count++;
    move(w, r, LIMITS_NOWHERE, LIMITS_FLIGHT);
    list_append(&w->all, &r->all);
    map_put(w->by_id, r->id_text, r);
}

void course_hold(struct request *r)
{
    r->track->holds++;
}

/* What the next answer to this id hears. */
static void remember(struct warden *w, const struct request *r)
{
    bool answered = r->decision == DECISION_ASK_APPROVED || r->decision == DECISION_ASK_DENIED;
    approvals_remember(r->waiting_at ? w->answered : w->others, r->id_text, r->decision,
                       answered ? r->answer.approver : NULL,
                       r->decided_at ? r->decided_at : course_realtime(w));
}

void course_drop(struct request *r)
{
    struct track *t = r->track;
    struct warden *w = t->w;
    deadlines_clear(&w->deadlines, &t->deadline);
    move(w, r, place_of(r->state), LIMITS_NOWHERE);
    w->counts[r->state]--;
    w->count--;
    map_remove(w->by_id, r->id_text);
    claims_row_free(t->claim);
    facts_done(&t->old_facts);
    if (t->old_policy)
        policy_unref(t->old_policy);
    if (t->judged_by)
        policy_unref(t->judged_by);
    free(t->failure_text);
    binding_env_done(&t->env);
    request_free(r);
    free(t);
}

void course_release(struct request *r)
{
    struct track *t = r->track;
    if (--t->holds > 0 || t->stage != STAGE_DONE)
        return;
    halt_forget(t->w, r->id_text);
    if (t->claim)
        course_close_claim(t->w, TAKE_PTR(t->claim), "its caller came back, and it ended there");
    remember(t->w, r);
    course_drop(r);
}

void course_emit(struct warden *w, const struct request *r, enum event_kind kind)
{
    struct event e = {.kind = kind, .time = course_realtime(w), .r = r};
    events_emit(w->events, &e);
}

void course_say(char *out, size_t size, const char *words)
{
    size_t n = strnlen(words, size - 1);
    memmove(out, words, n); /* `words` may be `out` */
    out[n] = '\0';
}

uint64_t course_after(uint64_t now, uint64_t span)
{
    return span > UINT64_MAX - 1 - now ? UINT64_MAX - 1 : now + span;
}

void course_set_deadline(struct warden *w, struct deadline *d, uint64_t at)
{
    deadlines_set(&w->deadlines, d, at);
    if (at >= w->armed)
        return;
    w->armed = at;
    if (w->rearm)
        w->rearm(w->rearm_arg);
}

void course_due(struct request *r, uint64_t at)
{
    /* After a TERM the grace goes on, whatever is paused. */
    if (r->paused && !r->track->kill_sent) {
        uint64_t now = course_monotonic(r->track->w);
        r->track->left = at > now ? at - now : 1;
        return;
    }
    r->deadline = at;
    course_set_deadline(r->track->w, &r->track->deadline, at);
}

static void noted(void *arg, int result)
{
    if (result < 0)
        course_watch_journal(arg);
}

void course_note(struct warden *w, struct buf *members)
{
    journal_keep(w->journal, members, noted, w);
}

void course_watch_journal(struct warden *w)
{
    if (journal_check(w->journal, NULL) < 0) {
        if (w->retry.place == 0)
            course_set_deadline(w, &w->retry, course_after(course_monotonic(w), RETRY_EVERY));
        return;
    }
    deadlines_clear(&w->deadlines, &w->retry);
    if (w->unrecorded == 0)
        return;
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    _cleanup_free_ char *words =
        mem_printf("%llu commands were refused without a record while the "
                   "log could not be written; %llu records were lost",
                   (unsigned long long)w->unrecorded, (unsigned long long)journal_lost(w->journal));
    w->unrecorded = 0;
    audit_event("recovered", words, course_realtime(w), &members);
    course_note(w, &members);
}

void course_close_claim(struct warden *w, struct queue_row *row, const char *why)
{
    _cleanup_buf_ struct buf members = AUDIT_BUF();
    char id[UUID_TEXT_SIZE];
    uint64_t now = course_realtime(w);
    uuid_format(row->id, id);
    audit_withdrawn_row(row, now, why, &members);
    course_note(w, &members);
    approvals_remember(w->answered, id, DECISION_WITHDRAWN, NULL, now);
    halt_forget(w, id);
    claims_row_free(row);
}

void course_kill(struct request *r, int signo)
{
    struct track *t = r->track;
    struct warden *w = t->w;
    bool first = !t->kill_sent;
    t->kill_sent = true;
    if (r->paused)
        signo = SIGKILL;
    t->kill_signal = signo;
    if (signo == SIGKILL)
        clear_deadline(w, r);
    else if (first)
        course_due(r, course_after(course_monotonic(w), w->config.kill_grace));
    if (r->executor)
        r->executor->kill(r->executor, r, signo);
}
