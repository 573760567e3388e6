/* SPDX-License-Identifier: MIT */
/* The decisions that let a command run and have no end on record yet: what the next start must call
 * interrupted. Kept from the records themselves, so that what is remembered is what was written. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct inflight;

struct inflight *inflight_new(void);
struct inflight *inflight_free(struct inflight *f);
CLEANUP_DEFINE(struct inflight, inflight_free)

/* Takes note of one record by its members. */
void inflight_note(struct inflight *f, const char *members, size_t len);
size_t inflight_count(const struct inflight *f);
/* Appends `"open":[{"id":"...","command":...},...]`, sorted by id. */
void inflight_write(const struct inflight *f, struct buf *out);
/* Calls `fn` with the id and the raw JSON value of the command, sorted by id. `fn` must not note.
 */
void inflight_each(const struct inflight *f,
                   void (*fn)(void *arg, const char *id, const char *command), void *arg);
