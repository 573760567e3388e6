/* SPDX-License-Identifier: MIT */
/* A second mount of what may be written. */
#include "sandbox/aliases.h"

#include <stdlib.h>

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define ROOT "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n"
#define TMP "28 27 0:25 / /tmp rw - tmpfs tmpfs rw\n"

static void expect(const char *mountinfo, const char *alias)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    _cleanup_free_ char *found = NULL;
    plan_add(&p, PLAN_WRITABLE, "/home/u/my work", 0);
    plan_add(&p, PLAN_HIDDEN, "/home/u/.gnupg", 0);
    assert_int_equal(aliases_find_in(&p, mountinfo, &found), alias != NULL);
    if (alias)
        assert_string_equal(found, alias);
    else
        assert_null(found);
}

static void one_mount_of_it_is_no_alias(void **state)
{
    (void)state;
    expect(ROOT TMP, NULL);
    expect(ROOT "29 27 254:1 / /home rw - ext4 /dev/vdb rw\n", NULL);
    expect("", NULL);
    expect("broken\n27\n", NULL);
}

static void the_same_files_elsewhere_are(void **state)
{
    (void)state;
    expect(ROOT "29 27 254:0 /home/u /mnt/home rw - ext4 /dev/vda rw\n", "/mnt/home/my work");
    expect(ROOT "29 27 254:0 / /mnt rw - ext4 /dev/vda rw\n", "/mnt/home/u/my work");
    expect(ROOT "29 27 254:0 /home/u/my\\040work/bin /opt/bin rw - ext4 /dev/vda rw\n", "/opt/bin");
    expect(ROOT "29 27 254:1 / /home rw - ext4 /dev/vdb rw\n"
                "30 27 254:1 /u /srv/u rw - ext4 /dev/vdb rw\n",
           "/srv/u/my work");
}

static void other_files_are_not(void **state)
{
    (void)state;
    expect(ROOT "29 27 254:0 /home/v /mnt/home rw - ext4 /dev/vda rw\n", NULL);
    expect(ROOT "29 27 254:7 / /mnt rw - ext4 /dev/vdc rw\n", NULL);
    expect(ROOT "29 27 254:0 /home/u/my\\040work/a /home/u/my\\040work/b rw - ext4 /dev/vda rw\n",
           NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_mount_of_it_is_no_alias),
        cmocka_unit_test(the_same_files_elsewhere_are),
        cmocka_unit_test(other_files_are_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
