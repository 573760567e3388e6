/* SPDX-License-Identifier: MIT */
/* Cgroups as files: where they are looked for and what is written there, in a folder that stands
 * for /sys/fs/cgroup. The kernel's part is tried in tests/docker-smoke. */
#include "exec/freezer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"

struct fixture {
    char root[64];
};

static void put(const struct fixture *f, const char *path, const char *text)
{
    _cleanup_free_ char *whole = mem_printf("%s/%s", f->root, path);
    _cleanup_free_ char *dir = path_dirname(whole);
    assert_int_equal(path_mkdirs(dir, 0755, NULL), 0);
    assert_int_equal(fd_write_file(whole, 0644, text, strlen(text), NULL), 0);
}

static void assert_text(const struct fixture *f, const char *path, const char *text)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    _cleanup_free_ char *whole = mem_printf("%s/%s", f->root, path);
    assert_int_equal(fd_read_file(whole, 4096, &b, NULL), 0);
    assert_memory_equal(buf_str(&b), text, strlen(text));
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)snprintf(f->root, sizeof(f->root), "/tmp/test-freezer-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *line = mem_printf("rm -rf %s", f->root);
    int r = system(line);
    test_free(f);
    return r;
}

static void hybrid(const struct fixture *f)
{
    put(f, "freezer/box/cgroup.procs", "");
    put(f, "freezer/box/freezer.state", "THAWED\n");
    put(f, "freezer/box/freezer.self_freezing", "0\n");
    put(f, "unified/box/cgroup.procs", "");
    put(f, "unified/box/cgroup.freeze", "0\n");
    put(f, "unified/box/cgroup.events", "populated 1\nfrozen 0\n");
    put(f, "memory/box/cgroup.procs", "");
}

static void a_path_is_found_in_every_hierarchy(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    hybrid(f);
    assert_int_equal(freezer_at_path(&x, f->root, "/box", NULL), 0);
    assert_int_equal(x.dirs_count, 3);
    assert_int_equal(freezer_set(&x, true, NULL), 0);
    assert_text(f, "freezer/box/freezer.state", "FROZEN");
    assert_text(f, "unified/box/cgroup.freeze", "1");
    assert_true(freezer_is(&x) && freezer_wanted(&x));
    assert_int_equal(freezer_set(&x, false, NULL), 0);
    assert_text(f, "freezer/box/freezer.state", "THAWED");
    assert_text(f, "unified/box/cgroup.freeze", "0");
    freezer_done(&x);
}

static void version_2_alone(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    put(f, "cgroup.procs", "");
    put(f, "box/cgroup.procs", "");
    put(f, "box/cgroup.freeze", "0\n");
    assert_int_equal(freezer_at_path(&x, f->root, "/box", NULL), 0);
    assert_null(x.v1);
    assert_int_equal(freezer_set(&x, true, NULL), 0);
    assert_text(f, "box/cgroup.freeze", "1");
    freezer_done(&x);
    assert_int_equal(freezer_of_text(&x, f->root, "0::/box\n", NULL), 0);
    assert_int_equal(x.dirs_count, 1);
    freezer_done(&x);
}

static void the_root_and_ways_up_are_no_cgroup_of_a_prisoner(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    hybrid(f);
    put(f, "freezer/cgroup.procs", "");
    put(f, "freezer/freezer.state", "THAWED\n");
    static const char *const bad[] = {"/", "", "box", "/box/..", "/box/../..", "/nothing"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_true(freezer_at_path(&x, f->root, bad[i], NULL) < 0);
        freezer_done(&x);
    }
    assert_int_equal(
        freezer_of_text(&x, f->root, "6:freezer:/\n0::/\n1:memory:/box\nnonsense\n", NULL),
        -ENOENT);
    freezer_done(&x);
}

static void of_a_process_only_what_can_stop_it_counts(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    hybrid(f);
    assert_int_equal(freezer_of_text(&x, f->root, "6:freezer:/box\n4:memory:/box\n0::/box\n", NULL),
                     0);
    assert_int_equal(x.dirs_count, 2);
    assert_non_null(x.v1);
    assert_non_null(x.v2);
    freezer_done(&x);
}

static void without_a_freezer_nothing_stands_still(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    struct err err;
    put(f, "memory/box/cgroup.procs", "");
    assert_int_equal(freezer_at_path(&x, f->root, "/box", &err), 0);
    assert_int_equal(freezer_set(&x, true, &err), -EOPNOTSUPP);
    assert_int_equal(freezer_set(&x, false, &err), 0);
    assert_false(freezer_is(&x));
    freezer_done(&x);
}

static void processes_below_are_counted(void **state)
{
    struct fixture *f = *state;
    struct freezer x;
    hybrid(f);
    put(f, "freezer/box/deep/er/cgroup.procs", "999999991\n999999992\n");
    put(f, "freezer/box/cgroup.procs", "999999993\n0\n1\n");
    assert_int_equal(freezer_at_path(&x, f->root, "/box", NULL), 0);
    assert_int_equal(freezer_signal(&x, 0), 3);
    freezer_done(&x);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_path_is_found_in_every_hierarchy),
        T(version_2_alone),
        T(the_root_and_ways_up_are_no_cgroup_of_a_prisoner),
        T(of_a_process_only_what_can_stop_it_counts),
        T(without_a_freezer_nothing_stands_still),
        T(processes_below_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
