/* SPDX-License-Identifier: MIT */
/* Caps: each refuses at its number and frees again, for its own peer only. */
#include "core/limits.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEC UINT64_C(1000000000)
#define A "uid:1000"
#define B "container:web"

static const struct limits_config narrow = {
    .waiting_per_peer = 2, .waiting_all = 3, .flight_per_peer = 2, .asks_per_minute = 2};

static void containers_and_uids_are_different_peers(void **state)
{
    char key[LIMITS_KEY_SIZE], name[] = "uid:0";
    struct peer p = {.uid = 0};
    limits_key(&p, key);
    assert_string_equal(key, "uid:0");
    p.container = name; /* a container with a clever name is not root on the host */
    limits_key(&p, key);
    assert_string_equal(key, "container:uid:0");
}

static void in_flight_is_capped_by_peer(void **state)
{
    _cleanup_(limits_freep) struct limits *l = limits_new(&narrow);
    struct err err = {0};
    limits_move(l, A, LIMITS_NOWHERE, LIMITS_FLIGHT);
    assert_int_equal(limits_may_enter(l, A, &err), 0);
    limits_move(l, A, LIMITS_NOWHERE, LIMITS_FLIGHT);
    assert_int_equal(limits_may_enter(l, A, &err), -EDQUOT);
    assert_non_null(strstr(err.text, "2 commands of this caller are under way"));
    assert_int_equal(limits_may_enter(l, B, &err), 0);
    limits_move(l, A, LIMITS_FLIGHT, LIMITS_WAITING); /* who waits is not under way */
    assert_int_equal(limits_may_enter(l, A, &err), 0);
}

static void where_nobody_is_asked_nothing_waits(void **state)
{
    struct limits_config none = narrow;
    struct err err = {0};
    none.waiting_all = 0;
    _cleanup_(limits_freep) struct limits *l = limits_new(&none);
    assert_int_equal(limits_may_wait(l, A, &err), -EDQUOT);
    assert_non_null(strstr(err.text, "nobody is asked here"));
}

static void waiting_is_capped_by_peer_and_in_all(void **state)
{
    _cleanup_(limits_freep) struct limits *l = limits_new(&narrow);
    struct err err = {0};
    limits_move(l, A, LIMITS_NOWHERE, LIMITS_WAITING);
    limits_move(l, A, LIMITS_NOWHERE, LIMITS_WAITING);
    assert_int_equal(limits_may_wait(l, A, &err), -EDQUOT);
    assert_int_equal(limits_may_wait(l, B, &err), 0);
    limits_move(l, B, LIMITS_NOWHERE, LIMITS_WAITING);
    assert_int_equal(limits_may_wait(l, "uid:7", &err), -EDQUOT);
    assert_non_null(strstr(err.text, "the most there may be"));
    limits_move(l, A, LIMITS_WAITING, LIMITS_NOWHERE);
    assert_int_equal(limits_may_wait(l, "uid:7", &err), 0);
    assert_int_equal(limits_may_wait(l, A, &err), 0);
}

static void asks_refill_evenly_and_never_beyond_a_minute(void **state)
{
    _cleanup_(limits_freep) struct limits *l = limits_new(&narrow);
    uint64_t now = 1000 * SEC;
    assert_int_equal(limits_take_ask(l, A, now, NULL), 0);
    assert_int_equal(limits_take_ask(l, A, now, NULL), 0);
    assert_int_equal(limits_take_ask(l, A, now, NULL), -EDQUOT);
    assert_int_equal(limits_take_ask(l, B, now, NULL), 0);
    now += 31 * SEC;
    assert_int_equal(limits_take_ask(l, A, now, NULL), 0);
    assert_int_equal(limits_take_ask(l, A, now, NULL), -EDQUOT);
    now += 3600 * SEC;
    assert_int_equal(limits_take_ask(l, A, now, NULL), 0);
    assert_int_equal(limits_take_ask(l, A, now, NULL), 0);
    assert_int_equal(limits_take_ask(l, A, now, NULL), -EDQUOT);
}

