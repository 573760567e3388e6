/* SPDX-License-Identifier: MIT */
/* What the files of the kill switch share: an order under way, and its steps. Private to
 * src/core/halt*.c. */
#pragma once

#include "core/course.h"
#include "core/halt.h"

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
    char (*moving)[UUID_TEXT_SIZE]; /* owned; were told to stand still, and are looked at */
    size_t moving_count;
    uint64_t moving_until; /* monotonic */
    unsigned pending;      /* answers of the jailer, and one while something moves */
    struct halt_report report;
    halt_done *done;
    void *arg;
};

/* One question to the jailer. */
struct halt_call {
    struct halt *h;
    size_t item;
};

#define HALT_OURSELVES "clawrden"
#define HALT_LOOK_EVERY (20 * CLOCK_NS_PER_MS) /* at what starts, and at what moves */
#define HALT_LOOKS_MAX 15

/* ---- halt.c: the life of an order ---- */

struct halt *halt_begin(struct warden *w, enum halt_kind kind, const struct halt_order *o,
                        halt_done *done, void *arg);
/* Of our own: somebody more comes under this pause. */
struct halt *halt_begin_quiet(struct warden *w, const struct hold *x);
/* Answers, and frees it. */
void halt_finish(struct halt *h);
void halt_fail(struct halt *h, int error); /* with h->report.err set */
void halt_add_id(struct halt_report *p, const char *id);
size_t halt_add_item(struct halt_report *p, const char *key, const char *name);
/* The pauses, on the disk. */
void halt_keep(struct warden *w);
/* A record of it; `error`: what could not be done, or NULL. */
void halt_note(const struct halt *h, const char *error);
/* Records it, then acts; a resume only when the record is durable. */
void halt_record(struct halt *h);
int halt_find_target(struct halt *h, const struct halt_order *o) MUST_CHECK;
/* The containers that it concerns become items of the report. */
void halt_find_items(struct halt *h);
/* Every request that it concerns, each held until halt_release_all(). */
struct request **halt_hold_all(const struct halt *h, size_t *ret_count);
void halt_release_all(struct request **all, size_t n);
bool halt_concerns(const struct halt *h, const struct request *r);
/* One more answer of the jailer is expected about this item: `arg` of halt_answered(). */
struct halt_call *halt_call(struct halt *h, size_t item);
void halt_answered(void *arg, int result, const char *words);
/* All answers are there, so far. May free it. */
void halt_settled(struct halt *h);

/* ---- halt-pause.c ---- */

void halt_pause_act(struct halt *h);
bool halt_pause_runs(const struct request *r);
/* Something that it concerns is in the middle of its start. */
bool halt_pause_starts(const struct halt *h);
/* Stops what runs, or lets it go on. 0, also when it was so, or negative with words. */
int halt_pause_one(struct request *r, bool on, struct err *err);
/* Stops it for this order, whose report says whether it stands still; until that is known the order
 * is pending. */
void halt_pause_for(struct halt *h, struct request *r);
/* It was started although this holds it: an order of our own. */
void halt_pause_late(struct warden *w, const struct hold *x, struct request *r);
/* Looks at what moves. True: nothing does any more, and the order may have ended with that. */
bool halt_pause_look(struct halt *h);
/* Nobody wants to know any more whether it stands still. */
void halt_pause_forget(struct halt *h);
/* One by one: of the host, or of a container (`key`) that could not be stopped as a whole. */
void halt_pause_requests(struct halt *h, const char *key);
void halt_pause_add_frozen(struct hold *x, struct halt_item *item);
/* A command that runs and cannot be stopped is not "paused". */
void halt_pause_give_up(struct halt *h);

/* ---- halt-resume.c ---- */

/* `alone`: of a resume of everything: nothing but what paused everything. */
void halt_resume_by(struct warden *w, const struct halt_order *o, bool alone, halt_done *done,
                    void *arg);
void halt_resume_act(struct halt *h);
/* Whether this order ends that pause: not one that was ordered after it, whatever is done first. */
bool halt_resume_lifts(const struct halt *h, const struct hold *x);
/* What its pauses have stopped and not let go on yet. Another order may add to that meanwhile. */
void halt_resume_thaw(struct halt *h);
/* Everything was let go on that could be. */
void halt_resume_end(struct halt *h);

/* ---- halt-request.c ---- */

/* Whether they are paused is looked at anew. */
void halt_request_look(const struct halt *h);

/* ---- halt-time.c ---- */

void halt_time_rearm(struct warden *w);
