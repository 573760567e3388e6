/* SPDX-License-Identifier: MIT */
/* Counters of the core, no format: api/metrics writes them for Prometheus. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/request.h"

/* What takes time. */
enum metrics_time {
    METRICS_TIME_EXECUTION, /* of commands */
    METRICS_TIME_DECISION,  /* from the request to its decision, when nobody was asked */
    METRICS_TIME_APPROVED,  /* how long it waited for a person, by what came of it */
    METRICS_TIME_DENIED,
    METRICS_TIME_EXPIRED,
    METRICS_TIME_WITHDRAWN,
    METRICS_TIME_COUNT_
};
#define METRICS_BUCKETS_MAX 14
/* Upper bounds in seconds, growing; a last bucket is +Inf. */
const double *metrics_bounds(enum metrics_time t, size_t *ret_n);

enum metrics_error {
    METRICS_ERROR_AUDIT,    /* a record could not be written */
    METRICS_ERROR_RESOLVE,  /* facts could not be found */
    METRICS_ERROR_EXEC,     /* a command could not be started */
    METRICS_ERROR_PROTOCOL, /* a peer sent nonsense */
    METRICS_ERROR_IDENTITY, /* a peer whose credentials do not agree */
    METRICS_ERROR_LIMIT,    /* a cap was reached */
    METRICS_ERROR_POLICY,   /* a reload failed */
    METRICS_ERROR_COUNT_
};
const char *metrics_error_name(enum metrics_error e);

/* Commands beyond this many distinct trusted names count as "other": an agent cannot grow it. */
#define METRICS_COMMANDS_MAX 64
#define METRICS_CONTAINERS_MAX 64 /* and so with containers: the rest are "(other)" */
#define METRICS_HOST "(host)"
#define METRICS_QUICK                                                                              \
    (2 * UINT64_C(1000000000)) /* ns: an answer that nobody can have thought about */

struct metrics;
struct metrics *metrics_new(void);
struct metrics *metrics_free(struct metrics *m);
CLEANUP_DEFINE(struct metrics, metrics_free)

void metrics_count_request(struct metrics *m, const char *command, enum decision d);
void metrics_observe(struct metrics *m, enum metrics_time t, uint64_t duration_ns);
/* A request was decided: by command (NULL: one that is not counted by name), container (NULL: the
 * host), latency and wait. */
void metrics_decided(struct metrics *m, const struct request *r, const char *command);
/* How often a rule of this name had the say in what was decided, since the start; *ret_last: when
 * last, realtime ns, 0 never. Beyond METRICS_RULES_MAX names it is not counted. */
#define METRICS_RULES_MAX 4096
uint64_t metrics_rule(const struct metrics *m, const char *name, uint64_t *ret_last);
void metrics_count_asked(struct metrics *m); /* one more waits for a person */
void metrics_count_policy(struct metrics *m, bool loaded);
void metrics_count_error(struct metrics *m, enum metrics_error e);

/* Reading. `fn` is called for each pair that has a count. */
void metrics_each_request(const struct metrics *m,
                          void (*fn)(void *arg, const char *command, enum decision d, uint64_t n),
                          void *arg);
uint64_t metrics_errors(const struct metrics *m, enum metrics_error e);
/* Cumulative counts for the bounds and +Inf, sum in seconds, count. */
void metrics_times(const struct metrics *m, enum metrics_time t,
                   uint64_t ret_cumulative[METRICS_BUCKETS_MAX + 1], double *ret_sum,
                   uint64_t *ret_count);
void metrics_each_container(const struct metrics *m,
                            void (*fn)(void *arg, const char *container, enum decision d,
                                       uint64_t n),
                            void *arg);
/* The name under which a container is counted. */
const char *metrics_container_name(const struct metrics *m, const char *container);
uint64_t metrics_asked(const struct metrics *m);
uint64_t metrics_quick(const struct metrics *m); /* answers within METRICS_QUICK */
uint64_t metrics_policies(const struct metrics *m, bool loaded);
