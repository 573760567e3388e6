/* SPDX-License-Identifier: MIT */
/* A request as people and programs see it while it waits or runs: everything, not redacted, because
 * an approver must see what will run. Not for records, metrics or chat: those use core/audit. */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "core/request.h"

/* A moment, null for 0. */
void describe_time(struct json_writer *w, const char *key, uint64_t realtime);
/* "deadline", of the answer or of the run, as a moment of the calendar, and "deadline_ms"; both
 * null when there is none (any more). */
void describe_deadline(const struct request *r, struct json_writer *w, uint64_t realtime,
                       uint64_t monotonic);
/* Writes one object whose first member is "id". Times are those of the clock port, ns. */
void request_json(const struct request *r, struct json_writer *w, uint64_t realtime,
                  uint64_t monotonic);
