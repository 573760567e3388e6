/* SPDX-License-Identifier: MIT */
#include "policy-case.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

struct got {
    struct buf env, passed, dropped;
    size_t count;
    int r;
};

static struct got make(const char *policy, const char *const *env, size_t envc, size_t limit)
{
    struct policy *p = policy_case_parse(policy);
    static struct policy_case c;
    struct policy_decision d;
    struct got g = {0};
    buf_init(&g.env, limit);
    buf_init(&g.passed, limit);
    buf_init(&g.dropped, limit);
    assert_true(policy_case_begin(&c, p, "ls", "/app", 1000));
    c.q.env = env;
    c.q.envc = envc;
    policy_judge(p, &c.q, &d);
    g.r = policy_environment(p, &d, &c.q, &g.env, &g.count, &g.passed, &g.dropped);
    policy_case_end(&c);
    policy_unref(p);
    return g;
}

static struct got make_in_place(const char *policy, const char *const *env, size_t envc,
                                const char *above)
{
    struct policy *p = policy_case_parse(policy);
    static struct policy_case c;
    struct policy_decision d;
    struct got g = {0};
    buf_init(&g.env, 1u << 20);
    buf_init(&g.passed, 1u << 20);
    buf_init(&g.dropped, 1u << 20);
    assert_true(policy_case_begin(&c, p, "ls", "/app", 1000));
    c.q.env = env;
    c.q.envc = envc;
    c.q.above = &above;
    c.q.above_count = above != NULL;
    policy_judge(p, &c.q, &d);
    g.r = policy_environment_in_place(p, &d, &c.q, &g.env, &g.count, &g.passed, &g.dropped);
    policy_case_end(&c);
    policy_unref(p);
    return g;
}

static bool has(const struct buf *b, const char *entry)
{
    for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1)
        if (str_eq(b->data + at, entry))
            return true;
    return false;
}

static size_t count(const struct buf *b)
{
    size_t n = 0;
    for (size_t at = 0; at < b->len; at += strlen(b->data + at) + 1)
        n++;
    return n;
}

static void free_got(struct got *g)
{
    buf_done(&g->env);
    buf_done(&g->passed);
    buf_done(&g->dropped);
}

