/* SPDX-License-Identifier: MIT */
/* /proc/net/unix as text, with what its writers may put into it. */
#include "sandbox/sockets.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char table[] =
    "Num       RefCount Protocol Flags    Type St Inode Path\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 11111 /run/docker.sock\n"
    "0000000000000000: 00000003 00000000 00000000 0001 03 11112 /run/connected\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 11113 @abstract\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 11114\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 11115 /a b/with blanks\n"
    "short line\n"
    "0000000000000000: 00000002 00000000 00010000 0001 01 11116 /last-without-newline";

static void only_those_that_listen_on_a_path_are_named(void **state)
{
    static const char *const expected[] = {"/run/docker.sock", "/a b/with blanks",
                                           "/last-without-newline"};
    const char *path;
    size_t at = 0, n, i = 0;
    while ((n = sockets_next(table, sizeof(table) - 1, &at, &path)) > 0) {
        assert_true(i < ARRAY_LEN(expected));
        assert_int_equal(n, strlen(expected[i]));
        assert_memory_equal(path, expected[i], n);
        i++;
    }
    assert_int_equal(i, ARRAY_LEN(expected));
}

static void every_cut_of_the_table_ends(void **state)
{
    for (size_t len = 0; len < sizeof(table); len++) {
        const char *path;
        size_t at = 0, n, lines = 0;
        while ((n = sockets_next(table, len, &at, &path)) > 0) {
            assert_true(path >= table && path + n <= table + len);
            assert_true(++lines < 10);
        }
    }
}

static void a_forged_line_hides_no_ordinary_file(void **state)
{
    /* What the host has now: each step must be a socket. */
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct err err;
    assert_int_equal(sockets_hide(&p, &err), 0);
    for (size_t i = 0; i < p.count; i++)
        assert_int_equal(p.steps[i].kind, PLAN_HIDDEN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_that_listen_on_a_path_are_named),
        cmocka_unit_test(every_cut_of_the_table_ends),
        cmocka_unit_test(a_forged_line_hides_no_ordinary_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
