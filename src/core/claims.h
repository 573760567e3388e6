/* SPDX-License-Identifier: MIT */
/* Places in the queue of the warden's former life, kept for a while for the shims that held them.
 * A place is given out once. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "core/ports.h"

struct claims;
struct claims *claims_new(void);
struct claims *claims_free(struct claims *c);
CLEANUP_DEFINE(struct claims, claims_free)

struct queue_row *claims_row_free(struct queue_row *row);
CLEANUP_DEFINE(struct queue_row, claims_row_free)

/* Copies `row`. A second row of the same id is ignored. */
void claims_keep(struct claims *c, const struct queue_row *row, uint64_t until);
/* The place of `id` when it was held by this very process: owned by the caller, no longer kept.
 * NULL when there is none or the process is another one (then it stays for its owner). */
struct queue_row *claims_take(struct claims *c, const uint8_t id[16], pid_t pid,
                              uint64_t start_time) MUST_CHECK;
/* A place that nobody claimed in time, owned by the caller; NULL when there is none. */
struct queue_row *claims_take_due(struct claims *c, uint64_t now) MUST_CHECK;
/* All of them fall due at `until`, and their requests `ns` later: their time stood still. */
void claims_later(struct claims *c, uint64_t until, uint64_t ns);
/* When the next one falls due; UINT64_MAX when empty. */
uint64_t claims_next(const struct claims *c);
/* Whether `id` is kept. */
int claims_has(const struct claims *c, const char *id_text);
