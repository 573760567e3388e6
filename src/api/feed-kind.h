/* SPDX-License-Identifier: MIT */
/* What happens, by the names under which readers of the feed know it. */
#pragma once

#include "core/events.h"

enum feed_kind {
    FEED_QUEUED,
    FEED_ANSWERED,
    FEED_WITHDRAWN,
    FEED_EXPIRED,
    FEED_DECIDED,
    FEED_STARTED,
    FEED_ENDED,
    FEED_POLICY,
    FEED_KILLED,
    FEED_PAUSED,
    FEED_RESUMED,
    FEED_KINDS,
    FEED_NOTHING = FEED_KINDS, /* an event that readers are not told of */
};

#define FEED_KIND_NAMES                                                                            \
    "queued, answered, withdrawn, expired, decided, started, ended, policy, killed, paused, "      \
    "resumed"
#define FEED_ALL ((1u << FEED_KINDS) - 1)

enum feed_kind feed_kind_of(const struct event *e);
const char *feed_kind_name(enum feed_kind kind);
/* Names with commas between, as a bit each; 0: none, or one that there is not. */
unsigned feed_kinds_parse(const char *list);
