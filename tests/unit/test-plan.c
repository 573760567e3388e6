/* SPDX-License-Identifier: MIT */
/* The list of what a governed tree sees: order, cover, and what must not be writable. */
#include "sandbox/plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static void parents_come_before_what_is_below_them(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    plan_add(&p, PLAN_FIXED, "/w/.git/hooks", 0);
    plan_add(&p, PLAN_WRITABLE, "/w", 0);
    plan_add(&p, PLAN_HIDDEN, "/w/.git", 0);
    plan_add(&p, PLAN_WRITABLE, "/w/.git", 0);
    plan_add(&p, PLAN_WRITABLE, "/w", 0);
    static const char *const expected[] = {"/w", "/w/.git", "/w/.git", "/w/.git/hooks"};
    assert_int_equal(p.count, 4);
    for (size_t i = 0; i < p.count; i++)
        assert_string_equal(p.steps[i].path, expected[i]);
    assert_int_equal(p.steps[1].kind, PLAN_WRITABLE);
    assert_int_equal(p.steps[2].kind, PLAN_HIDDEN); /* laid over it */
}

static void below_goes_by_whole_names(void **state)
{
    assert_true(plan_is_below("/a/b", "/a"));
    assert_true(plan_is_below("/a", "/a"));
    assert_true(plan_is_below("/a", "/"));
    assert_false(plan_is_below("/ab", "/a"));
    assert_false(plan_is_below("/", "/a"));
}

static void the_nearest_step_above_decides(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    enum plan_kind kind;
    plan_add(&p, PLAN_BLANK, "/tmp", 01777);
    plan_add(&p, PLAN_WRITABLE, "/tmp/w", 0);
    plan_add(&p, PLAN_FIXED, "/tmp/w/.git/config", 0);
    assert_true(plan_find(&p, "/tmp/w/x", &kind));
    assert_int_equal(kind, PLAN_WRITABLE);
    assert_true(plan_find(&p, "/tmp/w/.git/config", &kind));
    assert_int_equal(kind, PLAN_FIXED);
    assert_true(plan_find(&p, "/tmp/other", &kind));
    assert_int_equal(kind, PLAN_BLANK);
    assert_false(plan_find(&p, "/etc/passwd", &kind));
}

static void what_is_hidden_in_something_blank_is_dropped(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    plan_add(&p, PLAN_BLANK, "/run", 0755);
    plan_add(&p, PLAN_HIDDEN, "/run/docker.sock", 0);
    plan_add(&p, PLAN_WRITABLE, "/run/w", 0);
    plan_add(&p, PLAN_HIDDEN, "/run/w/socket", 0); /* visible without its step */
    plan_add(&p, PLAN_HIDDEN, "/h/.gnupg", 0);
    plan_add(&p, PLAN_HIDDEN, "/h/.gnupg/S.gpg-agent", 0);
    plan_drop_covered(&p);
    assert_int_equal(p.count, 4);
    assert_string_equal(p.steps[0].path, "/h/.gnupg");
    assert_string_equal(p.steps[3].path, "/run/w/socket");
}

static void nothing_of_ours_may_lie_where_the_agent_writes(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct err err;
    plan_add(&p, PLAN_BLANK, "/tmp", 01777);
    plan_add(&p, PLAN_WRITABLE, "/w", 0);
    plan_add(&p, PLAN_HIDDEN, "/w/state", 0); /* hiding it there is no help */
    assert_int_equal(plan_check_private(&p, "/home/u/.local/state", "state", &err), 0);
    assert_int_equal(plan_check_private(&p, "/tmp/policy.yaml", "policy", &err), -EPERM);
    assert_non_null(strstr(err.text, "policy would lie where the agent can write"));
    assert_int_equal(plan_check_private(&p, "/w/state/x", "state", &err), -EPERM);
    assert_int_equal(plan_check_private(&p, "/w", "state", &err), -EPERM);
}

static void a_missing_path_adds_nothing_and_a_device_is_refused(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct err err;
    assert_int_equal(plan_add_real(&p, PLAN_WRITABLE, "/nonexistent/x", &err), 0);
    assert_int_equal(p.count, 0);
    assert_int_equal(plan_add_real(&p, PLAN_WRITABLE, "/dev/null", &err), -EINVAL);
    assert_non_null(strstr(err.text, "/dev/null"));
    assert_int_equal(plan_add_real(&p, PLAN_WRITABLE, "/usr/../usr", &err), 1);
    assert_string_equal(p.steps[0].path, "/usr");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parents_come_before_what_is_below_them),
        cmocka_unit_test(below_goes_by_whole_names),
        cmocka_unit_test(the_nearest_step_above_decides),
        cmocka_unit_test(what_is_hidden_in_something_blank_is_dropped),
        cmocka_unit_test(nothing_of_ours_may_lie_where_the_agent_writes),
        cmocka_unit_test(a_missing_path_adds_nothing_and_a_device_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
