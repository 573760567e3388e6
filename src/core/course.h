/* SPDX-License-Identifier: MIT */
/* Inside of the warden: the course of one request, as one table of what may follow what. Included
 * by core/warden.c, core/access.c, core/course.c, core/judging.c, core/outcome.c and the files of
 * core/halt*.c only. */
#pragma once

#include "core/approvals.h"
#include "core/binding.h"
#include "core/claims.h"
#include "core/deadlines.h"
#include "core/holds.h"
#include "core/journal.h"
#include "core/limits.h"
#include "core/remember.h"
#include "core/warden.h"

#include "base/map.h"

/* Finer than request_state, which follows from it. */
enum stage {
    STAGE_NEW,        /* received */
    STAGE_RESOLVING,  /* facts are being found */
    STAGE_JUDGING,    /* passes at once */
    STAGE_WAITING,    /* for a person */
    STAGE_REFRESHING, /* still waits; a new policy looks at paths that are being found */
    STAGE_REJUDGING,  /* still waits; passes at once */
    STAGE_CHECKING,   /* approved; facts are read once more */
    STAGE_COMPARING,  /* passes at once */
    STAGE_HELD,       /* may run, or was approved, and is paused: it is looked at again then */
    STAGE_ALLOWING,   /* the record of the decision is being written */
    STAGE_HELD_LATE,  /* the record is written, and meanwhile it was paused */
    STAGE_LAUNCHED,   /* the executor has it */
    STAGE_RUNNING,
    STAGE_REFUSING, /* the record of the refusal is being written */
    STAGE_FAILING,  /* allowed, but never started: the record of the end is being written */
    STAGE_CLOSING,  /* it ended: the record is being written */
    STAGE_DONE,
    STAGE_COUNT_
};

enum course_event {
    EV_SUBMITTED,
    EV_RESOLVED,
    EV_UNRESOLVED,
    EV_STALE, /* judged by a policy that is no longer in force */
    EV_POLICY_DENIES,
    EV_POLICY_ASKS,
    EV_POLICY_ALLOWS,
    EV_LIMITED,
    EV_IMPOSSIBLE, /* cannot be decided or run; r->why says why */
    EV_SAME,
    EV_CHANGED,
    EV_HELD,    /* instead of going on: it is paused */
    EV_RESUMED, /* what was held goes on */
    EV_APPROVED,
    EV_DENIED,
    EV_DEADLINE,
    EV_WITHDRAWN,
    EV_RELOADED,
    EV_STOPPING,
    EV_KILLED,
    EV_RECORDED,
    EV_UNRECORDED,
    EV_NOT_STARTED,
    EV_STARTED,
    EV_ENDED,
    EV_COUNT_
};

/* What the warden keeps of a request for itself. */
struct track {
    struct warden *w;
    struct request *r;
    enum stage stage;
    unsigned holds; /* functions that still use it; freed at STAGE_DONE when 0 */
    struct deadline deadline;
    struct queue_row *claim; /* owned: its place before a restart, until that is settled */
    /* What was known and judged before facts are read again. */
    bool stashed;
    struct facts old_facts;
    struct policy *old_policy;
    struct policy_decision old_judged;
    struct policy *judged_by;              /* owned: keeps the strings of r->judged alive */
    uint64_t waiting_since, running_since; /* monotonic; 0: not yet */
    int exit_code;                         /* of a refusal */
    bool counted_only;                     /* refused by a cap, without a record of its own */
    bool told;                             /* its caller knows that it waits */
    uint64_t left;                         /* ns of its deadline, which stands still; 0: none */
    bool frozen;                           /* the executor has stopped it */
    bool held_late;                        /* its decision is older than a pause */
    bool caller_gone;                      /* before it was started */
    bool kill_sent;      /* SIGTERM is on its way, the deadline is the grace's end */
    char killed_by[128]; /* operator, or "" */
    int kill_signal;     /* the last that was sent for it, or would have been */
    char failure[512];   /* why it was not started, for the record */
    char *failure_text;  /* owned: the same for the agent */
    bool env_known;
    struct binding_env env; /* what passes: between the decision and the start */
};

#define WARDEN_ENDED_MAX 4096
#define WARDEN_EXECUTORS_MAX 8
#define WARDEN_DOORS (DOOR_API + 1)

