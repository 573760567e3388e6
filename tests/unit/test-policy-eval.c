/* SPDX-License-Identifier: MIT */
/* What cannot be decided is denied: limits, bytes that are no text, facts that are missing. */
#include "policy-case.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/policy.h"

static enum verdict judge(const struct policy *p, const struct policy_request *q)
{
    struct policy_decision d;
    policy_judge(p, q, &d);
    assert_true(d.timeout > 0);
    assert_non_null(d.rule_name);
    return d.verdict;
}

static enum verdict judge_argv(const struct policy *p, const char *const *argv, size_t argc)
{
    static struct policy_case c;
    policy_case_argv(&c, p, argv, argc, "/app", 1000);
    enum verdict v = judge(p, &c.q);
    policy_case_end(&c);
    return v;
}

static void verdicts_have_names_and_the_safe_one_is_zero(void **state)
{
    (void)state;
    assert_int_equal(VERDICT_DENY, 0);
    assert_string_equal(verdict_name(VERDICT_DENY), "deny");
    assert_string_equal(verdict_name(VERDICT_ASK), "ask");
    assert_string_equal(verdict_name(VERDICT_ALLOW), "allow");
    assert_string_equal(verdict_name((enum verdict)7), "deny");
}

static void an_empty_request_is_denied(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("allowed_paths: [/*]\nrules:\n"
                                         "  - {command: '*', action: allow}\n");
    const struct policy_request q = {.command = "", .cwd = "/app"};
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    policy_unref(p);
}

