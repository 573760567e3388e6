/* SPDX-License-Identifier: MIT */
/* Caps per peer (a container, or a uid on the host) and in all, so that one agent can neither fill
 * the queue nor starve others. Counts only; who is refused is told by the warden. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/request.h"

struct limits_config {
    unsigned waiting_per_peer, waiting_all, flight_per_peer;
    unsigned asks_per_minute;         /* 0: no limit */
    uint64_t record_bytes_per_minute; /* 0: no limit */
};

/* Where a request counts. */
enum limits_place {
    LIMITS_NOWHERE,
    LIMITS_FLIGHT, /* received, starting, running */
    LIMITS_WAITING,
};

#define LIMITS_KEY_SIZE 300

struct limits;
/* Why limits_may_wait() refuses where nobody is asked at all. */
#define LIMITS_NOBODY "a person would have to answer, and nobody is asked here"
bool limits_asks_nobody(const struct limits *l);

struct limits *limits_new(const struct limits_config *c);
struct limits *limits_free(struct limits *l);
CLEANUP_DEFINE(struct limits, limits_free)

/* "container:NAME" or "uid:N". Names longer than the key share one. */
void limits_key(const struct peer *p, char ret[LIMITS_KEY_SIZE]);

/* 0, or -EDQUOT with words: one more would pass a cap. */
int limits_may_enter(struct limits *l, const char *key, struct err *err) MUST_CHECK;
int limits_may_wait(struct limits *l, const char *key, struct err *err) MUST_CHECK;
/* Takes one of the peer's asks of this minute; -EDQUOT with words when there is none. */
int limits_take_ask(struct limits *l, const char *key, uint64_t now, struct err *err) MUST_CHECK;

/* Takes `bytes` of what the peer may write into the audit log in a minute; -EDQUOT with words when
 * all of it is used up. The last one may be larger than what is left. */
int limits_take_record(struct limits *l, const char *key, uint64_t bytes, uint64_t now,
                       struct err *err) MUST_CHECK;

/* A request moves; never refused. */
void limits_move(struct limits *l, const char *key, enum limits_place from, enum limits_place to);

/* A refusal because of a cap: true when it is to be recorded by itself. Beyond a few in a minute
 * they are only counted, so that a flood cannot fill the audit log. */
#define LIMITS_RECORDS_PER_MINUTE 10
bool limits_record(struct limits *l, const char *key, uint64_t now);
/* Hands out what was only counted, once. `fn` gets each peer with a count. */
void limits_collect(struct limits *l, void (*fn)(void *arg, const char *key, uint64_t n),
                    void *arg);

/* Forgets peers with nothing going on. */
void limits_sweep(struct limits *l, uint64_t now);
size_t limits_peers(const struct limits *l);
