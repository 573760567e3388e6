/* SPDX-License-Identifier: MIT */
/* Which arguments the helper is asked to resolve. */
#include "policy-case.h"

#include <string.h>

#include "base/str.h"
#include "policy/pool.h"
#include "policy/tokens.h"

static const char policy[] = "rules:\n"
                             "  - {command: [rm, cp, chmod, find, git, curl, tool], match: "
                             "{paths_within: [/app/*]}, action: allow}\n"
                             "  - {command: cat, args: ['/etc/*'], action: deny}\n"
                             "  - {command: ls, args: [x], action: deny}\n";

/* `wanted`: the indices, as "1 3". */
static void check(const char *line, const char *wanted)
{
    struct policy *p = policy_case_parse(policy);
    struct pool *pool = pool_new();
    const char *const *argv;
    size_t argc, ret[8];
    struct buf got = BUF_INIT(256);
    assert_int_equal(tokens_split(pool, line, false, &argv, &argc, NULL), 0);
    size_t n = policy_path_operands(p, argv[0], argv, argc, ret, 8);
    assert_true(n <= 8);
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&got, "%s%zu", i ? " " : "", ret[i]);
    if (!str_eq(buf_str(&got), wanted))
        fail_msg("%s: %s, not %s", line, buf_str(&got), wanted);
    buf_done(&got);
    (void)pool_free(pool);
    (void)policy_unref(p);
}

static void operands_that_are_paths_are_named(void **state)
{
    (void)state;
    check("rm -rf a -- -b", "2 4");
    check("chmod 755 a b", "2 3");
    check("chmod -x a", "2");
    check("chmod --reference r a", "2 3");
    check("find a b -name c -newer d", "1 2");
    check("find", "");
    check("cp -t dir a", "2 3");
    check("cp -tdir a", "2"); /* what is attached cannot be asked for: outside */
    check("git -C dir status", "2");
    check("git -C dir add x /y", "2 5"); /* x is relative to dir */
    check("git add x", "2");
    check("git commit -m x", "");
    check("curl -o out https://x", "2");
    check("tool a -b c", "1 3");
    check("cat a /etc/x", "1 2");
    check("env rm a", "2");
    check("busybox rm a", "2");
}

static void without_a_rule_that_looks_nothing_is_asked(void **state)
{
    (void)state;
    check("ls a", "");
    check("mv a b", "");
}

static void what_does_not_fit_is_counted_only(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(policy);
    const char *const argv[] = {"rm", "a", "b", "c"};
    size_t ret[2] = {0, 0};
    assert_int_equal(policy_path_operands(p, "rm", argv, 4, ret, 2), 3);
    assert_int_equal(policy_path_operands(p, "rm", argv, 0, ret, 2), 0);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operands_that_are_paths_are_named),
        cmocka_unit_test(without_a_rule_that_looks_nothing_is_asked),
        cmocka_unit_test(what_does_not_fit_is_counted_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
