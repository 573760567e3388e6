/* SPDX-License-Identifier: MIT */
/* The feed: order, and listeners that come and go while something is told. */
#include "core/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct ear {
    struct events *e;
    unsigned heard;
    struct ear *leaves; /* when it hears something */
};

static void hear(void *arg, const struct event *ev)
{
    struct ear *x = arg;
    x->heard++;
    if (x->leaves)
        events_unsubscribe(x->e, hear, x->leaves);
}

static void all_listeners_hear_until_they_leave(void **state)
{
    _cleanup_(events_freep) struct events *e = events_new();
    struct ear a = {e}, b = {e};
    const struct event ev = {.kind = EVENT_POLICY};
    events_subscribe(e, hear, &a);
    events_subscribe(e, hear, &b);
    events_emit(e, &ev);
    events_unsubscribe(e, hear, &a);
    events_unsubscribe(e, hear, &a); /* twice is harmless */
    events_emit(e, &ev);
    assert_int_equal(a.heard, 1);
    assert_int_equal(b.heard, 2);
}

static void one_may_leave_while_it_hears(void **state)
{
    _cleanup_(events_freep) struct events *e = events_new();
    struct ear a = {e}, b = {e};
    const struct event ev = {.kind = EVENT_POLICY};
    a.leaves = &a;
    events_subscribe(e, hear, &a);
    events_subscribe(e, hear, &b);
    events_emit(e, &ev);
    events_emit(e, &ev);
    assert_int_equal(a.heard, 1);
    assert_int_equal(b.heard, 2);
}

static void one_that_was_sent_away_hears_nothing_more(void **state)
{
    _cleanup_(events_freep) struct events *e = events_new();
    struct ear a = {e}, b = {e};
    const struct event ev = {.kind = EVENT_POLICY};
    a.leaves = &b;
    events_subscribe(e, hear, &a);
    events_subscribe(e, hear, &b);
    events_emit(e, &ev);
    assert_int_equal(b.heard, 0);
}

static void hear_and_join(void *arg, const struct event *ev)
{
    struct ear *x = arg;
    if (x->heard++ == 0)
        events_subscribe(x->e, hear, x->leaves);
}

static void one_that_joins_hears_the_next(void **state)
{
    _cleanup_(events_freep) struct events *e = events_new();
    struct ear late = {e}, a = {e, 0, &late};
    const struct event ev = {.kind = EVENT_POLICY};
    events_subscribe(e, hear_and_join, &a);
    events_emit(e, &ev);
    assert_int_equal(late.heard, 0);
    events_emit(e, &ev);
    assert_int_equal(late.heard, 1);
}

static void each_kind_has_a_name(void **state)
{
    assert_string_equal(event_kind_name(EVENT_RECEIVED), "received");
    assert_string_equal(event_kind_name(EVENT_POLICY), "policy");
    assert_string_equal(event_kind_name((enum event_kind)99), "unknown");
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(all_listeners_hear_until_they_leave),
        T(one_may_leave_while_it_hears),
        T(one_that_was_sent_away_hears_nothing_more),
        T(one_that_joins_hears_the_next),
        T(each_kind_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
