/* SPDX-License-Identifier: MIT */
/* Paths as text, and directories made on the way. */
#include "base/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void joining_puts_one_slash_between(void **state)
{
    static const char *const cases[][3] = {
        {"/a", "b", "/a/b"},   {"/a/", "b", "/a/b"}, {"/", "b", "/b"},
        {"a", "b/c", "a/b/c"}, {"/a", "/b", "/b"},   {"/a", "", "/a/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *s = path_join(cases[i][0], cases[i][1]);
        assert_string_equal(s, cases[i][2]);
    }
}

static void normalising_goes_by_text_and_never_above_the_root(void **state)
{
    static const char *const cases[][2] = {
        {"/", "/"},
        {"//", "/"},
        {"/.", "/"},
        {"/..", "/"},
        {"/../../..", "/"},
        {"/a", "/a"},
        {"/a/", "/a"},
        {"//a///b//", "/a/b"},
        {"/a/./b/.", "/a/b"},
        {"/a/../b", "/b"},
        {"/a/b/../../c", "/c"},
        {"/a/..", "/"},
        {"/a/../../../b/c/..", "/b"},
        {"/ab/cd/..", "/ab"},
        {"/...", "/..."},
        {"/.a/..b/c.", "/.a/..b/c."},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *s = path_normalise(cases[i][0]);
        assert_non_null(s);
        assert_string_equal(s, cases[i][1]);
    }
}

static void a_relative_path_is_not_normalised(void **state)
{
    assert_null(path_normalise(""));
    assert_null(path_normalise("a/b"));
    assert_null(path_normalise("./a"));
}

static void the_directory_of_a_path(void **state)
{
    static const char *const cases[][2] = {
        {"/a/b", "/a"}, {"/a", "/"},     {"/", "/"},    {"//", "/"},  {"a", "."},  {"", "."},
        {"a/b", "a"},   {"/a/b/", "/a"}, {"a//b", "a"}, {"./a", "."}, {"a/", "."}, {"//a", "/"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *s = path_dirname(cases[i][0]);
        assert_string_equal(s, cases[i][1]);
    }
}

/* ---- with a directory of its own ---- */

static int make_root(void **state)
{
    char *root = strdup("/tmp/test-path-XXXXXX");
    *state = mkdtemp(root);
    return *state ? 0 : -1;
}

static int drop_root(void **state)
{
    _cleanup_free_ char *root = *state;
    static const char *const names[] = {"a/b/c", "a/b", "a", "file", "link", ""};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        _cleanup_free_ char *p = path_join(root, names[i]);
        (void)remove(p);
    }
    return 0;
}

static void assert_dir(const char *path, mode_t mode)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(st.st_mode & 07777, mode);
}

static void missing_directories_are_made_with_the_mode_whatever_the_umask(void **state)
{
    _cleanup_free_ char *a = path_join(*state, "a");
    _cleanup_free_ char *b = path_join(*state, "a/b");
    _cleanup_free_ char *c = path_join(*state, "a//b/c/");
    mode_t before = umask(077);
    int r = path_mkdirs(c, 0750, NULL);
    (void)umask(before);
    assert_int_equal(r, 0);
    assert_dir(a, 0750);
    assert_dir(b, 0750);
    assert_dir(c, 0750);
}

static void directories_that_are_there_are_left_as_they_are(void **state)
{
    _cleanup_free_ char *a = path_join(*state, "a");
    assert_int_equal(path_mkdirs(a, 0700, NULL), 0);
    assert_int_equal(path_mkdirs(a, 0755, NULL), 0);
    assert_dir(a, 0700);
    assert_int_equal(path_mkdirs("/", 0755, NULL), 0);
}

static void a_file_on_the_way_is_an_error_with_its_name(void **state)
{
    struct err err = {0};
    _cleanup_free_ char *file = path_join(*state, "file");
    assert_int_equal(fd_write_file(file, 0600, "x", 1, &err), 0);
    assert_int_equal(path_mkdirs(file, 0755, &err), -ENOTDIR);
    assert_non_null(strstr(err.text, file));
    _cleanup_free_ char *below = path_join(file, "b");
    assert_int_equal(path_mkdirs(below, 0755, &err), -ENOTDIR);
}

static void a_dangling_link_on_the_way_is_an_error(void **state)
{
    struct err err = {0};
    _cleanup_free_ char *link = path_join(*state, "link");
    assert_int_equal(symlink("nowhere", link), 0);
    assert_true(path_mkdirs(link, 0755, &err) < 0);
    assert_int_equal(path_mkdirs("", 0755, &err), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(joining_puts_one_slash_between),
        cmocka_unit_test(normalising_goes_by_text_and_never_above_the_root),
        cmocka_unit_test(a_relative_path_is_not_normalised),
        cmocka_unit_test(the_directory_of_a_path),
        cmocka_unit_test_setup_teardown(
            missing_directories_are_made_with_the_mode_whatever_the_umask, make_root, drop_root),
        cmocka_unit_test_setup_teardown(directories_that_are_there_are_left_as_they_are, make_root,
                                        drop_root),
        cmocka_unit_test_setup_teardown(a_file_on_the_way_is_an_error_with_its_name, make_root,
                                        drop_root),
        cmocka_unit_test_setup_teardown(a_dangling_link_on_the_way_is_an_error, make_root,
                                        drop_root),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
