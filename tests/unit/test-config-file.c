/* SPDX-License-Identifier: MIT */
/* clawrden.yaml: flat, strict, and every fault with its place. */
#include "warden/config-file.h"

#include <errno.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int apply(const char *text, struct config *c, struct err *err)
{
    return config_file_apply(text, strlen(text), "f.yaml", c, err);
}

static void keys_are_set_in_either_spelling(void **state)
{
    struct config c = {.policy = NULL};
    struct err err;
    assert_int_equal(
        apply("# c\nsocket: /run/x.sock\nsocket_mode: \"0600\"\nlog-level: warn\n", &c, &err), 0);
    assert_string_equal(c.socket, "/run/x.sock");
    assert_int_equal(c.socket_mode, 0600);
    assert_string_equal(c.log_level, "warn");
    config_done(&c);
}

static void nothing_at_all_is_fine(void **state)
{
    struct config c = {.policy = NULL};
    struct err err;
    assert_int_equal(apply("", &c, &err), 0);
    assert_int_equal(apply("# only words\n", &c, &err), 0);
}

static void faults_are_refused_with_their_place(void **state)
{
    static const char *const bad[][2] = {
        {"sokcet: /x\n", "f.yaml:1:1: unknown option 'sokcet'; did you mean 'socket'?"},
        {"log-level: info\nlog_level: warn\n", "f.yaml:2:1: this key stands here twice"},
        {"log-level: loud\n", "f.yaml:1:12: log-level: must be"},
        {"log-level: [info]\n", "f.yaml:1:12: a value must be"},
        {"log-level: {a: b}\n", "f.yaml:1:12: a value must be"},
        {"[log-level]: info\n", "f.yaml:1:1: a key must be"},
        {"- log-level\n", "f.yaml:1:1: must be lines"},
        {"log-level\n", "f.yaml:1:1: must be lines"},
        {"log-level: &a info\n", "f.yaml:1:12: a value must be"},
        {"log-level: *a\n", "f.yaml:1:12: a value must be"},
        {"log-level: !x info\n", "f.yaml:1:12: a value must be"},
        {"log-level: info\n---\nlog-level: info\n", "f.yaml:2:1: only one document"},
        {"log-level: \"info\n", "f.yaml:2:1: "},
        {"log-level: \"a\\0b\"\n", "f.yaml:1:12: a value must be"},
        {"\tlog-level: info\n", "f.yaml:1:1: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct config c = {.policy = NULL};
        struct err err = {.text = ""};
        assert_int_equal(apply(bad[i][0], &c, &err), -EINVAL);
        if (!str_starts(err.text, bad[i][1]))
            assert_string_equal(err.text, bad[i][1]); /* shows both */
        config_done(&c);
    }
}

static void a_long_file_is_refused(void **state)
{
    struct buf text = BUF_INIT(1 << 20);
    struct config c = {.policy = NULL};
    struct err err;
    while (text.len <= CONFIG_FILE_MAX)
        (void)buf_append_str(&text, "# words, words\n");
    assert_int_equal(config_file_apply(buf_str(&text), text.len, "f", &c, &err), -E2BIG);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_set_in_either_spelling),
        cmocka_unit_test(nothing_at_all_is_fine),
        cmocka_unit_test(faults_are_refused_with_their_place),
        cmocka_unit_test(a_long_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
