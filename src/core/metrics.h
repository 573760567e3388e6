/* SPDX-License-Identifier: MIT */
/* Counters of the core, no format: api/metrics writes them for Prometheus. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/request.h"

/* Upper bounds of clawrden_execution_duration_seconds, seconds; the last bucket is +Inf. */
#define METRICS_BUCKETS 14
extern const double metrics_bounds[METRICS_BUCKETS];

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

struct metrics;
struct metrics *metrics_new(void);
struct metrics *metrics_free(struct metrics *m);
CLEANUP_DEFINE(struct metrics, metrics_free)

void metrics_count_request(struct metrics *m, const char *command, enum decision d);
void metrics_observe_execution(struct metrics *m, uint64_t duration_ns);
void metrics_count_error(struct metrics *m, enum metrics_error e);

/* Reading. `fn` is called for each pair that has a count. */
void metrics_each_request(const struct metrics *m,
                          void (*fn)(void *arg, const char *command, enum decision d, uint64_t n),
                          void *arg);
uint64_t metrics_errors(const struct metrics *m, enum metrics_error e);
/* Cumulative counts for METRICS_BUCKETS bounds and +Inf, sum in seconds, count. */
void metrics_execution(const struct metrics *m, uint64_t ret_cumulative[METRICS_BUCKETS + 1],
                       double *ret_sum, uint64_t *ret_count);
