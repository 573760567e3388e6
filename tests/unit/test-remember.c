/* SPDX-License-Identifier: MIT */
/* What a remembered yes covers, and what it does not. */
#include "core/remember.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"

#define A "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define B "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"

static struct request unknown(const char *path, const char *digest)
{
    struct request r = {.id_text = "id"};
    r.ask.door = DOOR_GATE;
    r.ask.tree = 1;
    r.peer = (struct peer){.pid = 42, .start_time = 7, .uid = 1000, .pidfd = -1};
    r.facts.known = true;
    r.facts.program = (struct policy_program){.path = path, .digest = digest};
    r.judged = (struct policy_decision){.verdict = VERDICT_ASK, .rule_name = "unknown_executable"};
    return r;
}

static bool covered(struct remember *m, struct request r)
{
    char who[64];
    return remember_find(m, &r, who, sizeof(who));
}

static void the_same_program_is_covered_and_its_approver_named(void **state)
{
    struct remember *m = remember_new();
    struct request r = unknown("/w/a.out", A);
    char who[64];
    (void)state;
    assert_false(covered(m, r));
    remember_add(m, &r, "ana");
    assert_true(remember_find(m, &r, who, sizeof(who)));
    assert_string_equal(who, "ana (request id)");
    assert_true(covered(m, r)); /* again and again */
    assert_null(remember_free(m));
}

static void nothing_else_is_covered(void **state)
{
    struct remember *m = remember_new();
    struct request good = unknown("/w/a.out", A), r = good;
    (void)state;
    remember_add(m, &good, "ana");
    assert_false(covered(m, unknown("/w/b.out", A)));
    assert_false(covered(m, unknown("/w/a.out", B)));
    r.ask.tree = 2;
    assert_false(covered(m, r));
    r = good, r.peer.uid = 0;
    assert_false(covered(m, r));
    r = good, r.facts.program.script = "/w/a.out";
    assert_false(covered(m, r));
    r = good, r.facts.program.digest = NULL;
    assert_false(covered(m, r));
    r = good, r.judged.rule_name = "ask-it"; /* a rule asks each time */
    assert_false(covered(m, r));
    r = good, r.ask.door = DOOR_SHIM_V2;
    assert_false(covered(m, r));
    remember_forget(m, 2);
    assert_true(covered(m, good));
    remember_forget(m, 1);
    assert_false(covered(m, good));
    assert_int_equal(remember_count(m), 0);
    remember_free(m);
}

static void tree_1_is_not_tree_11(void **state)
{
    struct remember *m = remember_new();
    struct request r = unknown("/w/a.out", A);
    (void)state;
    r.ask.tree = 11;
    remember_add(m, &r, "ana");
    remember_forget(m, 1);
    assert_true(covered(m, r));
    remember_free(m);
}

static void what_cannot_be_remembered_is_said(void **state)
{
    struct request r = unknown("/w/a.out", A);
    struct err err;
    (void)state;
    assert_int_equal(remember_check(&r, &err), 0);
    r.facts.program.digest = NULL;
    assert_int_equal(remember_check(&r, &err), -EINVAL);
    assert_non_null(strstr(err.text, "content"));
    r = unknown("/w/a.out", A), r.judged.rule_name = "rule 3";
    assert_int_equal(remember_check(&r, &err), -EINVAL);
    r = unknown("/w/a.out", A), r.ask.door = DOOR_SHIM_V1;
    assert_int_equal(remember_check(&r, &err), -EINVAL);
    r = unknown("/w/a.out", A), r.ask.tree = 0;
    assert_int_equal(remember_check(&r, &err), -EINVAL);
    r = unknown("/w/a.out", A), r.facts.known = false;
    assert_int_equal(remember_check(&r, &err), -EINVAL);
}

static void a_script_behind_env_is_asked_about_once(void **state)
{
    struct remember *m = remember_new();
    struct request env = unknown("/usr/bin/env", A), python = unknown("/usr/bin/python3.11", A), r;
    (void)state;
    env.facts.program.script = python.facts.program.script = "/w/a.py";
    remember_next(m, &env, "ana");
    r = python, r.peer.pid = 43;
    assert_false(covered(m, r)); /* another process */
    r = python, r.facts.program.digest = B;
    assert_false(covered(m, r)); /* swapped between the two */
    r = python, r.facts.program.script = "/w/b.py";
    assert_false(covered(m, r));
    assert_true(covered(m, python));
    assert_false(covered(m, python)); /* once */
    r = env, r.facts.program.path = "/w/env-not", remember_next(m, &r, "ana");
    assert_int_equal(remember_count(m), 0);
    remember_free(m);
}

static void there_is_an_end_to_what_is_remembered(void **state)
{
    struct remember *m = remember_new();
    (void)state;
    for (unsigned i = 0; i < REMEMBER_MAX + 10; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/w/%u", i);
        struct request r = unknown(path, A);
        remember_add(m, &r, "ana");
    }
    assert_int_equal(remember_count(m), REMEMBER_MAX);
    remember_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_program_is_covered_and_its_approver_named),
        cmocka_unit_test(nothing_else_is_covered),
        cmocka_unit_test(tree_1_is_not_tree_11),
        cmocka_unit_test(what_cannot_be_remembered_is_said),
        cmocka_unit_test(a_script_behind_env_is_asked_about_once),
        cmocka_unit_test(there_is_an_end_to_what_is_remembered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