static void a_regex_past_its_limit_denies(void **state)
{
    (void)state;
    struct policy *allow = policy_case_parse(
        "rules:\n  - {command: ls, match: {regex: '^(a|aa)+$'}, action: allow}\n");
    struct policy *deny = policy_case_parse("default_action: allow\nrules:\n  - {command: ls, "
                                            "match: {regex: '^(a|aa)+$'}, action: deny}\n");
    char *large = mem_zalloc(100001);
    char hard[64] = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac";
    memset(large, 'x', 100000);
    const char *const easy[] = {"ls", "aaa"}, *const other[] = {"ls", "c"},
                      *const bad[] = {"ls", hard}, *const long_one[] = {"ls", large};
    assert_int_equal(judge_argv(allow, easy, 2), VERDICT_ALLOW);
    assert_int_equal(judge_argv(allow, other, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(allow, bad, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(allow, long_one, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(deny, easy, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(deny, other, 2), VERDICT_ALLOW);
    assert_int_equal(judge_argv(deny, bad, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(deny, long_one, 2), VERDICT_DENY);
    free(large);
    policy_unref(allow);
    policy_unref(deny);
}

/* The joined form is unambiguous: an argument with a blank is not two arguments, and bytes that
 * are not UTF-8 are written as escapes. */
static void a_regex_sees_quoted_arguments(void **state)
{
    (void)state;
    struct policy *p =
        policy_case_parse("rules:\n  - {command: ls, match: {regex: '^a b$'}, action: allow}\n");
    const char *const two[] = {"ls", "a", "b"}, *const one[] = {"ls", "a b"},
                      *const lines[] = {"ls", "x\na b"}, *const bytes[] = {"ls", "a b\xff"};
    assert_int_equal(judge_argv(p, two, 3), VERDICT_ALLOW);
    assert_int_equal(judge_argv(p, one, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(p, lines, 2), VERDICT_DENY);
    assert_int_equal(judge_argv(p, bytes, 2), VERDICT_DENY);
    policy_unref(p);
}

static void the_largest_command_is_judged(void **state)
{
    (void)state;
    enum { MANY = 100000 };
    const char **argv = mem_new_array(const char *, MANY);
    for (size_t i = 0; i < MANY; i++)
        argv[i] = i % 2 ? "-v" : "file";
    argv[0] = "rm";
    struct policy *p = policy_case_parse("default_action: allow\nrules:\n"
                                         "  - {command: rm, args: ['-rf last'], action: deny}\n");
    assert_int_equal(judge_argv(p, argv, MANY), VERDICT_ALLOW);
    argv[MANY - 2] = "-fr";
    argv[MANY - 1] = "last";
    assert_int_equal(judge_argv(p, argv, MANY), VERDICT_DENY);
    free(argv);
    policy_unref(p);
}

/* Work is bounded: many rules with globs against a huge command end in a refusal, soon. */
static void a_command_too_large_to_judge_is_denied(void **state)
{
    (void)state;
    enum { MANY = 100000, RULES = 2000 };
    struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    (void)buf_append_str(&text, "default_action: allow\nrules:\n");
    for (int i = 0; i < RULES; i++)
        (void)buf_printf(&text, "  - {command: rm, args: ['*a*b%d'], action: deny}\n", i);
    struct policy *p = policy_case_parse(buf_str(&text));
    const char **argv = mem_new_array(const char *, MANY);
    for (size_t i = 0; i < MANY; i++)
        argv[i] = "aaaaaaaaaaaaaaaaaa";
    argv[0] = "rm";
    static struct policy_case c;
    struct policy_decision d;
    policy_case_argv(&c, p, argv, MANY, "/app", 1000);
    policy_judge(p, &c.q, &d);
    assert_int_equal(d.verdict, VERDICT_DENY);
    assert_string_equal(d.rule_name, "limit");
    assert_null(d.rule);
    assert_true(d.timeout > 0 && d.approval_timeout > 0);
    policy_case_end(&c);
    free(argv);
    buf_done(&text);
    policy_unref(p);
}

/* A program with more names than can be looked at is not trusted. */
static void a_program_with_too_many_names_is_unknown(void **state)
{
    (void)state;
    enum { MANY = 600 };
    struct policy *p = policy_case_parse("default_action: allow\nunknown_executable: deny\nrules:\n"
                                         "  - {command: n5, action: allow}\n");
    const char **names = mem_new_array(const char *, MANY);
    for (size_t i = 0; i < MANY; i++)
        names[i] = mem_printf("n%zu", i);
    const char *const argv[] = {"n5"};
    struct policy_request q = {
        .command = "n5",
        .argv = argv,
        .argc = 1,
        .cwd = "/app",
        .program = {
            .trust = PROGRAM_TRUSTED, .path = "/bin/x", .names = names, .names_count = 400}};
    assert_int_equal(judge(p, &q), VERDICT_ALLOW);
    q.program.names_count = MANY;
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    for (size_t i = 0; i < MANY; i++)
        free((char *)names[i]);
    free(names);
    policy_unref(p);
}

static void paths_that_were_not_resolved_are_outside(void **state)
{
    (void)state;
    struct policy *p =
        policy_case_parse("default_action: deny\nrules:\n"
                          "  - {command: rm, match: {paths_outside: [/app/*]}, action: ask}\n"
                          "  - {command: rm, match: {paths_within: [/app/*]}, action: allow}\n"
                          "  - {command: cat, args: ['/app/*'], action: allow}\n"
                          "  - {command: tac, match: {paths_outside: [/app/*]}, action: allow}\n");
    const char *const argv[] = {"rm", "a", "b"}, *const cat[] = {"cat", "/app/x"},
                      *const tac[] = {"tac", "/etc/x"};
    const char *const names[] = {"rm", "cat", "tac"};
    struct policy_path paths[] = {{1, "/app/a"}, {2, "/app/b"}};
    struct policy_request q = {
        .command = "rm",
        .argv = argv,
        .argc = 3,
        .cwd = "/app",
        .paths = paths,
        .paths_count = 2,
        .program = {.trust = PROGRAM_TRUSTED, .path = "/bin/rm", .names = names, .names_count = 1}};
    assert_int_equal(judge(p, &q), VERDICT_ALLOW);
    paths[1].resolved = NULL;
    assert_int_equal(judge(p, &q), VERDICT_ASK);
    paths[1].resolved = "/application/b";
    assert_int_equal(judge(p, &q), VERDICT_ASK);
    q.paths_count = 1; /* the caller left one out */
    assert_int_equal(judge(p, &q), VERDICT_ASK);
    q.paths_count = 0;
    q.program.path = "/bin/cat";
    q.command = "cat";
    q.argv = cat;
    q.argc = 2;
    q.program.names = names + 1;
    assert_int_equal(judge(p, &q), VERDICT_DENY); /* "/app/x" may be a link to anywhere */
    q.program.path = "/bin/tac";
    q.command = "tac";
    q.argv = tac;
    q.program.names = names + 2;
    assert_int_equal(judge(p, &q), VERDICT_DENY); /* doubt never helps an allow rule */
    policy_unref(p);
}

static void labels_must_all_be_there(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(
        "rules:\n  - {command: ls, labels: {team: 'a*', env: dev}, action: allow}\n");
    const struct policy_label labels[] = {{"team", "alpha"}, {"env", "dev"}, {"x", "y"}};
    const char *const argv[] = {"ls"};
    struct policy_request q = {
        .command = "ls",
        .argv = argv,
        .argc = 1,
        .cwd = "/app",
        .labels = labels,
        .labels_count = 3,
        .program = {.trust = PROGRAM_TRUSTED, .path = "/bin/ls", .names = argv, .names_count = 1}};
    assert_int_equal(judge(p, &q), VERDICT_ALLOW);
    q.labels_count = 1;
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    q.labels_count = 0;
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    policy_unref(p);
}

static void a_trust_that_is_no_value_is_unknown(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("default_action: allow\nunknown_executable: deny\n");
    const char *const argv[] = {"ls"};
    struct policy_request q = {
        .command = "ls",
        .argv = argv,
        .argc = 1,
        .cwd = "/app",
        .program = {
            .trust = (enum program_trust)9, .path = "/bin/ls", .names = argv, .names_count = 1}};
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    q.program.trust = PROGRAM_TRUSTED;
    assert_int_equal(judge(p, &q), VERDICT_ALLOW);
    q.program.path = NULL;
    assert_int_equal(judge(p, &q), VERDICT_DENY);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(verdicts_have_names_and_the_safe_one_is_zero),
        cmocka_unit_test(an_empty_request_is_denied),
        cmocka_unit_test(a_regex_past_its_limit_denies),
        cmocka_unit_test(a_regex_sees_quoted_arguments),
        cmocka_unit_test(the_largest_command_is_judged),
        cmocka_unit_test(a_command_too_large_to_judge_is_denied),
        cmocka_unit_test(a_program_with_too_many_names_is_unknown),
        cmocka_unit_test(paths_that_were_not_resolved_are_outside),
        cmocka_unit_test(labels_must_all_be_there),
        cmocka_unit_test(a_trust_that_is_no_value_is_unknown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
