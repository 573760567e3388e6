/* SPDX-License-Identifier: MIT */
/* Between the warden and its audit log: what must be on record before the warden acts, and what has
 * happened and must not be lost. When the log refuses records, the latter are kept in order and
 * tried again; as long as some are kept, nothing new may be decided. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "core/ports.h"

/* Each command that was admitted while the log worked leaves at most a few records behind when it
 * fails, and no new ones are admitted: this bound is beyond what they can leave. */
#define JOURNAL_KEPT_MAX 65536

struct journal;
/* `log` is borrowed. */
struct journal *journal_new(struct audit_log *log);
/* Callbacks under way find nobody any more. */
struct journal *journal_free(struct journal *j);
CLEANUP_DEFINE(struct journal, journal_free)

typedef void journal_fn(void *arg, int result);

/* A record without which nothing may follow. Takes the content of `members`. 0: `fn` is called
 * once, possibly before this returns, with 0 or a negative errno. Negative: nothing was written,
 * `fn` will not be called, `members` is as it was. */
int journal_append(struct journal *j, struct buf *members, journal_fn *fn, void *arg,
                   struct err *err) MUST_CHECK;
/* A record of what has happened already. Takes the content of `members`. `fn` (may be NULL) is
 * called once, possibly before this returns: 0, or negative when the record is kept for later. */
void journal_keep(struct journal *j, struct buf *members, journal_fn *fn, void *arg);

/* Tries to write what is kept. 0 when nothing is, else negative with the words of the failure. */
int journal_flush(struct journal *j, struct err *err);
/* 0 when records are accepted as far as is known, else negative with words. Tries nothing. */
int journal_check(const struct journal *j, struct err *err);
size_t journal_kept(const struct journal *j);
uint64_t journal_lost(const struct journal *j); /* beyond JOURNAL_KEPT_MAX */
