/* SPDX-License-Identifier: MIT */
/* A request in short, for the feed: what the records will say of it, redacted as they are, and cut
 * where an agent made it long. The whole is at /api/queue/{id} and in the history. */
#pragma once

#include "base/json.h"
#include "core/request.h"

#define BRIEF_LINE_MAX 4096 /* bytes of arguments that are shown */

/* An object that begins with "id". Times are those of the clock port, ns. */
void brief_json(const struct request *r, struct json_writer *w, uint64_t realtime,
                uint64_t monotonic);
