/* SPDX-License-Identifier: MIT */
/* Counters. The number of series is bounded: names come from trusted programs only, and beyond
 * METRICS_COMMANDS_MAX they share "other". */
#include "core/metrics.h"

#include <string.h>

#include "base/map.h"
#include "base/mem.h"

#define DECISIONS (DECISION_INTERRUPTED + 1)
#define OTHER "other"
#define OTHER_CONTAINER "(other)"

static const double execution_bounds[] = {0.001, 0.005, 0.01, 0.05, 0.1, 0.5,  1,
                                          5,     10,    30,   60,   300, 1800, 7200};
static const double decision_bounds[] = {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01,
                                         0.025,  0.05,    0.1,    0.25,  1,      5};
static const double wait_bounds[] = {0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600};

const double *metrics_bounds(enum metrics_time t, size_t *ret_n)
{
    switch (t) {
    case METRICS_TIME_EXECUTION:
        *ret_n = ARRAY_LEN(execution_bounds);
        return execution_bounds;
    case METRICS_TIME_DECISION:
        *ret_n = ARRAY_LEN(decision_bounds);
        return decision_bounds;
    case METRICS_TIME_APPROVED:
    case METRICS_TIME_DENIED:
    case METRICS_TIME_EXPIRED:
    case METRICS_TIME_WITHDRAWN:
    case METRICS_TIME_COUNT_:
        break;
    }
    *ret_n = ARRAY_LEN(wait_bounds);
    return wait_bounds;
}

struct counts {
    uint64_t n[DECISIONS];
};

struct hits {
    uint64_t n, last;
};

struct times {
    uint64_t buckets[METRICS_BUCKETS_MAX + 1]; /* not cumulative */
    double sum;
    uint64_t count;
};

struct metrics {
    struct map *commands, *containers; /* name -> struct counts, owned */
    struct map *rules;                 /* name -> struct hits, owned */
    uint64_t errors[METRICS_ERROR_COUNT_];
    struct times times[METRICS_TIME_COUNT_];
    uint64_t asked, quick, policies[2];
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
    m->containers = map_new();
    m->rules = map_new();
    return m;
}

static void free_counts(struct map *counts)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(counts, &i, &key, &value);)
        free(value);
    map_free(counts);
}

struct metrics *metrics_free(struct metrics *m)
{
    if (!m)
        return NULL;
    free_counts(m->commands);
    free_counts(m->containers);
    free_counts(m->rules);
    free(m);
    return NULL;
}

/* One place of the table is kept for `other`. */
static struct counts *counts_of(struct map *all, size_t max, const char *name, const char *other)
{
    struct counts *c = map_get(all, name);
    if (c)
        return c;
    if (map_count(all) >= max - 1 && strcmp(name, other) != 0)
        return counts_of(all, max, other, other);
    c = mem_new(struct counts);
    map_put(all, name, c);
    return c;
}

void metrics_count_request(struct metrics *m, const char *command, enum decision d)
{
    if ((unsigned)d < DECISIONS)
        counts_of(m->commands, METRICS_COMMANDS_MAX, command ? command : OTHER, OTHER)->n[d]++;
}

static enum metrics_time waited_for(enum decision d)
{
    switch (d) {
    case DECISION_ASK_APPROVED:
        return METRICS_TIME_APPROVED;
    case DECISION_ASK_DENIED:
        return METRICS_TIME_DENIED;
    case DECISION_ASK_EXPIRED:
        return METRICS_TIME_EXPIRED;
    case DECISION_WITHDRAWN:
        return METRICS_TIME_WITHDRAWN;
    case DECISION_NONE:
    case DECISION_DENY:
    case DECISION_ALLOW:
    case DECISION_LIMITED:
    case DECISION_ERROR:
    case DECISION_INTERRUPTED:
        break;
    }
    return METRICS_TIME_COUNT_;
}

static uint64_t span(uint64_t from, uint64_t to) /* realtime: the clock may have been set */
{
    return to > from ? to - from : 0;
}

static void count_rule(struct metrics *m, const struct request *r)
{
    const char *name = r->judged.rule_name;
    struct hits *h = name ? map_get(m->rules, name) : NULL;
    if (!name || (!h && map_count(m->rules) >= METRICS_RULES_MAX))
        return;
    if (!h) {
        h = mem_new(struct hits);
        map_put(m->rules, name, h);
    }
    h->n++;
    h->last = r->decided_at;
}

