/* SPDX-License-Identifier: MIT */
/* --door and --prisoner. */
#include "warden/bonds.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_door_without_keys_is_for_the_container_of_its_name(void **state)
{
    struct bonds b = {.at = NULL};
    struct err err = {""};
    assert_int_equal(bonds_add_doors(&b, "one=/run/one; two=/run/two ;", &err), 0);
    assert_int_equal(b.count, 2);
    assert_string_equal(b.at[0].bond.name, "one");
    assert_string_equal(b.at[0].dir, "/run/one");
    assert_string_equal(b.at[1].bond.name, "two");
    assert_string_equal(b.at[1].dir, "/run/two");
    assert_null(b.at[0].bond.container);
    assert_null(b.at[0].bond.label_key);
    assert_int_equal(b.at[0].bond.userns_owner, -1);
    bonds_done(&b);
}

static void keys_say_whom_a_door_is_for(void **state)
{
    struct bonds b = {.at = NULL};
    struct err err = {""};
    assert_int_equal(
        bonds_add_doors(&b,
                        "a=/a,container=web-1;b=/b,label=agent=blue=x;c=/c,label=agent;"
                        "d=/d,cgroup=/agents/d;e=/e,userns=1001",
                        &err),
        0);
    assert_string_equal(b.at[0].bond.container, "web-1");
    assert_string_equal(b.at[1].bond.label_key, "agent");
    assert_string_equal(b.at[1].bond.label_value, "blue=x");
    assert_string_equal(b.at[2].bond.label_key, "agent");
    assert_null(b.at[2].bond.label_value);
    assert_string_equal(b.at[3].bond.cgroup, "/agents/d");
    assert_int_equal(b.at[4].bond.userns_owner, 1001);
    bonds_done(&b);
}

static void a_prisoner_has_no_directory(void **state)
{
    struct bonds b = {.at = NULL};
    struct err err = {""};
    assert_int_equal(bonds_add_prisoner(&b, "", &err), 0);
    assert_int_equal(b.count, 0);
    assert_int_equal(bonds_add_prisoner(&b, "agent,label=a", &err), 0);
    assert_string_equal(b.at[0].bond.name, "agent");
    assert_null(b.at[0].dir);
    bonds_done(&b);
}

static void what_makes_no_sense_is_refused_with_words(void **state)
{
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"one", "write NAME=/DIRECTORY"},
        {"=/dir", "write NAME=/DIRECTORY"},
        {"one=relative", "write NAME=/DIRECTORY"},
        {"one=/a,colour=blue", "'colour=blue' is none of"},
        {"one=/a,label", "'label' has no value"},
        {"one=/a,cgroup=agents", "is none of"},
        {"one=/a,cgroup=/", "is none of"},
        {"one=/a,userns=-1", "is none of"},
        {"one=/a,userns=root", "is none of"},
        {"one=/a,label=x,container=y", "only one of"},
        {"one=/a;one=/b", "stands there twice"},
        {"one=/a;two=/a", "stands there twice"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct bonds b = {.at = NULL};
        struct err err = {""};
        assert_int_equal(bonds_add_doors(&b, cases[i].text, &err), -EINVAL);
        assert_non_null(strstr(err.text, cases[i].words));
        bonds_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_door_without_keys_is_for_the_container_of_its_name),
        cmocka_unit_test(keys_say_whom_a_door_is_for),
        cmocka_unit_test(a_prisoner_has_no_directory),
        cmocka_unit_test(what_makes_no_sense_is_refused_with_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
