/* SPDX-License-Identifier: MIT */
/* Answers of people: what is a valid one, and what is said to one that comes too late. Keeps the
 * last requests that have ended, so that a late answer hears how, when and by whom, and never
 * "unknown". Who waits is known to the warden; what an answer is bound to is core/binding's. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/request.h"

struct approvals;
/* Remembers the last `size` ends. */
struct approvals *approvals_new(size_t size);
struct approvals *approvals_free(struct approvals *q);
CLEANUP_DEFINE(struct approvals, approvals_free)

/* 0, or -EINVAL with words: verdict other than allow and deny, nobody's name, text without end. */
int approvals_check(const struct answer *a, struct err *err) MUST_CHECK;
/* 0, or -ESTALE with words when `seen` (what the person saw, may be NULL) is not what waits. */
int approvals_check_seen(const struct request *r, const char *seen, struct err *err) MUST_CHECK;

/* Remembers how a request ended; `who` may be NULL. */
void approvals_remember(struct approvals *q, const char *id, enum decision d, const char *who,
                        uint64_t realtime);
/* Always negative, with words: -EALREADY how, when and by whom `id` ended; -ENOENT not known. */
int approvals_recall(const struct approvals *q, const char *id, uint64_t realtime,
                     struct err *err) MUST_CHECK;
/* -EALREADY with words for a request that is past waiting but has not ended. */
int approvals_late(const struct request *r, uint64_t realtime, struct err *err) MUST_CHECK;
