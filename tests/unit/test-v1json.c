/* SPDX-License-Identifier: MIT */
/* The JSON request of version 1: what old shims write, and what an attacker would. */
#include "door/v1json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "wire/v2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void ask_done(struct ask *a)
{
    free(a->blob);
    free(a->argv);
    free(a->env);
}

static int decode(const char *text, struct ask *a, struct v1json_identity *id, struct err *err)
{
    return v1json_decode(text, strlen(text), a, id, err);
}

static void a_request_becomes_an_ask(void **state)
{
    struct ask a;
    struct v1json_identity id;
    struct err err;
    assert_int_equal(decode("{\"command\":\"git\",\"args\":[\"push\",\"\",\"ä\"],\"cwd\":\"/app\","
                            "\"env\":[\"A=1\",\"B=\"],\"identity\":{\"uid\":1000,\"gid\":7}}",
                            &a, &id, &err),
                     0);
    assert_int_equal(a.door, DOOR_SHIM_V1);
    assert_string_equal(a.name, "git");
    assert_string_equal(a.cwd, "/app");
    assert_int_equal(a.argc, 4);
    assert_string_equal(a.argv[0], "git");
    assert_string_equal(a.argv[1], "push");
    assert_string_equal(a.argv[2], "");
    assert_string_equal(a.argv[3], "ä");
    assert_null(a.argv[4]);
    assert_int_equal(a.envc, 2);
    assert_string_equal(a.env[1], "B=");
    assert_null(a.env[2]);
    assert_int_equal(a.umask, 022);
    assert_true(id.said);
    assert_int_equal(id.uid, 1000);
    assert_int_equal(id.gid, 7);
    ask_done(&a);
}

static void absent_and_null_lists_are_empty(void **state)
{
    static const char *const texts[] = {
        "{\"command\":\"/usr/bin/ls\",\"cwd\":\"/\"}",
        "{\"command\":\"/usr/bin/ls\",\"cwd\":\"/\",\"args\":null,\"env\":null,\"identity\":null}",
        "{\"command\":\"/usr/bin/ls\",\"cwd\":\"/\",\"args\":[],\"env\":[],\"more\":{\"x\":1}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct ask a;
        struct v1json_identity id;
        struct err err;
        assert_int_equal(decode(texts[i], &a, &id, &err), 0);
        assert_string_equal(a.name, "/usr/bin/ls");
        assert_int_equal(a.argc, 1);
        assert_int_equal(a.envc, 0);
        assert_null(a.env[0]);
        assert_false(id.said);
        ask_done(&a);
    }
}

static void nonsense_is_refused_with_words(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "null",
        "{",
        "{}",
        "{\"command\":\"\",\"cwd\":\"/\"}",
        "{\"command\":7,\"cwd\":\"/\"}",
        "{\"command\":null,\"cwd\":\"/\"}",
        "{\"command\":\"ls\"}",
        "{\"command\":\"ls\",\"cwd\":\"\"}",
        "{\"command\":\"ls\",\"cwd\":\"app\"}",
        "{\"command\":\"ls\",\"cwd\":[\"/\"]}",
        "{\"command\":\"ls\\u0000x\",\"cwd\":\"/\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\\u0000\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":\"-l\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":{}}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[1]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[null]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[[\"-l\"]]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[\"a\\u0000b\"]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"env\":[true]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"identity\":[]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"identity\":{\"uid\":\"0\"}}",
        "{\"command\":\"ls\",\"command\":\"rm\",\"cwd\":\"/\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\"} {}",
        "{\"command\":\"l\xff\",\"cwd\":\"/\"}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct ask a;
        struct v1json_identity id;
        struct err err = {.text = ""};
        assert_int_equal(decode(texts[i], &a, &id, &err), -EBADMSG);
        assert_true(err.text[0] != '\0');
    }
}

static void a_string_over_the_kernel_s_limit_is_refused(void **state)
{
    struct buf text = BUF_INIT(1 << 20);
    struct ask a;
    struct v1json_identity id;
    struct err err;
    (void)buf_append_str(&text, "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[\"");
    size_t start = text.len;
    for (size_t i = 0; i + 1 < V2_STRING_MAX; i++)
        (void)buf_append_char(&text, 'x');
    (void)buf_append_str(&text, "\"]}");
    assert_int_equal(v1json_decode(text.data, text.len, &a, &id, &err), 0);
    assert_int_equal(strlen(a.argv[1]), V2_STRING_MAX - 1);
    ask_done(&a);
    text.len = start + V2_STRING_MAX - 1;
    (void)buf_append_str(&text, "x\"]}");
    assert_int_equal(v1json_decode(text.data, text.len, &a, &id, &err), -E2BIG);
    buf_done(&text);
}

/* 10 MiB of empty strings cost a parser seconds and hundreds of MiB: counted before it is parsed.
 */
static void a_bomb_of_values_is_refused(void **state)
{
    struct buf text = BUF_INIT(16 << 20);
    struct ask a;
    struct v1json_identity id;
    struct err err;
    (void)buf_append_str(&text, "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[\"\"");
    while (text.len < (10u << 20))
        (void)buf_append_str(&text, ",\"\"");
    (void)buf_append_str(&text, "]}");
    assert_int_equal(v1json_decode(text.data, text.len, &a, &id, &err), -E2BIG);
    buf_clear(&text);
    for (int i = 0; i < 100000; i++)
        (void)buf_append_char(&text, '[');
    assert_int_equal(v1json_decode(text.data, text.len, &a, &id, &err), -E2BIG);
    buf_done(&text);
}

static void a_hundred_thousand_arguments_pass(void **state)
{
    struct buf text = BUF_INIT(16 << 20);
    struct ask a;
    struct v1json_identity id;
    struct err err;
    (void)buf_append_str(&text, "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[\"0\"");
    for (int i = 1; i < 100000; i++)
        (void)buf_printf(&text, ",\"%d\"", i);
    (void)buf_append_str(&text, "]}");
    assert_int_equal(v1json_decode(text.data, text.len, &a, &id, &err), 0);
    assert_int_equal(a.argc, 100001);
    assert_string_equal(a.argv[100000], "99999");
    ask_done(&a);
    buf_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_becomes_an_ask),
        cmocka_unit_test(absent_and_null_lists_are_empty),
        cmocka_unit_test(nonsense_is_refused_with_words),
        cmocka_unit_test(a_string_over_the_kernel_s_limit_is_refused),
        cmocka_unit_test(a_bomb_of_values_is_refused),
        cmocka_unit_test(a_hundred_thousand_arguments_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