static void zero_asks_a_minute_means_no_limit(void **state)
{
    struct limits_config c = narrow;
    c.asks_per_minute = 0;
    _cleanup_(limits_freep) struct limits *l = limits_new(&c);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(limits_take_ask(l, A, 0, NULL), 0);
}

static void records_have_a_size_a_minute(void **state)
{
    struct limits_config c = narrow;
    struct err err = {0};
    uint64_t now = 1000 * SEC;
    c.record_bytes_per_minute = 6000;
    _cleanup_(limits_freep) struct limits *l = limits_new(&c);
    assert_int_equal(limits_take_record(l, A, 5000, now, &err), 0);
    assert_int_equal(limits_take_record(l, A, 50000, now, &err), 0); /* the last may be larger */
    assert_int_equal(limits_take_record(l, A, 1, now, &err), -EDQUOT);
    assert_non_null(strstr(err.text, "fill more than 6000 bytes a minute"));
    assert_int_equal(limits_take_record(l, B, 1, now, &err), 0);
    assert_int_equal(limits_take_record(l, A, 1, now + 480 * SEC, &err), -EDQUOT); /* 49,000 */
    assert_int_equal(limits_take_record(l, A, 1, now + 500 * SEC, &err), 0);
    limits_sweep(l, now + 501 * SEC);
    assert_int_equal(limits_peers(l), 1); /* A, which has not got all of it back */
    c.record_bytes_per_minute = 0;
    _cleanup_(limits_freep) struct limits *none = limits_new(&c);
    for (int i = 0; i < 100; i++)
        assert_int_equal(limits_take_record(none, A, UINT32_MAX, 0, &err), 0);
}

static void sum_up(void *arg, const char *key, uint64_t n)
{
    assert_string_equal(key, A);
    *(uint64_t *)arg += n;
}

static void refusals_beyond_a_few_are_counted_once(void **state)
{
    _cleanup_(limits_freep) struct limits *l = limits_new(&narrow);
    uint64_t counted = 0;
    unsigned recorded = 0;
    for (int i = 0; i < 100; i++)
        recorded += limits_record(l, A, 5 * SEC);
    assert_int_equal(recorded, LIMITS_RECORDS_PER_MINUTE);
    limits_collect(l, sum_up, &counted);
    limits_collect(l, sum_up, &counted);
    assert_int_equal(counted, 100 - LIMITS_RECORDS_PER_MINUTE);
    assert_true(limits_record(l, A, 65 * SEC)); /* another minute */
}

static void peers_with_nothing_going_on_are_forgotten(void **state)
{
    _cleanup_(limits_freep) struct limits *l = limits_new(&narrow);
    limits_move(l, A, LIMITS_NOWHERE, LIMITS_FLIGHT);
    assert_int_equal(limits_take_ask(l, B, SEC, NULL), 0);
    limits_sweep(l, 2 * SEC);
    assert_int_equal(limits_peers(l), 2); /* B's asks are not back yet */
    limits_sweep(l, 120 * SEC);
    assert_int_equal(limits_peers(l), 1);
    limits_move(l, A, LIMITS_FLIGHT, LIMITS_NOWHERE);
    limits_sweep(l, 120 * SEC);
    assert_int_equal(limits_peers(l), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(where_nobody_is_asked_nothing_waits),
        T(containers_and_uids_are_different_peers),
        T(in_flight_is_capped_by_peer),
        T(waiting_is_capped_by_peer_and_in_all),
        T(asks_refill_evenly_and_never_beyond_a_minute),
        T(zero_asks_a_minute_means_no_limit),
        T(records_have_a_size_a_minute),
        T(refusals_beyond_a_few_are_counted_once),
        T(peers_with_nothing_going_on_are_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
