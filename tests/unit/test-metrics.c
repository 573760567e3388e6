/* SPDX-License-Identifier: MIT */
/* Counters: bounded series, cumulative buckets, numbers out of range. */
#include "core/metrics.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SECOND UINT64_C(1000000000)

struct sums {
    uint64_t git_allow, other, all;
    size_t series;
};

static void add(void *arg, const char *command, enum decision d, uint64_t n)
{
    struct sums *s = arg;
    s->series++;
    s->all += n;
    if (strcmp(command, "git") == 0 && d == DECISION_ALLOW)
        s->git_allow += n;
    if (strcmp(command, "other") == 0)
        s->other += n;
}

static void requests_count_by_command_and_decision(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    struct sums s = {0};
    metrics_count_request(m, "git", DECISION_ALLOW);
    metrics_count_request(m, "git", DECISION_ALLOW);
    metrics_count_request(m, "git", DECISION_DENY);
    metrics_count_request(m, NULL, DECISION_DENY);
    metrics_count_request(m, "git", (enum decision)99);
    metrics_each_request(m, add, &s);
    assert_int_equal(s.git_allow, 2);
    assert_int_equal(s.other, 1);
    assert_int_equal(s.series, 3);
}

static void more_names_than_the_cap_share_other(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    struct sums s = {0};
    char name[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "tool-%d", i);
        metrics_count_request(m, name, DECISION_DENY);
    }
    metrics_each_request(m, add, &s);
    assert_int_equal(s.series, METRICS_COMMANDS_MAX);
    assert_int_equal(s.all, 1000);
    assert_int_equal(s.other, 1000 - (METRICS_COMMANDS_MAX - 1));
}

static void durations_fall_into_cumulative_buckets(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    uint64_t b[METRICS_BUCKETS_MAX + 1], count;
    double sum;
    metrics_observe(m, METRICS_TIME_EXECUTION, 1000000); /* 1 ms: on the first bound */
    metrics_observe(m, METRICS_TIME_EXECUTION, 2000000); /* 2 ms */
    metrics_observe(m, METRICS_TIME_EXECUTION, UINT64_C(86400000000000)); /* a day */
    metrics_observe(m, METRICS_TIME_COUNT_, 1);
    metrics_times(m, METRICS_TIME_EXECUTION, b, &sum, &count);
    assert_int_equal(b[0], 1);
    assert_int_equal(b[1], 2);
    assert_int_equal(b[METRICS_BUCKETS_MAX - 1], 2);
    assert_int_equal(b[METRICS_BUCKETS_MAX], 3);
    assert_int_equal(count, 3);
    assert_true(sum > 86400.0029 && sum < 86400.0031);
    for (int t = 0; t < METRICS_TIME_COUNT_; t++) {
        size_t n;
        const double *bounds = metrics_bounds((enum metrics_time)t, &n);
        assert_true(n > 0 && n <= METRICS_BUCKETS_MAX);
        for (size_t i = 1; i < n; i++)
            assert_true(bounds[i] > bounds[i - 1]);
    }
}

static void decide(struct metrics *m, enum decision d, uint64_t waiting, uint64_t decided,
                   char *container)
{
    struct request r = {
        .decision = d, .received_at = SECOND, .waiting_at = waiting, .decided_at = decided};
    r.peer.container = container;
    metrics_decided(m, &r, "git");
}

static uint64_t observed(const struct metrics *m, enum metrics_time t)
{
    uint64_t b[METRICS_BUCKETS_MAX + 1], count;
    double sum;
    metrics_times(m, t, b, &sum, &count);
    return count;
}

static void waits_count_by_what_came_of_them(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    decide(m, DECISION_ALLOW, 0, 2 * SECOND, NULL);
    decide(m, DECISION_ASK_APPROVED, 2 * SECOND, 3 * SECOND, NULL); /* quick */
    decide(m, DECISION_ASK_DENIED, 2 * SECOND, 30 * SECOND, NULL);
    decide(m, DECISION_ASK_EXPIRED, 2 * SECOND, 3 * SECOND, NULL);
    decide(m, DECISION_WITHDRAWN, 2 * SECOND, 3 * SECOND, NULL);
    decide(m, DECISION_DENY, 2 * SECOND, 3 * SECOND, NULL); /* by a reload: nobody's answer */
    decide(m, DECISION_ASK_APPROVED, 9 * SECOND, 3 * SECOND, NULL); /* the clock was set back */
    assert_int_equal(observed(m, METRICS_TIME_DECISION), 1);
    assert_int_equal(observed(m, METRICS_TIME_APPROVED), 2);
    assert_int_equal(observed(m, METRICS_TIME_DENIED), 1);
    assert_int_equal(observed(m, METRICS_TIME_EXPIRED), 1);
    assert_int_equal(observed(m, METRICS_TIME_WITHDRAWN), 1);
    assert_int_equal(metrics_quick(m), 2);
}

static void count_series(void *arg, const char *name, enum decision d, uint64_t n)
{
    struct sums *s = arg;
    s->series++;
    s->all += n;
}

static void containers_are_bounded_too(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    struct sums s = {0};
    char name[32];
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "box-%d", i);
        decide(m, DECISION_ALLOW, 0, 2 * SECOND, name);
    }
    metrics_each_container(m, count_series, &s);
    assert_int_equal(s.series, METRICS_CONTAINERS_MAX);
    assert_int_equal(s.all, 1000);
    assert_string_equal(metrics_container_name(m, "box-3"), "box-3");
    assert_string_equal(metrics_container_name(m, "box-999"), "(other)");
    assert_string_equal(metrics_container_name(m, NULL), METRICS_HOST);
}

static void errors_count_by_kind(void **state)
{
    _cleanup_(metrics_freep) struct metrics *m = metrics_new();
    metrics_count_error(m, METRICS_ERROR_AUDIT);
    metrics_count_error(m, METRICS_ERROR_COUNT_);
    assert_int_equal(metrics_errors(m, METRICS_ERROR_AUDIT), 1);
    assert_int_equal(metrics_errors(m, METRICS_ERROR_EXEC), 0);
    assert_int_equal(metrics_errors(m, METRICS_ERROR_COUNT_), 0);
    for (int e = 0; e < METRICS_ERROR_COUNT_; e++)
        assert_string_not_equal(metrics_error_name((enum metrics_error)e), "unknown");
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(requests_count_by_command_and_decision),
        T(more_names_than_the_cap_share_other),
        T(durations_fall_into_cumulative_buckets),
        T(waits_count_by_what_came_of_them),
        T(containers_are_bounded_too),
        T(errors_count_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
