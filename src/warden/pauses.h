/* SPDX-License-Identifier: MIT */
/* STATE/paused.json: what is paused, so that a warden that is started again knows. */
#pragma once

#include "base/cleanup.h"
#include "core/holds.h"
#include "core/ports.h"

struct pauses;
struct pauses *pauses_new(const char *state);
struct pauses *pauses_free(struct pauses *p);
CLEANUP_DEFINE(struct pauses, pauses_free)

struct keeper *pauses_keeper(struct pauses *p);
/* What was kept, owned by the caller; empty when nothing was. A file that is there and cannot be
 * read is an error: something may be paused that would run. */
int pauses_load(struct pauses *p, struct holds **ret, struct err *err) MUST_CHECK;