struct warden {
    struct warden_config config;
    struct policy *policy; /* owned reference: the one in force */
    bool policy_failed;
    struct err policy_error;
    struct loads loads;
    struct executor *executors[WARDEN_EXECUTORS_MAX];
    size_t executors_count;
    char default_executor[WARDEN_DOORS][32];
    struct events *events;
    struct metrics *metrics;
    struct limits *limits;
    struct journal *journal;
    struct claims *claims;
    struct remember *remember;
    struct approvals *answered; /* ends of what waited */
    struct approvals *others;   /* ends of what did not */
    struct map *by_id;
    struct list all;
    size_t count, counts[REQUEST_ENDED + 1];
    struct deadlines deadlines;
    struct deadline retry;     /* of records that are kept */
    struct deadline unclaimed; /* of the oldest place nobody claimed */
    struct deadline limited;   /* refusals that were only counted are recorded */
    struct deadline untold;    /* callers are told that they wait, whatever keeps the index */
    struct holds *holds;       /* owned: what is paused */
    struct list halts;         /* orders under way */
    uint64_t orders;           /* how many there were: the last one's number */
    struct deadline halting;   /* pauses wait for what is just being started; some end by time */
    void (*rearm)(void *arg);
    void *rearm_arg;
    uint64_t armed; /* what tick returned last, or what rearm was called for */
    uint64_t swept_at;
    uint64_t refusals_since; /* of logins: the minute that is counted, monotonic */
    unsigned refusals;       /* recorded in it */
    uint64_t unrecorded;     /* commands refused because nothing could be recorded */
    bool draining;
};

static inline uint64_t course_monotonic(struct warden *w)
{
    return w->config.clock->monotonic(w->config.clock);
}

static inline uint64_t course_realtime(struct warden *w)
{
    return w->config.clock->realtime(w->config.clock);
}

/* Begins the course; `r` is held once and must be let go by course_release(). */
void course_begin(struct warden *w, struct request *r);
/* Lets an event happen; false when nothing follows from it in this stage. `r` must be held. */
bool course_event(struct request *r, enum course_event ev);
void course_hold(struct request *r);
void course_release(struct request *r); /* may free it */
/* Out of all indexes, without a word to anybody, freed at once. For warden_free(). */
void course_drop(struct request *r);

/* Sets a deadline of the warden and tells its timer. */
void course_set_deadline(struct warden *w, struct deadline *d, uint64_t at);
void course_due(struct request *r, uint64_t at);    /* the request's own */
uint64_t course_after(uint64_t now, uint64_t span); /* saturating */

/* A record of what has happened; never lost. Takes the content of `members`. */
void course_note(struct warden *w, struct buf *members);
/* Looks after records that are kept: sets the retry, tells of recovery. */
void course_watch_journal(struct warden *w);
/* The place of a former life is not taken: recorded as withdrawn, forgotten. Frees `row`. */
void course_close_claim(struct warden *w, struct queue_row *row, const char *why);

/* Signals to what runs or starts; SIGKILL after the grace. What is paused gets no last words: it is
 * killed at once. */
void course_kill(struct request *r, int signo);

/* ---- of core/halt*.c ---- */

/* The request, its container or everything is paused. */
bool halt_held(const struct request *r);
/* Looks whether it is paused: its deadline stands still, or it goes on. Freezes nothing. */
void halt_request(struct request *r);
/* It was started while it was paused. */
void halt_started(struct request *r);
/* A request has ended for good: nothing of it is paused any more. */
void halt_forget(struct warden *w, const char *id);
/* One request, by what it is doing. */
void warden_kill_request(struct request *r, int signo, const char *who, const char *why);
int warden_find_open(struct warden *w, const char *id, struct request **ret,
                     struct err *err) MUST_CHECK;
void halt_due(struct warden *w);
void halt_end(struct warden *w); /* of the warden: orders under way are answered */

void course_emit(struct warden *w, const struct request *r, enum event_kind kind);
/* Copies `words`, cut to `size`. */
void course_say(char *out, size_t size, const char *words);

/* The place in the queue outlives a kill now, or will not: the caller hears that it waits. */
void judging_tell(struct request *r);
/* A lookup is under way and not wanted any more: what was known before is known again. */
void judging_stop_lookup(struct warden *w, struct request *r);
void judging_restore(struct request *r);

/* The table's handlers. */
typedef void course_handler(struct warden *w, struct request *r);
course_handler judging_resolve, judging_judge, judging_judge_again, judging_rejudge,
    judging_refresh, judging_wait, judging_wait_again, judging_check, judging_compare, judging_hold,
    judging_hold_approved, judging_hold_lookup, judging_hold_unknown;
course_handler outcome_allow_by_policy, outcome_allow_by_person, outcome_deny,
    outcome_deny_by_person, outcome_deny_lookup, outcome_hold, outcome_caller_left_held,
    outcome_kill_held, outcome_expire, outcome_expire_lookup, outcome_withdraw,
    outcome_withdraw_lookup, outcome_stop, outcome_stop_lookup, outcome_fail, outcome_impossible,
    outcome_fail_lookup, outcome_changed, outcome_limit, outcome_launch, outcome_started,
    outcome_overdue, outcome_caller_left, outcome_caller_left_command, outcome_kill_later,
    outcome_kill, outcome_fail_end, outcome_close, outcome_tell_refused, outcome_tell_unrecorded,
    outcome_not_recorded, outcome_tell_failed, outcome_tell_ended;
