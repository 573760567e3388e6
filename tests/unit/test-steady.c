/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cmocka.h>

#include "gate/steady.h"

static uint64_t device(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_dev;
}

static void what_the_kernel_makes_up_is_not_looked_at_here(void **state)
{
    steady_init();
    assert_false(steady_has(0));
    assert_false(steady_has(device("/proc")));
    assert_false(steady_has(device("/dev/pts")));
}

static void a_directory_on_a_plain_file_system_is_known_from_then_on(void **state)
{
    char dir[] = "/dev/shm/test-steady-XXXXXX"; /* a tmpfs of its own, that nobody lists */
    assert_non_null(mkdtemp(dir));
    struct statfs fs;
    assert_int_equal(statfs(dir, &fs), 0);
    const struct pack_strings dirs = {.packed = dir, .size = sizeof(dir), .count = 1};
    steady_add(&dirs);
    if (fs.f_type == 0x01021994)
        assert_true(steady_has(device(dir)));
    assert_int_equal(rmdir(dir), 0);
}

static void what_is_not_there_is_no_error(void **state)
{
    static char packed[] = "/nowhere/at/all\0/proc/self/fd\0/etc/passwd";
    const struct pack_strings dirs = {.packed = packed, .size = sizeof(packed), .count = 3};
    steady_add(&dirs);
    assert_false(steady_has(device("/proc")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_kernel_makes_up_is_not_looked_at_here),
        cmocka_unit_test(a_directory_on_a_plain_file_system_is_known_from_then_on),
        cmocka_unit_test(what_is_not_there_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
