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
    uint64_t b[METRICS_BUCKETS + 1], count;
    double sum;
    metrics_observe_execution(m, 1000000);                  /* 1 ms: on the first bound */
    metrics_observe_execution(m, 2000000);                  /* 2 ms */
    metrics_observe_execution(m, UINT64_C(86400000000000)); /* a day */
    metrics_execution(m, b, &sum, &count);
    assert_int_equal(b[0], 1);
    assert_int_equal(b[1], 2);
    assert_int_equal(b[METRICS_BUCKETS - 1], 2);
    assert_int_equal(b[METRICS_BUCKETS], 3);
    assert_int_equal(count, 3);
    assert_true(sum > 86400.0029 && sum < 86400.0031);
    for (size_t i = 1; i < METRICS_BUCKETS; i++)
        assert_true(metrics_bounds[i] > metrics_bounds[i - 1]);
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
        T(errors_count_by_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
