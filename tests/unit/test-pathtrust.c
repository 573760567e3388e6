/* SPDX-License-Identifier: MIT */
/* Could this user have changed what a path leads to? In a directory of its own, in a place that is
 * not everybody's as /tmp is. */
#include "cli/pathtrust.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define STRANGER 54321u /* a user who owns nothing here */

static char top[256];

static char *at(const char *name)
{
    static char path[8][512];
    static unsigned i;
    char *p = path[i++ % 8];
    (void)snprintf(p, 512, "%s/%s", top, name);
    return p;
}

static void put(const char *name, mode_t mode)
{
    struct err err;
    assert_int_equal(fd_write_file(at(name), mode, "x", 1, &err), 0);
    assert_int_equal(chmod(at(name), mode), 0);
}

static int make(void **state)
{
    const char *places[] = {"/run", getenv("HOME"), "."};
    for (size_t i = 0; i < ARRAY_LEN(places) && !top[0]; i++) {
        char real[PATH_MAX];
        if (!places[i] || !realpath(places[i], real))
            continue;
        (void)snprintf(top, sizeof(top), "%.200s/test-pathtrust.XXXXXX", real);
        if (!mkdtemp(top))
            top[0] = '\0';
    }
    if (!top[0] || chmod(top, 0755) < 0)
        return -1;
    (void)mkdir(at("dir"), 0755);
    (void)mkdir(at("open"), 0777);
    (void)chmod(at("open"), 0777);
    put("dir/tool", 0755);
    put("dir/loose", 0757);
    put("open/tool", 0755);
    return symlink("dir/tool", at("link")) || symlink("../dir/tool", at("open/link")) ||
           symlink("open/link", at("far")) || symlink("loop", at("loop")) ||
           symlink("nowhere", at("dangling"));
}

static int forget(void **state)
{
    char command[512];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", top);
    return system(command);
}

/* What `uid` may change on the way to `name`, "" for nothing. */
static const char *why_of(uid_t uid, const char *name, const char *leads_to)
{
    static char why[256];
    struct pathtrust_user u;
    pathtrust_user_init(&u, uid);
    _cleanup_free_ char *real = NULL;
    assert_int_equal(pathtrust_follow(&u, name[0] == '/' ? name : at(name), false, &real, why), 0);
    assert_string_equal(real, leads_to[0] == '/' ? leads_to : at(leads_to));
    pathtrust_user_done(&u);
    return why;
}

static void a_stranger_changed_nothing(void **state)
{
    assert_string_equal(why_of(STRANGER, "dir/tool", "dir/tool"), "");
    assert_string_equal(why_of(STRANGER, "link", "dir/tool"), "");
    assert_string_equal(why_of(STRANGER, "dir/../dir/./tool", "dir/tool"), "");
    assert_string_equal(why_of(STRANGER, "/", "/"), "");
}

static void what_all_may_write_is_not_trusted(void **state)
{
    assert_non_null(strstr(why_of(STRANGER, "dir/loose", "dir/loose"), "dir/loose"));
    assert_non_null(strstr(why_of(STRANGER, "open/tool", "open/tool"), "/open"));
    assert_non_null(strstr(why_of(STRANGER, "open/link", "dir/tool"), "/open"));
    assert_non_null(strstr(why_of(STRANGER, "far", "dir/tool"), "/open"));
    /* Its way is gone from the text of the path, not from the walk. */
    assert_non_null(strstr(why_of(STRANGER, "open/../dir/tool", "dir/tool"), "/open"));
}

static void the_owner_of_anything_on_the_way_is_not_trusted(void **state)
{
    struct stat st;
    assert_int_equal(stat(top, &st), 0);
    if (st.st_uid != 0) {
        assert_true(why_of(st.st_uid, "dir/tool", "dir/tool")[0]);
        return;
    }
    assert_int_equal(chown(at("dir/tool"), STRANGER, STRANGER), 0);
    assert_non_null(strstr(why_of(STRANGER, "dir/tool", "dir/tool"), "dir/tool"));
    assert_int_equal(chown(at("dir/tool"), 0, 0), 0);
}

