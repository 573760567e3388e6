/* SPDX-License-Identifier: MIT */
/* The world of the core, made of counters: a clock that tests move, a resolver, an executor, an
 * audit log and an index that answer at once or when told, callers that remember what they heard.
 * Each fake fails the test when the core breaks the contract of core/ports.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/halt.h"
#include "core/ports.h"
#include "core/warden.h"

#define SEC UINT64_C(1000000000)
#define FAKE_START_REALTIME (UINT64_C(1700000000) * SEC)

struct fake_clock {
    struct clock_port port;
    uint64_t mono, real;
};
void fake_clock_init(struct fake_clock *c);
void fake_clock_advance(struct fake_clock *c, uint64_t ns);

/* Finds /usr/bin/NAME, trusted, for each name, in cwd /app, unless told otherwise. */
struct fake_resolver {
    struct resolver port;
    struct warden *w; /* set after warden_new() */
    bool hold;        /* answers only by fake_resolver_answer() */
    int refuse;       /* resolve() returns this */
    int fail;         /* answered as this error */
    enum program_trust trust;
    uint64_t ino; /* of the program */
    const char *cwd;
    const char *path_operand; /* resolved form of argv[1], or NULL */
    bool no_exec_path;        /* knows the program, but not what to execute */
    struct request *pending[256];
    size_t pending_count;
    unsigned resolved, cancelled;
};
void fake_resolver_init(struct fake_resolver *x);
void fake_resolver_answer(struct fake_resolver *x, struct request *r);
bool fake_resolver_has(const struct fake_resolver *x, const struct request *r);

struct fake_record {
    char *members; /* owned */
    void (*done)(void *arg, int result);
    void *arg;
    bool finished;
    int result;
};
struct fake_index;
struct fake_audit {
    struct audit_log port;
    int refuse;                  /* append() returns this */
    bool hold;                   /* done is called only by fake_audit_finish() */
    int result;                  /* what done gets */
    struct fake_record *records; /* owned */
    size_t count, size;
    struct fake_index *index; /* borrowed; reads the log: a decision removes its row. May be NULL */
};
void fake_audit_init(struct fake_audit *a);
void fake_audit_done(struct fake_audit *a);
/* Finishes the oldest record that is not. False when there is none. */
bool fake_audit_finish(struct fake_audit *a, int result);
/* How many records of `event` (NULL: any) of `id` (NULL: any) the log has confirmed. */
size_t fake_audit_count(const struct fake_audit *a, const char *id, const char *event);
/* Whether a decision about `id` was appended, confirmed or not. */
bool fake_audit_has_decision(const struct fake_audit *a, const char *id);
/* The last such record as JSON, owned by the caller; fails the test when there is none. */
struct json *fake_audit_get(const struct fake_audit *a, const char *id, const char *event);
/* Whether the last such record has this member; "null" and numbers as JSON text. */
bool fake_audit_is(const struct fake_audit *a, const char *id, const char *event, const char *key,
                   const char *value);

struct fake_index {
    struct index port;
    struct queue_row *rows; /* owned, with their summaries */
    size_t count;
    unsigned puts;
    bool hold; /* kept() waits for fake_index_keep() */
};
void fake_index_keep(struct fake_index *x); /* calls kept() for every row */
void fake_index_init(struct fake_index *x);
void fake_index_done(struct fake_index *x);
const struct queue_row *fake_index_find(const struct fake_index *x, const uint8_t id[16]);

struct fake_caller {
    struct caller caller;
    unsigned waiting, refused, taken;
    int take_fails; /* take() returns this when negative */
    int exit_code;
    char text[8192];
    char id[UUID_TEXT_SIZE]; /* of the request, as last heard */
};
void fake_caller_init(struct fake_caller *c);

struct fake_job {
    struct request *r;
    bool started, released, frozen;
};
struct fake_executor {
    struct executor port;
    struct warden *w;
    int refuse;            /* start() returns this */
    bool at_once;          /* reports started from within start() */
    bool end_at_once;      /* and the end too */
    struct fake_job *jobs; /* owned */
    size_t count, size;
    unsigned starts, kills, releases, freezes, thaws;
    bool cannot_freeze;
    bool restless; /* what is frozen goes on all the same */
    int last_signal;
    size_t last_env_len, last_envc;
    struct end released_end; /* of the last release */
};
void fake_executor_init(struct fake_executor *x, const char *name);
void fake_executor_done(struct fake_executor *x);
bool fake_executor_has(const struct fake_executor *x, const struct request *r);

/* Governs two containers: "one" of an engine, "two" at a door. */
struct fake_jail {
    const char *key, *name;
    bool frozen;
    int signo; /* the last one */
};
struct fake_freeze {
    const char *key; /* of a jail */
    bool on;
    void (*done)(void *arg, int result, const char *words);
    void *arg;
};
struct fake_jailer {
    struct jailer port;
    struct fake_jail jails[4];
    size_t count;
    int fail;  /* what freeze and kill answer */
    bool hold; /* freezes only by fake_jailer_answer() */
    struct fake_freeze pending[64];
    size_t pending_count;
    unsigned calls;
};
void fake_jailer_init(struct fake_jailer *x);
/* Does the oldest freeze that is not done. False when there is none. */
bool fake_jailer_answer(struct fake_jailer *x);

struct fake_keeper {
    struct keeper port;
    int fail;
    unsigned keeps;
    char text[65536]; /* the last */
};
void fake_keeper_init(struct fake_keeper *k);

/* An operator's order: what its report says, or 1 when it is not there yet. */
int fake_kill(struct warden *w, const char *id, int signo, const char *who, const char *why,
              struct err *err);
int fake_pause(struct warden *w, enum hold_scope scope, const char *target, uint64_t resume_after,
               struct err *err);
int fake_resume(struct warden *w, enum hold_scope scope, const char *target, struct err *err);

/* A request of `door` by uid 1000 for `line`, split at blanks. */
struct request *fake_request(struct fake_caller *c, enum door_kind door, const char *line);

/* All of it around one warden. */
struct world {
    struct fake_clock clock;
    struct fake_resolver resolver;
    struct fake_audit audit;
    struct fake_index index;
    struct fake_executor executor;
    struct fake_jailer jailer;
    struct fake_keeper keeper;
    struct warden_config config;
    struct policy *policy;
    struct warden *w;
    unsigned rearmed;
};
struct policy *fake_policy(const char *text);
/* `text` is the policy. */
void world_init(struct world *f, const char *text);
void world_start(struct world *f); /* a warden with f->config: world_init() does it */
void world_stop(struct world *f);  /* frees the warden, keeps the world */
void world_done(struct world *f);
/* Moves the clock and ticks. */
void world_advance(struct world *f, uint64_t ns);
