/* SPDX-License-Identifier: MIT */
/* Requests by what a person types. */
#include "cli/ids.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json *list;
static struct err err;
static int code;

static int make(void **state)
{
    static const char text[] = "[{\"id\":\"019abcde-1111-7000-8000-aaaa0000beef\"},"
                               "{\"id\":\"019abcde-2222-7000-8000-aaaa1111beef\"},"
                               "{\"id\":\"019abcff-3333-7000-8000-bbbb1111dead\"},"
                               "{\"no\":\"id\"}]";
    return json_parse(text, strlen(text), 100, &list, &err);
}

static int forget(void **state)
{
    list = json_free(list);
    return 0;
}

static const char *find(const char *typed)
{
    const struct json *o = ids_find(list, typed, &code, &err);
    return o ? json_string(json_get(o, "id"), NULL) : "";
}

static void whole_ids_beginnings_and_ends_name_one(void **state)
{
    assert_string_equal(find("019abcff-3333-7000-8000-bbbb1111dead"),
                        "019abcff-3333-7000-8000-bbbb1111dead");
    assert_int_equal(code, 0);
    assert_string_equal(find("019abcff"), "019abcff-3333-7000-8000-bbbb1111dead");
    assert_string_equal(find("dead"), "019abcff-3333-7000-8000-bbbb1111dead");
    assert_string_equal(find("DEAD"), "019abcff-3333-7000-8000-bbbb1111dead");
    assert_string_equal(find("0000beef"), "019abcde-1111-7000-8000-aaaa0000beef");
    assert_string_equal(find("aaaa1111"), "019abcde-2222-7000-8000-aaaa1111beef");
}

static void what_names_several_is_refused(void **state)
{
    assert_string_equal(find("019abcde"), "");
    assert_int_equal(code, -ENOTUNIQ);
    assert_string_equal(err.text, "'019abcde' names 2 requests: type more of the id");
    assert_string_equal(find("beef"), "");
    assert_int_equal(code, -ENOTUNIQ);
}

static void what_names_none_or_too_little_is_refused(void **state)
{
    assert_string_equal(find("cccc"), "");
    assert_int_equal(code, -ENOENT);
    assert_string_equal(find("3333"), ""); /* neither a beginning nor an end */
    assert_int_equal(code, -ENOENT);
    assert_string_equal(find("ead"), "");
    assert_int_equal(code, -EINVAL);
    assert_string_equal(find(""), "");
    assert_int_equal(code, -EINVAL);
    assert_string_equal(find("019abcff-3333-7000-8000-bbbb1111dead0"), "");
    assert_int_equal(code, -ENOENT);
    assert_string_equal(find("\033[2Jx"), "");
    assert_string_equal(err.text, "no id begins or ends with '\\e[2Jx'");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_ids_beginnings_and_ends_name_one),
        cmocka_unit_test(what_names_several_is_refused),
        cmocka_unit_test(what_names_none_or_too_little_is_refused),
    };
    return cmocka_run_group_tests(tests, make, forget);
}