static void only_the_harmless_passes_by_default(void **state)
{
    (void)state;
    static const char *const env[] = {
        "HOME=/home/a",
        "LANG=C.UTF-8",
        "LC_ALL=C",
        "TERM=xterm",
        "CI=1",
        "LD_PRELOAD=/x",
        "GIT_SSH=/x",
        "NODE_OPTIONS=-r x",
        "PYTHONPATH=/x",
        "BASH_ENV=/x",
        "PERL5OPT=-Mx",
        "PAGER=/x",
        "EDITOR=/x",
        "SECRET_TOKEN=x",
        "PATH=/tmp/evil",
        "CLAWRDEN_SOCKET=/x",
        "npm_config_x=/x",
        "LESSOPEN=|x",
        "SSH_ASKPASS=/x",
        "GIT_PAGER=/x",
        "OLDPWD=/x",
        "MAKEFLAGS=x",
        "MANPAGER=/bin/x",
        "XDG_CONFIG_HOME=/x",
    };
    struct got g = make("rules: []\n", env, sizeof(env) / sizeof(env[0]), 1 << 16);
    assert_int_equal(g.r, 0);
    assert_int_equal(g.count, 6);
    assert_int_equal(count(&g.env), 6);
    assert_true(has(&g.env, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"));
    assert_true(has(&g.env, "HOME=/home/a"));
    assert_true(has(&g.env, "LC_ALL=C"));
    assert_true(has(&g.passed, "CI"));
    assert_true(has(&g.dropped, "LD_PRELOAD"));
    assert_true(has(&g.dropped, "PATH"));
    assert_int_equal(count(&g.dropped), 19);
    free_got(&g);
}

static void a_glob_does_not_pass_what_names_a_program(void **state)
{
    (void)state;
    static const char *const env[] = {"LD_PRELOAD=/x", "GIT_SSH=/x", "PAGER=/x", "FOO=1",
                                      "XDG_DATA_HOME=/x"};
    struct got g = make("env: {pass: ['*']}\n", env, 5, 1 << 16);
    assert_true(has(&g.env, "FOO=1"));
    assert_true(has(&g.env, "XDG_DATA_HOME=/x"));
    assert_int_equal(g.count, 3);
    free_got(&g);
    g = make("env: {pass: ['LD_*', 'GIT_S?H', PAGER]}\n", env, 5, 1 << 16);
    assert_true(has(&g.env, "PAGER=/x")); /* spelled out */
    assert_int_equal(g.count, 2);
    free_got(&g);
}

static void a_rule_passes_and_sets_more(void **state)
{
    (void)state;
    static const char *const env[] = {"FOO=1", "BAR=2", "GIT_SSH=/x", "A=theirs", "B=theirs"};
    struct got g =
        make("env: {pass: [BAR], set: {A: file, B: file}}\nallowed_paths: [/*]\n"
             "rules: [{command: ls, action: allow, env: {pass: [GIT_SSH], set: {B: rule}}}]\n",
             env, 5, 1 << 16);
    assert_true(has(&g.env, "BAR=2"));
    assert_true(has(&g.env, "GIT_SSH=/x"));
    assert_true(has(&g.env, "A=file"));
    assert_true(has(&g.env, "B=rule"));
    assert_true(has(&g.dropped, "A"));
    assert_int_equal(g.count, 5);
    free_got(&g);
    g = make("allowed_paths: [/*]\nrules: [{command: ls, action: allow, env: [FOO]}]\n", env, 5,
             1 << 16);
    assert_true(has(&g.env, "FOO=1"));
    assert_int_equal(g.count, 2);
    free_got(&g);
}

static void the_first_of_a_name_counts(void **state)
{
    (void)state;
    static const char *const env[] = {"HOME=/a", "HOME=/b", "PATH=/x", "PATH=/y"};
    struct got g = make("rules: []\n", env, 4, 1 << 16);
    assert_int_equal(g.count, 2);
    assert_true(has(&g.env, "HOME=/a"));
    assert_true(has(&g.dropped, "HOME"));
    free_got(&g);
}

static void what_is_no_variable_is_dropped(void **state)
{
    (void)state;
    static const char *const env[] = {"BASH_FUNC_ls%%=() { x; }",
                                      "=x",
                                      "NOEQUALS",
                                      "1A=x",
                                      "A B=x",
                                      "",
                                      "A\xff=x",
                                      "HOME=() { x; }"};
    struct got g = make("env: {pass: ['*', HOME, 'BASH_FUNC_ls%%']}\n", env, 8, 1 << 16);
    assert_int_equal(g.count, 1);
    assert_int_equal(count(&g.dropped), 8);
    free_got(&g);
}

static void values_that_are_paths_in_disguise_are_dropped(void **state)
{
    (void)state;
    static const char *const env[] = {"TERM=../x", "LC_ALL=/tmp/x", "LANG=%s", "TZ=/etc/passwd",
                                      "TZ=Europe/Rome"};
    struct got g = make("rules: []\n", env, 5, 1 << 16);
    assert_int_equal(g.count, 2);
    assert_true(has(&g.env, "TZ=Europe/Rome"));
    free_got(&g);
}

static void what_only_asks_for_quiet_passes_by_its_value(void **state)
{
    (void)state;
    static const char *const good[] = {"PAGER=cat",
                                       "GIT_PAGER=",
                                       "MANPAGER=cat",
                                       "GIT_EDITOR=true",
                                       "EDITOR=vim",
                                       "VISUAL=:",
                                       "GIT_TERMINAL_PROMPT=0",
                                       "GIT_OPTIONAL_LOCKS=0",
                                       "GIT_ASKPASS=",
                                       "GIT_AUTHOR_NAME=A <b>",
                                       "GIT_COMMITTER_DATE=@1 +0000",
                                       "LESS=-FRX",
                                       "PYTHONUNBUFFERED=1",
                                       "PYTHONHASHSEED=42",
                                       "NODE_ENV=production",
                                       "DEBIAN_FRONTEND=noninteractive",
                                       "PYTHONIOENCODING=utf-8"};
    static const char *const bad[] = {"PAGER=/tmp/x",
                                      "PAGER=cat ",
                                      "PAGER=cat|x",
                                      "PAGER=|",
                                      "GIT_PAGER=sh",
                                      "EDITOR=rm",
                                      "EDITOR=",
                                      "VISUAL=vim -c x",
                                      "GIT_EDITOR=true;x",
                                      "GIT_TERMINAL_PROMPT=2",
                                      "GIT_AUTHOR_NAME=() { x; }",
                                      "GIT_AUTHOR_X=1",
                                      "GIT_ASKPASS=./x",
                                      "LESS=+!x",
                                      "LESS=-kx",
                                      "PYTHONUNBUFFERED=/x",
                                      "PYTHONHASHSEED=x",
                                      "PYTHONHASHSEED=",
                                      "PYTHONHASHSEED=#",
                                      "PYTHONHASHSEED=99999999999",
                                      "NODE_ENV=../x",
                                      "DEBIAN_FRONTEND=x",
                                      "LESSHISTFILE=/x",
                                      "SSH_ASKPASS_REQUIRE=force",
                                      "PYTHONIOENCODING=x"};
    struct got g = make("rules: []\n", good, sizeof(good) / sizeof(good[0]), 1 << 16);
    assert_int_equal(count(&g.dropped), 0);
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(has(&g.env, good[i]));
    free_got(&g);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        g = make("env: {pass: ['*']}\n", &bad[i], 1, 1 << 16);
        if (g.count != 1 && !str_starts(bad[i], "DEBIAN"))
            fail_msg("passes: %s", bad[i]);
        free_got(&g);
        g = make("rules: []\n", &bad[i], 1, 1 << 16);
        if (g.count != 1)
            fail_msg("passes: %s", bad[i]);
        free_got(&g);
    }
}

static void too_much_is_an_error_not_a_part(void **state)
{
    (void)state;
    static const char *const env[] = {
        "HOME=0123456789012345678901234567890123456789012345678901234567890123456"
        "7890123456789012345678901234567890123456789"};
    struct got g = make("rules: []\n", env, 1, 100);
    assert_int_equal(g.r, -EMSGSIZE);
    free_got(&g);
}

static void many_variables_cost_little(void **state)
{
    (void)state;
    enum { MANY = 60000 };
    const char **env = mem_new_array(const char *, MANY);
    for (size_t i = 0; i < MANY; i++)
        env[i] = mem_printf("LC_%zu=x", i);
    struct got g = make("rules: []\n", env, MANY, 16 << 20);
    assert_int_equal(g.r, 0);
    assert_int_equal(g.count, MANY + 1);
    for (size_t i = 0; i < MANY; i++)
        free((char *)env[i]);
    free(env);
    free_got(&g);
}

static void in_place_all_passes_but_what_acts_inside_a_program(void **state)
{
    (void)state;
    static const char *const env[] = {"PATH=/x",
                                      "MAKEFLAGS=-j",
                                      "EDITOR=vi",
                                      "ODD-NAME=1",
                                      "npm_config_a=1",
                                      "A=",
                                      "LD_PRELOAD=/x",
                                      "GIT_DIR=/x",
                                      "NODE_OPTIONS=-r",
                                      "PYTHONPATH=/x",
                                      "BASH_ENV=/x",
                                      "PERL5OPT=-M",
                                      "PAGER=x",
                                      "GIT_SSH=/x",
                                      "F=() { x; }",
                                      "BASH_FUNC_f%%=() { x; }",
                                      "GLIBC_TUNABLES=x",
                                      "PYTHONUTF8=1",
                                      "NOVALUE",
                                      "=x",
                                      "GIT_EDITOR=true",
                                      "GIT_PAGER=cat",
                                      "GIT_CONFIG_GLOBAL=/dev/null",
                                      "GIT_CONFIG_SYSTEM=/x",
                                      "LD_TRACE_LOADED_OBJECTS=1"};
    struct got g = make_in_place("default_action: allow\n", env, ARRAY_LEN(env), NULL);
    assert_int_equal(g.r, 0);
    static const char *const stay[] = {"PATH=/x",
                                       "MAKEFLAGS=-j",
                                       "EDITOR=vi",
                                       "ODD-NAME=1",
                                       "npm_config_a=1",
                                       "A=",
                                       "PYTHONUTF8=1",
                                       "GIT_EDITOR=true",
                                       "GIT_PAGER=cat",
                                       "GIT_CONFIG_GLOBAL=/dev/null",
                                       "LD_TRACE_LOADED_OBJECTS=1"};
    for (size_t i = 0; i < ARRAY_LEN(stay); i++)
        assert_true(has(&g.env, stay[i]));
    assert_int_equal(g.count, ARRAY_LEN(stay));
    static const char *const go[] = {"LD_PRELOAD", "GIT_DIR",       "NODE_OPTIONS",   "PYTHONPATH",
                                     "BASH_ENV",   "PERL5OPT",      "PAGER",          "GIT_SSH",
                                     "F",          "BASH_FUNC_f%%", "GLIBC_TUNABLES", "NOVALUE"};
    for (size_t i = 0; i < ARRAY_LEN(go); i++)
        assert_true(has(&g.dropped, go[i]));
    free_got(&g);
}

static void in_place_a_policy_names_what_stays(void **state)
{
    (void)state;
    static const char *const env[] = {"LD_LIBRARY_PATH=/x", "LD_PRELOAD=/x", "TOKEN=1"};
    struct got g =
        make_in_place("default_action: allow\nenv: {pass: [LD_LIBRARY_PATH], set: {TOKEN: x}}\n",
                      env, ARRAY_LEN(env), NULL);
    assert_true(has(&g.passed, "LD_LIBRARY_PATH"));
    assert_true(has(&g.dropped, "LD_PRELOAD"));
    /* What the policy sets cannot be set there; the agent's value does not stand in for it. */
    assert_true(has(&g.dropped, "TOKEN"));
    free_got(&g);
}

static void in_place_git_hands_its_own_on(void **state)
{
    (void)state;
    static const char *const env[] = {"GIT_INDEX_FILE=.git/index", "LD_PRELOAD=/x"};
    struct got g = make_in_place("default_action: allow\n", env, ARRAY_LEN(env), "git");
    assert_true(has(&g.passed, "GIT_INDEX_FILE"));
    assert_true(has(&g.dropped, "LD_PRELOAD"));
    free_got(&g);
    g = make_in_place("default_action: allow\n", env, ARRAY_LEN(env), "make");
    assert_true(has(&g.dropped, "GIT_INDEX_FILE"));
    free_got(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_place_all_passes_but_what_acts_inside_a_program),
        cmocka_unit_test(in_place_a_policy_names_what_stays),
        cmocka_unit_test(in_place_git_hands_its_own_on),
        cmocka_unit_test(only_the_harmless_passes_by_default),
        cmocka_unit_test(a_glob_does_not_pass_what_names_a_program),
        cmocka_unit_test(a_rule_passes_and_sets_more),
        cmocka_unit_test(the_first_of_a_name_counts),
        cmocka_unit_test(what_is_no_variable_is_dropped),
        cmocka_unit_test(values_that_are_paths_in_disguise_are_dropped),
        cmocka_unit_test(what_only_asks_for_quiet_passes_by_its_value),
        cmocka_unit_test(too_much_is_an_error_not_a_part),
        cmocka_unit_test(many_variables_cost_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