static void other_users_are_not_trusted_either(void **state)
{
    if (geteuid() != 0)
        return; /* cannot give files away */
    assert_int_equal(chown(at("dir/tool"), STRANGER, STRANGER), 0);
    assert_non_null(strstr(why_of(STRANGER + 1, "dir/tool", "dir/tool"), "another user"));
    assert_int_equal(chown(at("dir/tool"), 0, 0), 0);
}

static void root_is_trusted_with_the_system_only(void **state)
{
    assert_non_null(strstr(why_of(0, "dir/tool", "dir/tool"), "root"));
    struct pathtrust_user u;
    char why[256], *real = NULL;
    pathtrust_user_init(&u, 0);
    assert_int_equal(pathtrust_follow(&u, "/usr/bin/env", false, &real, why), 0);
    assert_string_equal(why, "");
    free(real);
    pathtrust_user_done(&u);
}

static void root_trusts_the_policys_trusted_paths_too(void **state)
{
    struct pathtrust_user u;
    char why[256], *real = NULL;
    const char *const search[] = {at("dir"), NULL}, *const near[] = {at("di"), "/", NULL};
    pathtrust_user_init(&u, 0);
    u.search = search;
    assert_int_equal(pathtrust_follow(&u, at("dir/tool"), false, &real, why), 0);
    assert_null(strstr(why, "root")); /* an ordinary user's files are another matter */
    free(real);
    u.search =
        near; /* neither the beginning of a name nor the whole of the system is a directory */
    assert_int_equal(pathtrust_follow(&u, at("dir/tool"), false, &real, why), 0);
    assert_true(why[0]);
    free(real);
    pathtrust_user_done(&u);
}

static void what_is_not_there_is_taken_by_its_names(void **state)
{
    struct pathtrust_user u;
    char why[256], *real = NULL;
    pathtrust_user_init(&u, STRANGER);
    assert_int_equal(pathtrust_follow(&u, at("dir/../new/./deep/er"), true, &real, why), 0);
    assert_string_equal(real, at("new/deep/er"));
    assert_string_equal(why, "it does not exist");
    free(real);
    assert_int_equal(pathtrust_follow(&u, at("dangling"), true, &real, why), 0);
    assert_string_equal(real, at("nowhere")); /* would be created there */
    free(real);
    real = NULL;
    assert_int_equal(pathtrust_follow(&u, at("new/../dir/tool"), true, &real, why), -ENOENT);
    assert_null(real);
    pathtrust_user_done(&u);
}

static void ways_that_lead_nowhere_say_so(void **state)
{
    struct pathtrust_user u;
    char why[256], *real = NULL;
    pathtrust_user_init(&u, STRANGER);
    assert_int_equal(pathtrust_follow(&u, at("loop"), false, &real, why), -ELOOP);
    assert_int_equal(pathtrust_follow(&u, at("dangling"), false, &real, why), -ENOENT);
    assert_int_equal(pathtrust_follow(&u, at("dir/tool/x"), false, &real, why), -ENOTDIR);
    assert_null(real);
    pathtrust_user_done(&u);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_changed_nothing),
        cmocka_unit_test(what_all_may_write_is_not_trusted),
        cmocka_unit_test(the_owner_of_anything_on_the_way_is_not_trusted),
        cmocka_unit_test(other_users_are_not_trusted_either),
        cmocka_unit_test(root_is_trusted_with_the_system_only),
        cmocka_unit_test(root_trusts_the_policys_trusted_paths_too),
        cmocka_unit_test(what_is_not_there_is_taken_by_its_names),
        cmocka_unit_test(ways_that_lead_nowhere_say_so),
    };
    return cmocka_run_group_tests(tests, make, forget);
}
