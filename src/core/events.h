/* SPDX-License-Identifier: MIT */
/* The feed: what happened, for whoever listens (metrics, API streams, notifications).
 * Listeners may be removed without touching the core; they must not change the warden. */
#pragma once

#include <stdint.h>

#include "core/request.h"

enum event_kind {
    EVENT_RECEIVED,
    EVENT_WAITING,
    EVENT_DECIDED, /* the record of the decision is written */
    EVENT_STARTED,
    EVENT_ENDED,  /* the record of the end is written, or there was no command */
    EVENT_POLICY, /* a policy was loaded, or a reload failed */
    EVENT_HALT,   /* a kill, a pause or a resume has been carried out, as far as it could be */
};
const char *event_kind_name(enum event_kind k);

struct audit_halt; /* core/audit.h */

struct event {
    enum event_kind kind;
    uint64_t time;                 /* realtime ns */
    const struct request *r;       /* borrowed; NULL for EVENT_POLICY and EVENT_HALT */
    const char *text;              /* EVENT_POLICY: words, NULL: fine */
    const struct audit_halt *halt; /* EVENT_HALT; borrowed */
    size_t failed;                 /* EVENT_HALT: what of it could not be done */
};

struct events;
struct events *events_new(void);
struct events *events_free(struct events *e);
CLEANUP_DEFINE(struct events, events_free)

typedef void events_fn(void *arg, const struct event *e);
void events_subscribe(struct events *e, events_fn *fn, void *arg);
void events_unsubscribe(struct events *e, events_fn *fn, void *arg); /* also from inside fn */
void events_emit(struct events *e, const struct event *ev);
