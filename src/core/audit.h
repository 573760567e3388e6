/* SPDX-License-Identifier: MIT */
/* What a record holds. Each function appends the members of one JSON object, without braces, in the
 * form that ports.h' audit_log takes. Arguments and other text of the agent are redacted by the
 * policy; bytes that are not UTF-8 take the tagged form of base/json.h. Writes no record itself,
 * but for audit_note(). */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/binding.h"
#include "core/ports.h"
#include "core/request.h"

/* A buffer for members: larger than any admitted request can need. */
#define AUDIT_MEMBERS_MAX (128u << 20)
#define AUDIT_BUF() BUF_INIT(AUDIT_MEMBERS_MAX)

/* The request as far as it is known, without time, id, event and decision. */
void audit_request(const struct request *r, struct buf *out);

/* event "decision": r->decision, made at r->decided_at. `env` is what passes when the caller knows
 * it already, or NULL. Falls back to a record without arguments when they do not fit. */
void audit_decision(const struct request *r, const struct binding_env *env, struct buf *out);

/* What the warden knows of an end beside r->end. */
struct audit_end {
    uint64_t duration;     /* ns; 0: it never ran */
    const char *killed_by; /* an operator, or NULL */
    const char *error;     /* words, or NULL */
};
/* event "end", at r->ended_at. */
void audit_end(const struct request *r, const struct audit_end *e, struct buf *out);

/* event "decision", decision "withdrawn": nobody claimed the place of `row`. */
void audit_withdrawn_row(const struct queue_row *row, uint64_t realtime, const char *why,
                         struct buf *out);

/* event "end", decision "interrupted": for a decision without an end that the log's opener found.
 */
void audit_interrupted(const char *id, const char *command, uint64_t realtime, const char *why,
                       struct buf *out);

/* event "limited": `n` refusals of `peer` that were not recorded one by one. */
void audit_limited(const char *peer, uint64_t n, uint64_t realtime, struct buf *out);

/* event "policy": loaded (error NULL) or refused; `digest` of the one in force from now on. */
void audit_policy(const char *digest, const char *name, const char *who, const char *error,
                  uint64_t realtime, struct buf *out);

/* event "kill", "pause" or "resume": an order, before it is carried out; with `error` what could
 * not be done of it. Strings may be NULL. */
struct audit_halt {
    const char *event, *scope; /* "pause"; hold_scope_name() */
    const char *request;       /* its id, or NULL */
    const char *container_id, *container;
    const char *who, *why, *signal, *error;
    uint64_t until; /* realtime ns; 0: nobody said */
    bool restored;  /* by a warden that was started again */
};
void audit_halt(const struct audit_halt *h, uint64_t realtime, struct buf *out);

/* Any other event: "start", "stop", "recovered" ... with words (may be NULL). */
void audit_event(const char *event, const char *words, uint64_t realtime, struct buf *out);

/* Appends an audit_event() to `l` and does not wait for its durability. */
int audit_note(struct audit_log *l, uint64_t realtime, const char *event, const char *words,
               struct err *err) MUST_CHECK;
