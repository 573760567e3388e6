/* SPDX-License-Identifier: MIT */
/* Who looked at a waiting request: part of the record of its decision, so that an approval can be
 * told from one of a command that nobody had opened. */
#pragma once

#include <stdint.h>

#include "base/json.h"
#include "core/request.h"

enum look_kind {
    LOOK_SEEN,      /* all of it was read */
    LOOK_EXPLAINED, /* the policy's reasons for it were read */
};

/* Remembers that `who` looked for the first time; the first LOOKS_MAX count. Nothing, unless it
 * waits. */
#define LOOKS_MAX 16
void looks_add(struct request *r, const char *who, enum look_kind how, uint64_t realtime);
/* An array of {"time", "by", "explained"}. */
void looks_put(const struct request *r, struct json_writer *w);
