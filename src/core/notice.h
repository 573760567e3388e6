/* SPDX-License-Identifier: MIT */
/* The words that the agent reads on its stderr: whole lines that begin with "clawrden:", at most
 * NOTICE_MAX bytes, nothing in them that could act on a terminal. Agents show them to their model,
 * so they say what was decided, by whom, where, why, what to do instead, and the request id. */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "core/request.h"

#define NOTICE_MAX 7000 /* under V2_TEXT_MAX */

/* Appends `s`, escaped, at most `max` bytes of it with a visible cut. */
void notice_put(struct buf *out, const char *s, size_t max);

/* Why the request was refused, by r->decision, r->why, r->answer and r->judged. */
void notice_refused(const struct request *r, struct buf *out);
/* The record could not be written, because of `cause`. */
void notice_unrecorded(const struct request *r, const char *cause, struct buf *out);
/* The program is not there. */
void notice_not_found(const struct request *r, struct buf *out);
/* It was allowed but not started: `why`. */
void notice_not_started(const struct request *r, const char *why, struct buf *out);
/* The command ran out of its time; into r->end.text. */
void notice_timed_out(struct request *r);
/* An operator ended it; into r->end.text. */
void notice_killed(struct request *r, const char *why);
