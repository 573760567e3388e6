/* SPDX-License-Identifier: MIT */
/* Counters. The number of series is bounded: names come from trusted programs only, and beyond
 * METRICS_COMMANDS_MAX they share "other". */
#include "core/metrics.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define DECISIONS (DECISION_INTERRUPTED + 1)
#define OTHER "other"

const double metrics_bounds[METRICS_BUCKETS] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5,  1,
                                                5,     10,    30,   60,   300, 1800, 7200};

struct command_counts {
    uint64_t n[DECISIONS];
};

struct metrics {
    struct map *commands; /* name -> struct command_counts, owned */
    uint64_t errors[METRICS_ERROR_COUNT_];
    uint64_t buckets[METRICS_BUCKETS + 1]; /* not cumulative */
    double sum;
    uint64_t count;
};

const char *metrics_error_name(enum metrics_error e)
{
    switch (e) {
    case METRICS_ERROR_AUDIT:
        return "audit";
    case METRICS_ERROR_RESOLVE:
        return "resolve";
    case METRICS_ERROR_EXEC:
        return "exec";
    case METRICS_ERROR_PROTOCOL:
        return "protocol";
    case METRICS_ERROR_IDENTITY:
        return "identity";
    case METRICS_ERROR_LIMIT:
        return "limit";
    case METRICS_ERROR_POLICY:
        return "policy";
    case METRICS_ERROR_COUNT_:
        break;
    }
    return "unknown";
}

struct metrics *metrics_new(void)
{
    struct metrics *m = mem_new(struct metrics);
    m->commands = map_new();
    return m;
}

struct metrics *metrics_free(struct metrics *m)
{
    if (!m)
        return NULL;
    const char *key;
    void *value;
    for (size_t i = 0; map_next(m->commands, &i, &key, &value);)
        free(value);
    map_free(m->commands);
    free(m);
    return NULL;
}

static struct command_counts *metrics_command(struct metrics *m, const char *command)
{
    if (!command)
        command = OTHER;
    struct command_counts *c = map_get(m->commands, command);
    if (c)
        return c;
    /* One place of the table is kept for "other". */
    if (map_count(m->commands) >= METRICS_COMMANDS_MAX - 1 && strcmp(command, OTHER) != 0)
        return metrics_command(m, OTHER);
    c = mem_new(struct command_counts);
    map_put(m->commands, command, c);
    return c;
}

void metrics_count_request(struct metrics *m, const char *command, enum decision d)
{
    if ((unsigned)d < DECISIONS)
        metrics_command(m, command)->n[d]++;
}

void metrics_observe_execution(struct metrics *m, uint64_t duration_ns)
{
    double seconds = (double)duration_ns / 1e9;
    size_t i = 0;
    while (i < METRICS_BUCKETS && seconds > metrics_bounds[i])
        i++;
    m->buckets[i]++;
    m->sum += seconds;
    m->count++;
}

void metrics_count_error(struct metrics *m, enum metrics_error e)
{
    if ((unsigned)e < METRICS_ERROR_COUNT_)
        m->errors[e]++;
}

void metrics_each_request(const struct metrics *m,
                          void (*fn)(void *arg, const char *command, enum decision d, uint64_t n),
                          void *arg)
{
    const char *command;
    void *value;
    for (size_t i = 0; map_next(m->commands, &i, &command, &value);) {
        const struct command_counts *c = value;
        for (unsigned d = 0; d < DECISIONS; d++)
            if (c->n[d])
                fn(arg, command, (enum decision)d, c->n[d]);
    }
}

uint64_t metrics_errors(const struct metrics *m, enum metrics_error e)
{
    return (unsigned)e < METRICS_ERROR_COUNT_ ? m->errors[e] : 0;
}

void metrics_execution(const struct metrics *m, uint64_t ret_cumulative[METRICS_BUCKETS + 1],
                       double *ret_sum, uint64_t *ret_count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= METRICS_BUCKETS; i++) {
        sum += m->buckets[i];
        ret_cumulative[i] = sum;
    }
    *ret_sum = m->sum;
    *ret_count = m->count;
}
