/* SPDX-License-Identifier: MIT */
/* The policies that were loaded: the newest first, a bounded number of them. */
#include "core/loads.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void nothing_is_there_at_first(void **state)
{
    struct loads l = {0};
    assert_null(loads_at(&l, 0));
}

static void the_newest_is_first_and_says_what_came_of_it(void **state)
{
    static const char text[] = "default_action: deny\nrules:\n  - {command: ls, action: allow}\n";
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    struct loads l = {0};
    struct err err;
    assert_int_equal(policy_parse(text, strlen(text), "p.yaml", &p, &err), 0);
    loads_add(&l, p, "start", NULL, 1);
    loads_add(&l, p, "ana", "p.yaml:1:1: no", 2);
    assert_string_equal(loads_at(&l, 0)->who, "ana");
    assert_string_equal(loads_at(&l, 0)->refused, "p.yaml:1:1: no");
    assert_string_equal(loads_at(&l, 1)->refused, "");
    assert_string_equal(loads_at(&l, 1)->version, policy_digest(p));
    assert_int_equal(loads_at(&l, 1)->rules, 1);
    assert_null(loads_at(&l, 2));
}

static void the_oldest_make_room(void **state)
{
    struct loads l = {0};
    for (uint64_t i = 0; i < LOADS_MAX + 5; i++)
        loads_add(&l, NULL, "ana", NULL, i);
    assert_int_equal(loads_at(&l, 0)->time, LOADS_MAX + 4);
    assert_int_equal(loads_at(&l, LOADS_MAX - 1)->time, 5);
    assert_null(loads_at(&l, LOADS_MAX));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_there_at_first),
        cmocka_unit_test(the_newest_is_first_and_says_what_came_of_it),
        cmocka_unit_test(the_oldest_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
