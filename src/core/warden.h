/* SPDX-License-Identifier: MIT */
/* The warden: one table of what may follow what, for every door. Each decision is recorded before
 * anything runs. No I/O, no loop, no clock of its own: see core/ports.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/events.h"
#include "core/loads.h"
#include "core/metrics.h"
#include "core/ports.h"
#include "core/request.h"
#include "policy/policy.h"

struct warden;

struct warden_config {
    struct clock_port *clock;
    struct resolver *resolver;
    struct audit_log *audit;
    struct index *index;              /* may be NULL */
    struct jailer *jailer;            /* NULL: no containers */
    struct keeper *keeper;            /* NULL: pauses end with the warden */
    uint64_t kill_grace;              /* ns between SIGTERM and the kill of the tree; default 5 s */
    unsigned waiting_max_per_peer;    /* per container, or per uid on the host; default 64 */
    unsigned waiting_max;             /* in all; default 10000 */
    unsigned flight_max_per_peer;     /* received + starting + running; default 256 */
    unsigned asks_per_minute;         /* per peer; default 120; 0: no limit */
    uint64_t record_bytes_per_minute; /* in the audit log, per peer; default 128 MiB; 0: no limit */
    uint64_t claim_grace; /* ns that rows of the old queue wait for their shim; default 30 s */
};

/* Fills the defaults above (ports stay NULL). */
void warden_config_default(struct warden_config *c);

/* `policy` is referenced. */
struct warden *warden_new(const struct warden_config *c, struct policy *policy);
/* Refuses whoever still waits (125), but after warden_drain() v2 callers hear nothing and keep
 * their rows in the index. What runs is killed. No port is called afterwards, but the audit log may
 * still call back. */
struct warden *warden_free(struct warden *w);
CLEANUP_DEFINE(struct warden, warden_free)

/* `x` is borrowed for the warden's life. */
void warden_add_executor(struct warden *w, struct executor *x);
/* `name` must have been added, or requests of that door are refused with words. */
void warden_set_default_executor(struct warden *w, enum door_kind door, const char *name);

/* Takes ownership of `r`. From here the caller hears by its ops, possibly before this returns. */
void warden_submit(struct warden *w, struct request *r);

/* The caller went, or its parent did: `why` in words. No-op for an ended request. */
void warden_withdraw(struct warden *w, struct request *r, const char *why);

/* Reports of resolver and executors. `error`: 0 or negative errno with words. */
void warden_resolved(struct warden *w, struct request *r, int error, const char *words);
void warden_started(struct warden *w, struct request *r, pid_t pid);
void warden_ended(struct warden *w, struct request *r, const struct end *end);

/* A person's answer to the waiting request `id`. `digest` NULL or what the person saw (64 hex).
 * 0; -ENOENT never heard of; -EALREADY it has ended or was answered, words say how and when;
 * -ESTALE what waits is not what was seen; -EINVAL; -EAGAIN not now: an approval while the warden
 * stops, or its caller has not come back since a restart. Recorded and acted on before it returns,
 * or as soon as the log is durable. */
int warden_answer(struct warden *w, const char *id, const struct answer *a, const char *digest,
                  struct err *err) MUST_CHECK;

/* The gate with this number is gone, and what was remembered for its tree. */
void warden_forget_tree(struct warden *w, uint64_t tree);

/* Takes a new policy (referenced) and re-judges what waits; deny wins, allow starts it. Recorded.
 */
void warden_set_policy(struct warden *w, struct policy *p, const char *who);
struct policy *warden_policy(struct warden *w); /* borrowed */
/* A reload that failed: recorded, shown by status. */
void warden_policy_failed(struct warden *w, const char *who, const char *words);
const char *warden_policy_error(const struct warden *w); /* NULL when the last load succeeded */
const struct loads *warden_loads(const struct warden *w);

/* What waited before a restart. Rows nobody claims within claim_grace are recorded as withdrawn. */
void warden_restore(struct warden *w, const struct queue_row *rows, size_t n);

/* Everything whose time has come. Returns the next monotonic ns at which to call again;
 * UINT64_MAX: nothing is pending. */
uint64_t warden_tick(struct warden *w);
/* `fn` is called by the warden whenever that moment may have moved earlier. */
void warden_on_rearm(struct warden *w, void (*fn)(void *arg), void *arg);

/* SIGTERM: new requests are refused (125), waiting v2 callers keep waiting for the next warden,
 * runs may end. warden_idle() is true when nothing starts or runs
 * that would not go on without the warden. */
void warden_drain(struct warden *w);
bool warden_idle(const struct warden *w);
/* Kills what still runs and would not go on without the warden. */
void warden_kill_all(struct warden *w, const char *why);

/* False when the audit log refuses records: /readyz says so. */
bool warden_can_record(const struct warden *w, struct err *ret_why);

/* Listing. `fn` must not change the warden. */
struct request *warden_find(struct warden *w, const char *id); /* waiting, starting or running */
void warden_each(struct warden *w, void (*fn)(void *arg, const struct request *r), void *arg);
/* Each container that is governed, as the jailer knows it; none without a jailer. */
void warden_each_jail(struct warden *w, void (*fn)(void *arg, const struct jail *j), void *arg);
size_t warden_count(const struct warden *w, enum request_state s);

struct events *warden_events(struct warden *w);
struct metrics *warden_metrics(struct warden *w);
