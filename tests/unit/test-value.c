/* SPDX-License-Identifier: MIT */
/* Tagged bytes back to bytes, and command lines from records. */
#include "store/value.h"

#include "store-help.h"

static struct json *parse(const char *text)
{
    struct json *j = NULL;
    assert_int_equal(json_parse(text, strlen(text), 1000, &j, NULL), 0);
    return j;
}

static void assert_bytes(const char *json, const char *expected, size_t n)
{
    _cleanup_(json_freep) struct json *j = parse(json);
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    if (!value_bytes(j, &out))
        fail_msg("%s", json);
    assert_int_equal(out.len, n);
    assert_memory_equal(buf_str(&out), expected, n);
}

static void bytes_come_back_as_they_were(void **state)
{
    assert_bytes("\"abc\"", "abc", 3);
    assert_bytes("\"\"", "", 0);
    assert_bytes("{\"bytes\":\"/w==\"}", "\xff", 1);
    assert_bytes("{\"bytes\":\"/wA=\"}", "\xff\0", 2);
    assert_bytes("{\"bytes\":\"/wAB\"}", "\xff\0\1", 3);
    assert_bytes("{\"bytes\":\"\"}", "", 0);
}

static void every_byte_survives_the_tagged_form(void **state)
{
    char bytes[256];
    for (size_t n = 1; n <= 256; n++) {
        for (size_t i = 0; i < n; i++)
            bytes[i] = (char)(255 - i);
        _cleanup_buf_ struct buf text = BUF_INIT(4096);
        struct json_writer w = JSON_WRITER(&text);
        json_put_bytes(&w, bytes, n);
        assert_bytes(text.data, bytes, n);
    }
}

static void other_values_are_refused(void **state)
{
    static const char *const bad[] = {"1",
                                      "null",
                                      "[]",
                                      "{}",
                                      "{\"bytes\":1}",
                                      "{\"bytes\":\"/w=\"}",
                                      "{\"bytes\":\"/\"}",
                                      "{\"bytes\":\"/w=a\"}",
                                      "{\"bytes\":\"==aa\"}",
                                      "{\"bytes\":\"/w==/w==\"}",
                                      "{\"bytes\":\"a b=\"}",
                                      "{\"bytes\":\"/w==\",\"x\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_(json_freep) struct json *j = parse(bad[i]);
        _cleanup_buf_ struct buf out = BUF_INIT(4096);
        if (value_bytes(j, &out) || out.len)
            fail_msg("%s", bad[i]);
    }
}

static void assert_line(const char *record, const char *expected)
{
    _cleanup_(json_freep) struct json *j = parse(record);
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    assert_int_equal(value_command_line(j, &out), expected != NULL);
    assert_string_equal(buf_str(&out), expected ? expected : "");
}

static void a_command_line_can_be_typed_and_hides_nothing(void **state)
{
    assert_line("{\"command\":\"rm\",\"args\":[\"-rf\",\"a b\",\"it's\"]}",
                "rm -rf 'a b' 'it'\\''s'");
    assert_line("{\"command\":\"sh\",\"argv0\":\"-sh\",\"args\":[]}", "-sh");
    assert_line("{\"command\":\"ls\",\"argv0\":null}", "ls");
    assert_line("{\"command\":{\"bytes\":\"/w==\"},\"args\":[\"\\u001b[2J\"]}",
                "$'\\377' $'\\e[2J'");
    assert_line("{\"command\":\"x\",\"args\":[1]}", "x ?");
    assert_line("{\"args\":[\"a\"]}", NULL);
    assert_line("{\"command\":null}", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_as_they_were),
        cmocka_unit_test(every_byte_survives_the_tagged_form),
        cmocka_unit_test(other_values_are_refused),
        cmocka_unit_test(a_command_line_can_be_typed_and_hides_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
