/* SPDX-License-Identifier: MIT */
#include "base/company.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void who_is_alone_has_no_company(void **state)
{
    struct company c = {0};
    assert_false(company_others(&c, 1, 5, 100));
    company_note(&c, 1, 5);
    company_note(&c, 1, 6);
    assert_false(company_others(&c, 1, 7, 100));
    assert_true(company_others(&c, 2, 7, 100));
}

static void another_counts_for_a_while(void **state)
{
    struct company c = {0};
    company_note(&c, 1, 10);
    company_note(&c, 2, 20);
    assert_true(company_others(&c, 1, 20, 100));
    assert_true(company_others(&c, 2, 20, 100));
    company_note(&c, 2, 105);
    assert_true(company_others(&c, 2, 109, 100));
    assert_false(company_others(&c, 2, 110, 100)); /* the first came at 10 */
    company_note(&c, 1, 120);
    assert_true(company_others(&c, 2, 130, 100));
    assert_true(company_others(&c, 1, 130, 100)); /* the second came at 105 */
    assert_false(company_others(&c, 1, 205, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_alone_has_no_company),
        cmocka_unit_test(another_counts_for_a_while),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