uint64_t metrics_rule(const struct metrics *m, const char *name, uint64_t *ret_last)
{
    const struct hits *h = map_get(m->rules, name);
    *ret_last = h ? h->last : 0;
    return h ? h->n : 0;
}

void metrics_decided(struct metrics *m, const struct request *r, const char *command)
{
    const char *container = r->peer.container ? r->peer.container : METRICS_HOST;
    enum metrics_time t = waited_for(r->decision);
    metrics_count_request(m, command, r->decision);
    if ((unsigned)r->decision < DECISIONS)
        counts_of(m->containers, METRICS_CONTAINERS_MAX, container, OTHER_CONTAINER)
            ->n[r->decision]++;
    count_rule(m, r);
    if (!r->decided_at)
        return;
    if (!r->waiting_at) {
        metrics_observe(m, METRICS_TIME_DECISION, span(r->received_at, r->decided_at));
    } else if (t != METRICS_TIME_COUNT_) {
        uint64_t waited = span(r->waiting_at, r->decided_at);
        metrics_observe(m, t, waited);
        if (waited < METRICS_QUICK && (t == METRICS_TIME_APPROVED || t == METRICS_TIME_DENIED))
            m->quick++;
    }
}

void metrics_observe(struct metrics *m, enum metrics_time t, uint64_t duration_ns)
{
    if ((unsigned)t >= METRICS_TIME_COUNT_)
        return;
    double seconds = (double)duration_ns / 1e9;
    size_t i = 0, n;
    const double *bounds = metrics_bounds(t, &n);
    while (i < n && seconds > bounds[i])
        i++;
    m->times[t].buckets[i]++;
    m->times[t].sum += seconds;
    m->times[t].count++;
}

void metrics_count_asked(struct metrics *m)
{
    m->asked++;
}

void metrics_count_policy(struct metrics *m, bool loaded)
{
    m->policies[loaded]++;
}

void metrics_count_error(struct metrics *m, enum metrics_error e)
{
    if ((unsigned)e < METRICS_ERROR_COUNT_)
        m->errors[e]++;
}

static void each(struct map *all,
                 void (*fn)(void *arg, const char *name, enum decision d, uint64_t n), void *arg)
{
    const char *name;
    void *value;
    for (size_t i = 0; map_next(all, &i, &name, &value);) {
        const struct counts *c = value;
        for (unsigned d = 0; d < DECISIONS; d++)
            if (c->n[d])
                fn(arg, name, (enum decision)d, c->n[d]);
    }
}

void metrics_each_request(const struct metrics *m,
                          void (*fn)(void *arg, const char *command, enum decision d, uint64_t n),
                          void *arg)
{
    each(m->commands, fn, arg);
}

void metrics_each_container(const struct metrics *m,
                            void (*fn)(void *arg, const char *container, enum decision d,
                                       uint64_t n),
                            void *arg)
{
    each(m->containers, fn, arg);
}

const char *metrics_container_name(const struct metrics *m, const char *container)
{
    if (!container)
        return METRICS_HOST;
    return map_get(m->containers, container) ? container : OTHER_CONTAINER;
}

uint64_t metrics_errors(const struct metrics *m, enum metrics_error e)
{
    return (unsigned)e < METRICS_ERROR_COUNT_ ? m->errors[e] : 0;
}

uint64_t metrics_asked(const struct metrics *m)
{
    return m->asked;
}

uint64_t metrics_quick(const struct metrics *m)
{
    return m->quick;
}

uint64_t metrics_policies(const struct metrics *m, bool loaded)
{
    return m->policies[loaded];
}

void metrics_times(const struct metrics *m, enum metrics_time t,
                   uint64_t ret_cumulative[METRICS_BUCKETS_MAX + 1], double *ret_sum,
                   uint64_t *ret_count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i <= METRICS_BUCKETS_MAX; i++) {
        sum += m->times[t].buckets[i];
        ret_cumulative[i] = sum;
    }
    *ret_sum = m->times[t].sum;
    *ret_count = m->times[t].count;
}
