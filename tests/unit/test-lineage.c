/* SPDX-License-Identifier: MIT */
/* Descent by cgroups, and what paths look like: texts as /proc/PID/cgroup has them. */
#include "exec/lineage.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define ID "4f1c2a3b4c5d6e7f8091a2b3c4d5e6f70123456789abcdef0123456789abcdef"

static size_t depth;

static void who_is_at_or_below_in_all_hierarchies_descends(void **state)
{
    static const char init[] = "3:pids:/docker/" ID "\n2:cpu:/docker/" ID "\n0::/docker/" ID "\n";
    assert_true(lineage_below(init, init, &depth));
    assert_true(lineage_below(
        "3:pids:/docker/" ID "/a\n2:cpu:/docker/" ID "\n0::/docker/" ID "/b/c\n", init, &depth));
    assert_int_equal(depth, strlen("/docker/" ID));
}

static void one_hierarchy_elsewhere_is_no_descent(void **state)
{
    static const char init[] = "3:pids:/docker/" ID "\n0::/docker/" ID "\n";
    assert_false(lineage_below("3:pids:/\n0::/docker/" ID "\n", init, &depth));
    assert_false(lineage_below("3:pids:/docker/" ID "\n0::/\n", init, &depth));
    assert_false(lineage_below("0::/docker/" ID "\n", init, &depth)); /* a hierarchy is missing */
    assert_false(lineage_below("", init, &depth));
}

static void a_name_that_only_begins_alike_is_no_descent(void **state)
{
    assert_false(lineage_below("0::/docker/onetwo\n", "0::/docker/one\n", &depth));
    assert_false(lineage_below("0::/docker\n", "0::/docker/one\n", &depth));
    assert_false(lineage_below("0::/evil/docker/one\n", "0::/docker/one\n", &depth));
}

static void hierarchies_are_not_mixed_up(void **state)
{
    assert_false(lineage_below("1:cpu:/b\n0::/a\n", "1:cpu:/a\n0::/a\n", &depth));
    assert_false(lineage_below("1:cpu,cpuacct:/a\n", "1:cpu:/a\n", &depth));
    assert_true(lineage_below("1:name=systemd:/a:b\n", "9:name=systemd:/a:b\n", &depth));
}

static void who_stands_at_the_root_everywhere_tells_nobody(void **state)
{
    assert_false(lineage_below("0::/\n", "0::/\n", &depth));
    assert_false(lineage_below("1:cpu:/\n0::/\n", "1:cpu:/\n0::/\n", &depth));
    assert_false(lineage_below("0::/a\n", "", &depth));
    assert_true(lineage_below("1:cpu:/x\n0::/a\n", "1:cpu:/\n0::/a\n", &depth));
}

static void lines_that_are_none_end_the_text(void **state)
{
    assert_false(lineage_below("nonsense\n0::/a\n", "0::/a\n", &depth));
    assert_false(lineage_below("0::/a\n", "0::a\n", &depth));
    assert_false(lineage_below("0:/a", "0:/a", &depth));
    assert_true(lineage_below("0::/a", "0::/a", &depth)); /* without a newline at the end */
}

static void a_bond_names_a_path_of_any_hierarchy(void **state)
{
    assert_true(lineage_in("1:cpu:/\n0::/agents/one/x\n", "/agents/one"));
    assert_true(lineage_in("1:cpu:/agents/one\n0::/\n", "/agents/one/"));
    assert_false(lineage_in("0::/agents/onetwo\n", "/agents/one"));
    assert_false(lineage_in("0::/anything\n", "/"));
}

static void engines_are_told_by_their_paths(void **state)
{
    static const struct {
        const char *text, *engine;
    } cases[] = {
        {"5:pids:/\n0::/docker/" ID "\n", "docker"},
        {"0::/system.slice/docker-" ID ".scope\n", "docker"},
        {"0::/docker/" ID "/clawrden-1-2\n", "docker"},
        {"0::/machine.slice/libpod-" ID ".scope/container\n", "podman"},
        {"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope\n", "containerd"},
        {"0::/kubepods.slice/crio-" ID ".scope\n", "cri-o"},
        {"4:cpu:/kubepods/besteffort/pod1/" ID "\n", "kubernetes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[LINEAGE_ID_SIZE] = "";
        const char *engine = "";
        assert_true(lineage_hint(cases[i].text, id, &engine));
        assert_string_equal(engine, cases[i].engine);
        assert_string_equal(id, ID);
    }
}

static void other_paths_are_of_no_engine(void **state)
{
    char id[LINEAGE_ID_SIZE];
    const char *engine;
    assert_false(lineage_hint("0::/user.slice/user-1000.slice\n", id, &engine));
    assert_false(lineage_hint("0::/docker/" ID "0\n", id, &engine)); /* 65 digits */
    assert_false(lineage_hint("0::/docker/4f1c2a3b\n", id, &engine));
    assert_false(lineage_hint("0::/somebody/" ID "\n", id, &engine));
    assert_false(lineage_hint("", id, &engine));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_is_at_or_below_in_all_hierarchies_descends),
        cmocka_unit_test(one_hierarchy_elsewhere_is_no_descent),
        cmocka_unit_test(a_name_that_only_begins_alike_is_no_descent),
        cmocka_unit_test(hierarchies_are_not_mixed_up),
        cmocka_unit_test(who_stands_at_the_root_everywhere_tells_nobody),
        cmocka_unit_test(lines_that_are_none_end_the_text),
        cmocka_unit_test(a_bond_names_a_path_of_any_hierarchy),
        cmocka_unit_test(engines_are_told_by_their_paths),
        cmocka_unit_test(other_paths_are_of_no_engine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
