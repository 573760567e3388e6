/* SPDX-License-Identifier: MIT */
/* The kill switch: ends or pauses one request, one container, or everything, and lets it go on.
 * What is wanted is on record before it is done; a kill or a pause is done even when the log
 * refuses the record, which is then kept for it: a full disk must not disarm the switch. To go on
 * needs the record.
 * While something is paused none of its requests is started: deadlines stand still, a yes is kept,
 * a no counts at once. A pause is on the disk before it is told, and lasts, over restarts of
 * warden and container, until somebody ends it, its time is up, or its container is removed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/holds.h"
#include "core/ports.h"
#include "core/warden.h"

struct halt_order {
    enum hold_scope scope;
    const char *target; /* a request's id, a container's name or id; NULL for all */
    const char *who, *why;
    int signo;             /* of a kill; 0: SIGTERM; SIGKILL follows after the grace */
    uint64_t resume_after; /* of a pause; ns, 0: somebody resumes it */
};

/* One container and what came of it. Owned by the report. */
struct halt_item {
    char *key, *name;
    int error;   /* 0, or why it could not be done: in words below */
    bool absent; /* nothing of it is there now */
    bool before; /* of a pause: it was stopped for it already */
    char words[256];
};

/* A command that runs on although it is paused. */
struct halt_loose {
    char id[UUID_TEXT_SIZE];
    char words[256];
};

struct halt_report {
    /* 0, or negative and nothing was done: -ENOENT never heard of; -ENOTUNIQ; -EINVAL; -EALREADY it
     * has ended, or (resume) is not paused; -EAGAIN not now; -EOPNOTSUPP; -EIO no record */
    int error;
    struct err err;              /* words */
    bool recorded;               /* false: the record is kept for the log until it takes it */
    bool already;                /* it was paused before */
    bool still;                  /* everything is paused, and with it what was resumed */
    uint64_t until;              /* of a pause: realtime ns, or 0 */
    char (*ids)[UUID_TEXT_SIZE]; /* requests that were killed; seen to stand still */
    size_t ids_count;
    struct halt_loose *loose;
    size_t loose_count;
    struct halt_item *items; /* containers */
    size_t items_count;
    size_t failed; /* items with an error, and what is loose */
};
/* Called once, possibly before the order returns. `r` is borrowed for the call. */
typedef void halt_done(void *arg, const struct halt_report *r);

void halt_kill(struct warden *w, const struct halt_order *o, halt_done *done, void *arg);
void halt_pause(struct warden *w, const struct halt_order *o, halt_done *done, void *arg);
void halt_resume(struct warden *w, const struct halt_order *o, halt_done *done, void *arg);

/* What was paused when the last warden stopped; before anybody is served. Takes over what `h`
 * holds. */
void halt_restore(struct warden *w, struct holds *h);
const struct holds *halt_holds(const struct warden *w);

/* The jailer's news: a container (whose key this is) runs; it was removed for good. */
void halt_arrived(struct warden *w, const char *key);
void halt_removed(struct warden *w, const char *key);
