/* SPDX-License-Identifier: MIT */
/* The buffer: its limit, and that a failed append changes nothing and stays known. */
#include "base/buf.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_appended_is_there_and_nul_terminated(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_append(&b, "ab\0d", 4), 0);
    assert_int_equal(buf_append_str(&b, "ef"), 0);
    assert_int_equal(buf_append_char(&b, 'g'), 0);
    assert_int_equal(buf_printf(&b, "%d-%s", 42, "h"), 0);
    assert_int_equal(b.len, 11);
    assert_memory_equal(b.data, "ab\0defg42-h", 12);
}

static void the_limit_itself_fits_and_one_more_does_not(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4);
    assert_int_equal(buf_append_str(&b, "abcd"), 0);
    assert_int_equal(buf_append_char(&b, 'e'), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "abcd");
}

static void a_failed_append_leaves_the_content_and_stays_failed(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4);
    assert_int_equal(buf_append_str(&b, "ab"), 0);
    assert_int_equal(buf_append_str(&b, "cde"), -EMSGSIZE);
    assert_int_equal(b.failed, -EMSGSIZE);
    /* it would fit, but a hole in the middle would be worse than nothing */
    assert_int_equal(buf_append_char(&b, 'c'), -EMSGSIZE);
    assert_int_equal(buf_printf(&b, "c"), -EMSGSIZE);
    assert_null(buf_reserve(&b, 1));
    assert_string_equal(buf_str(&b), "ab");
    buf_clear(&b);
    assert_int_equal(buf_append_str(&b, "wxyz"), 0);
    assert_string_equal(buf_str(&b), "wxyz");
}

static void a_printf_past_the_limit_writes_nothing(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8);
    assert_int_equal(buf_printf(&b, "%s", "123456789"), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "");
}

static void sizes_that_would_wrap_are_past_the_limit(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(SIZE_MAX);
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    assert_null(buf_reserve(&b, SIZE_MAX - 2));
    assert_int_equal(b.failed, -EMSGSIZE);
    assert_string_equal(buf_str(&b), "abc");
}

static void a_limit_of_nothing_takes_nothing(void **state)
{
    _cleanup_buf_ struct buf b;
    buf_init(&b, 0);
    assert_int_equal(buf_append(&b, NULL, 0), 0);
    assert_int_equal(buf_append_char(&b, 'a'), -EMSGSIZE);
}

static void reserved_room_filled_in_part_is_nul_terminated(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    char *p = buf_reserve(&b, 500);
    assert_non_null(p);
    memcpy(p, "abc", 3);
    b.len += 3;
    assert_string_equal(b.data, "abc");
    assert_null(buf_reserve(&b, 998));
}

static void consuming_drops_from_the_front(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    assert_int_equal(buf_append_str(&b, "abcdef"), 0);
    buf_consume(&b, 2);
    assert_string_equal(buf_str(&b), "cdef");
    buf_consume(&b, 0);
    buf_consume(&b, 100);
    assert_int_equal(b.len, 0);
    assert_string_equal(buf_str(&b), "");
    assert_int_equal(buf_append_str(&b, "0123456789"), 0);
}

static void a_stolen_string_is_the_callers_and_the_buffer_starts_anew(void **state)
{
    struct buf b = BUF_INIT(10);
    _cleanup_free_ char *empty = buf_steal(&b);
    assert_string_equal(empty, "");
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    _cleanup_free_ char *s = buf_steal(&b);
    assert_string_equal(s, "abc");
    assert_int_equal(b.len, 0);
    assert_int_equal(b.limit, 10);
    assert_int_equal(buf_append_str(&b, "x"), 0);
    buf_done(&b);
    assert_null(b.data);
    assert_int_equal(b.limit, 10);
}

static void many_small_appends_reach_the_limit_exactly(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(100000);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(buf_append_char(&b, (char)('a' + i % 26)), 0);
    assert_int_equal(b.len, 100000);
    assert_true(b.size <= 100001);
    assert_int_equal(buf_append_char(&b, 'x'), -EMSGSIZE);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(b.data[i], 'a' + i % 26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_appended_is_there_and_nul_terminated),
        cmocka_unit_test(the_limit_itself_fits_and_one_more_does_not),
        cmocka_unit_test(a_failed_append_leaves_the_content_and_stays_failed),
        cmocka_unit_test(a_printf_past_the_limit_writes_nothing),
        cmocka_unit_test(sizes_that_would_wrap_are_past_the_limit),
        cmocka_unit_test(a_limit_of_nothing_takes_nothing),
        cmocka_unit_test(reserved_room_filled_in_part_is_nul_terminated),
        cmocka_unit_test(consuming_drops_from_the_front),
        cmocka_unit_test(a_stolen_string_is_the_callers_and_the_buffer_starts_anew),
        cmocka_unit_test(many_small_appends_reach_the_limit_exactly),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
