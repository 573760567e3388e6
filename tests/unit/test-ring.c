/* SPDX-License-Identifier: MIT */
#include "api/ring.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void put(struct ring *r, const char *brief, const char *full)
{
    struct buf a = BUF_INIT(4096), b = BUF_INIT(4096);
    (void)buf_append_str(&a, brief);
    if (full)
        (void)buf_append_str(&b, full);
    ring_put(r, 3, &a, full ? &b : NULL);
}

static void events_are_numbered_from_one(void **state)
{
    _cleanup_(ring_freep) struct ring *r = ring_new(4, 1000);
    assert_int_equal(ring_last(r), 0);
    assert_null(ring_get(r, 0));
    assert_null(ring_get(r, 1));
    assert_true(ring_has_all_after(r, 0));
    put(r, "one", NULL);
    put(r, "two", "all of two");
    const struct ring_entry *e = ring_get(r, 2);
    assert_int_equal(ring_last(r), 2);
    assert_string_equal(ring_get(r, 1)->brief, "one");
    assert_null(ring_get(r, 1)->full);
    assert_string_equal(e->full, "all of two");
    assert_int_equal(e->full_len, 10);
    assert_int_equal(e->kind, 3);
    assert_int_equal(e->seq, 2);
    assert_null(ring_get(r, 3));
}

static void the_oldest_go_by_count_and_by_bytes(void **state)
{
    _cleanup_(ring_freep) struct ring *r = ring_new(4, 10);
    for (int i = 0; i < 9; i++)
        put(r, "x", NULL);
    assert_null(ring_get(r, 5));
    assert_non_null(ring_get(r, 6));
    assert_false(ring_has_all_after(r, 4));
    assert_true(ring_has_all_after(r, 5));
    put(r, "12345", "6789");
    assert_null(ring_get(r, 8));
    assert_non_null(ring_get(r, 9)); /* 1 + 9 bytes */
    put(r, "longer than all of it", NULL);
    assert_null(ring_get(r, 10));
    assert_non_null(ring_get(r, 11)); /* one is always kept */
}

static void what_was_skipped_is_a_gap(void **state)
{
    _cleanup_(ring_freep) struct ring *r = ring_new(4, 1000);
    put(r, "one", NULL);
    ring_skip(r);
    ring_skip(r);
    assert_int_equal(ring_last(r), 3);
    assert_null(ring_get(r, 1));
    assert_null(ring_get(r, 3));
    assert_false(ring_has_all_after(r, 2));
    assert_true(ring_has_all_after(r, 3));
    assert_false(ring_has_all_after(r, 4)); /* of the future */
    assert_false(ring_has_all_after(r, UINT64_MAX));
    put(r, "four", NULL);
    assert_string_equal(ring_get(r, 4)->brief, "four");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_numbered_from_one),
        cmocka_unit_test(the_oldest_go_by_count_and_by_bytes),
        cmocka_unit_test(what_was_skipped_is_a_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
