/* SPDX-License-Identifier: MIT */
/* Moments in order, from any order of coming and going. */
#include "core/deadlines.h"

#include <stdbool.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_nearest_comes_first(void **state)
{
    struct deadlines h = {0};
    struct deadline d[5] = {0};
    static const uint64_t at[] = {50, 10, 40, 20, 30};
    for (size_t i = 0; i < 5; i++)
        deadlines_set(&h, &d[i], at[i]);
    for (uint64_t want = 10; want <= 50; want += 10) {
        struct deadline *first = deadlines_first(&h);
        assert_int_equal(first->at, want);
        deadlines_clear(&h, first);
    }
    assert_null(deadlines_first(&h));
    deadlines_done(&h);
}

static void one_that_is_set_again_moves(void **state)
{
    struct deadlines h = {0};
    struct deadline a = {0}, b = {0};
    deadlines_set(&h, &a, 10);
    deadlines_set(&h, &b, 20);
    deadlines_set(&h, &a, 30);
    assert_ptr_equal(deadlines_first(&h), &b);
    deadlines_set(&h, &a, 5);
    assert_ptr_equal(deadlines_first(&h), &a);
    assert_int_equal(h.count, 2);
    deadlines_clear(&h, &a);
    deadlines_clear(&h, &a); /* harmless */
    assert_int_equal(h.count, 1);
    deadlines_done(&h);
}

static void any_order_keeps_the_nearest_first(void **state)
{
    enum { N = 64 };
    struct deadlines h = {0};
    struct deadline d[N] = {0};
    uint64_t seed = 88172645463325252u;
    for (int step = 0; step < 20000; step++) {
        seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
        struct deadline *x = &d[seed % N];
        if (seed >> 20 & 1)
            deadlines_set(&h, x, seed >> 32 & 0xff);
        else
            deadlines_clear(&h, x);
        uint64_t least = UINT64_MAX;
        for (size_t i = 0; i < N; i++)
            if (d[i].place && d[i].at < least)
                least = d[i].at;
        const struct deadline *first = deadlines_first(&h);
        assert_int_equal(first ? first->at : UINT64_MAX, least);
    }
    deadlines_done(&h);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(the_nearest_comes_first),
        T(one_that_is_set_again_moves),
        T(any_order_keeps_the_nearest_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
