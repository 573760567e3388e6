/* SPDX-License-Identifier: MIT */
/* The words of a failure: set, completed, prefixed, cut. */
#include "base/err.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void setting_returns_the_code_and_keeps_the_words(void **state)
{
    struct err err = {0};
    assert_int_equal(err_set(&err, -EINVAL, "no %s", "good"), -EINVAL);
    assert_string_equal(err.text, "no good");
}

static void the_systems_words_stand_behind(void **state)
{
    struct err err;
    assert_int_equal(err_errno(&err, -ENOENT, "open '%s'", "x"), -ENOENT);
    assert_string_equal(err.text, "open 'x': No such file or directory");
}

static void each_level_stands_in_front(void **state)
{
    struct err err;
    (void)err_set(&err, -EINVAL, "line 3");
    assert_int_equal(err_prefix(&err, -EINVAL, "policy '%s'", "p"), -EINVAL);
    assert_int_equal(err_prefix(&err, -EIO, "reload"), -EIO);
    assert_string_equal(err.text, "reload: policy 'p': line 3");
}

static void no_error_to_fill_is_fine(void **state)
{
    assert_int_equal(err_set(NULL, -EINVAL, "x"), -EINVAL);
    assert_int_equal(err_errno(NULL, -EIO, "x"), -EIO);
    assert_int_equal(err_prefix(NULL, -EPERM, "x"), -EPERM);
}

static void words_may_quote_the_words_that_they_replace(void **state)
{
    struct err err;
    (void)err_set(&err, -EINVAL, "cause");
    struct err copy = err;
    (void)err_set(&err, -EINVAL, "about '%s'", copy.text);
    assert_string_equal(err.text, "about 'cause'");
}

static void what_is_too_long_is_cut_and_says_so(void **state)
{
    char line[2 * ERR_TEXT_MAX];
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    struct err err;
    (void)err_set(&err, -EINVAL, "%s", line);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERR_TEXT_MAX - 5, "a...");
    (void)err_prefix(&err, -EINVAL, "front");
    assert_int_equal(strncmp(err.text, "front: aaa", 10), 0);
    assert_string_equal(err.text + ERR_TEXT_MAX - 5, "a...");
    (void)err_prefix(&err, -EINVAL, "%s", line);
    assert_string_equal(err.text + ERR_TEXT_MAX - 4, "...");
    (void)err_errno(&err, -EINVAL, "%s", line);
    assert_string_equal(err.text + ERR_TEXT_MAX - 4, "...");
}

static void exactly_full_is_not_cut(void **state)
{
    char line[ERR_TEXT_MAX];
    memset(line, 'a', sizeof(line) - 1);
    line[sizeof(line) - 1] = '\0';
    struct err err;
    (void)err_set(&err, -EINVAL, "%s", line);
    assert_string_equal(err.text, line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(setting_returns_the_code_and_keeps_the_words),
        cmocka_unit_test(the_systems_words_stand_behind),
        cmocka_unit_test(each_level_stands_in_front),
        cmocka_unit_test(no_error_to_fill_is_fine),
        cmocka_unit_test(words_may_quote_the_words_that_they_replace),
        cmocka_unit_test(what_is_too_long_is_cut_and_says_so),
        cmocka_unit_test(exactly_full_is_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
