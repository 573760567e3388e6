/* SPDX-License-Identifier: MIT */
/* JSON: strict reading with limits scanned beforehand, and a writer that cannot fail on content. */
#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json *parse(const char *text)
{
    struct json *root = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), 1000, &root, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return root;
}

/* ---- reading ---- */

static void an_object_is_read(void **state)
{
    _cleanup_(json_freep) struct json *j = parse(
        " {\"s\": \"x\\u00fc\", \"i\": -3, \"b\": true, \"n\": null, \"d\": 1.5, \"a\": [1, 2]} ");
    assert_true(json_is_object(j));
    assert_int_equal(json_count(j), 6);
    size_t n;
    assert_string_equal(json_string(json_get(j, "s"), &n), "x\xc3\xbc");
    assert_int_equal(n, 3);
    assert_true(json_is_integer(json_get(j, "i")));
    assert_int_equal(json_integer(json_get(j, "i"), 9), -3);
    assert_true(json_is_bool(json_get(j, "b")));
    assert_true(json_bool(json_get(j, "b"), false));
    assert_true(json_is_null(json_get(j, "n")));
    assert_true(json_number(json_get(j, "d"), 0) == 1.5);
    assert_true(json_number(json_get(j, "i"), 0) == -3);
    const struct json *a = json_get(j, "a");
    assert_true(json_is_array(a));
    assert_int_equal(json_count(a), 2);
    assert_int_equal(json_integer(json_at(a, 1), 0), 2);
    assert_null(json_at(a, 2));
    assert_null(json_get(j, "absent"));
}

static void the_wrong_type_and_nothing_give_the_other_value(void **state)
{
    _cleanup_(json_freep) struct json *j = parse("[\"1\", 1, 1.5, false, {}, null]");
    size_t n = 7;
    assert_null(json_string(json_at(j, 1), &n));
    assert_int_equal(n, 0);
    assert_int_equal(json_integer(json_at(j, 0), 9), 9);
    assert_int_equal(json_integer(json_at(j, 2), 9), 9);
    assert_false(json_is_integer(json_at(j, 2)));
    assert_true(json_bool(json_at(j, 1), true));
    assert_false(json_bool(json_at(j, 3), true));
    assert_true(json_number(json_at(j, 0), 9) == 9);
    assert_int_equal(json_count(json_at(j, 1)), 0);
    assert_null(json_get(json_at(j, 1), "x"));
    assert_null(json_at(json_at(j, 4), 0));
    assert_null(json_string(NULL, NULL));
    assert_null(json_get(NULL, "x"));
    assert_null(json_at(NULL, 0));
    assert_int_equal(json_integer(NULL, 9), 9);
    assert_true(json_bool(NULL, true));
    assert_int_equal(json_count(NULL), 0);
    assert_false(json_is_object(NULL) || json_is_array(NULL) || json_is_string(NULL) ||
                 json_is_bool(NULL) || json_is_null(NULL) || json_is_integer(NULL));
    void *iter = NULL;
    const char *key;
    const struct json *value;
    assert_false(json_next(json_at(j, 0), &iter, &key, &value));
}

static void an_object_is_walked_once_through(void **state)
{
    _cleanup_(json_freep) struct json *j = parse("{\"a\":1,\"b\":2,\"c\":3}");
    void *iter = NULL;
    const char *key;
    const struct json *value;
    int sum = 0, keys = 0;
    while (json_next(j, &iter, &key, &value)) {
        sum += (int)json_integer(value, 0);
        keys += key[0];
    }
    assert_int_equal(sum, 6);
    assert_int_equal(keys, 'a' + 'b' + 'c');
}

static void a_nul_in_a_string_shows_in_its_length(void **state)
{
    _cleanup_(json_freep) struct json *j = parse("\"a\\u0000b\"");
    size_t n;
    assert_memory_equal(json_string(j, &n), "a\0b", 4);
    assert_int_equal(n, 3);
}

static void the_integers_of_64_bits_are_exact(void **state)
{
    _cleanup_(json_freep) struct json *j = parse("[9223372036854775807,-9223372036854775808]");
    assert_true(json_integer(json_at(j, 0), 0) == INT64_MAX);
    assert_true(json_integer(json_at(j, 1), 0) == INT64_MIN);
}

static void malformed_text_is_refused_with_its_place(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,2",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1,\"a\":2}",         /* duplicate */
        "{\"a\":1,\"\\u0061\":2}",   /* duplicate, spelled otherwise */
        "{\"a\":{\"b\":1,\"b\":1}}", /* duplicate below */
        "{\"a\\u0000b\":1}",         /* NUL in a key */
        "1 2",                       /* a rest */
        "{} x",
        "[1]]",
        "'a'",
        "nul",
        "truex",
        "01",
        "+1",
        "1.",
        ".5",
        "0x10",
        "NaN",
        "[Infinity]",
        "9223372036854775808", /* past 64 bits */
        "1e999",
        "\"\xff\"",         /* not UTF-8 */
        "\"\xc0\xaf\"",     /* overlong */
        "\"\xed\xa0\x80\"", /* surrogate */
        "\"\\ud800\"",      /* half a pair */
        "\"a\nb\"",         /* raw control */
        "\"\\x41\"",
        "\"abc",
        "\"abc\\",
        "// comment\n1",
        "\xef\xbb\xbf{}", /* byte order mark */
        "::::",
        "]",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json *root = NULL;
        struct err err = {0};
        if (json_parse(bad[i], strlen(bad[i]), 100, &root, &err) != -EBADMSG)
            fail_msg("'%s' was not refused", bad[i]);
        assert_null(root);
        assert_non_null(strstr(err.text, "line "));
        assert_non_null(strstr(err.text, "column "));
    }
}

static void a_nul_byte_in_the_text_is_refused(void **state)
{
    struct json *root = NULL;
    assert_int_equal(json_parse("{}\0", 3, 100, &root, NULL), -EBADMSG);
    assert_int_equal(json_parse("\"a\0b\"", 5, 100, &root, NULL), -EBADMSG);
    assert_int_equal(json_parse("\0", 1, 100, &root, NULL), -EBADMSG);
    assert_null(root);
}

static void the_words_of_an_error_carry_no_raw_bytes(void **state)
{
    struct json *root = NULL;
    struct err err = {0};
    const char *text = "[\x1b[2J]";
    assert_int_equal(json_parse(text, strlen(text), 100, &root, &err), -EBADMSG);
    for (const char *s = err.text; *s; s++)
        assert_true(*s >= 0x20);
}

static void the_text_need_not_end_with_a_nul(void **state)
{
    _cleanup_free_ char *text = mem_dup("[1]", 3); /* under ASan a byte more is seen */
    _cleanup_(json_freep) struct json *root = NULL;
    assert_int_equal(json_parse(text, 3, 100, &root, NULL), 0);
    _cleanup_free_ char *cut = mem_dup("\"\\", 2);
    struct json *none = NULL;
    assert_int_equal(json_parse(cut, 2, 100, &none, NULL), -EBADMSG);
}

static int parse_nested(int depth, const char *open, const char *close)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000000);
    for (int i = 0; i < depth; i++)
        (void)buf_append_str(&b, open);
    (void)buf_append_str(&b, "1");
    for (int i = 0; i < depth; i++)
        (void)buf_append_str(&b, close);
    _cleanup_(json_freep) struct json *root = NULL;
    return json_parse(b.data, b.len, 1000000, &root, NULL);
}

static void depth_32_is_read_and_33_is_not(void **state)
{
    assert_int_equal(parse_nested(32, "[", "]"), 0);
    assert_int_equal(parse_nested(33, "[", "]"), -E2BIG);
    assert_int_equal(parse_nested(32, "{\"a\":", "}"), 0);
    assert_int_equal(parse_nested(33, "{\"a\":", "}"), -E2BIG);
    assert_int_equal(parse_nested(100000, "[", ""), -E2BIG);
    _cleanup_(json_freep) struct json *j =
        parse("\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[\"");
    assert_true(json_is_string(j)); /* brackets in a string are not depth */
}

static int parse_within(const char *text, size_t nodes_max)
{
    _cleanup_(json_freep) struct json *root = NULL;
    return json_parse(text, strlen(text), nodes_max, &root, NULL);
}

static void values_are_counted_exactly_and_keys_are_not(void **state)
{
    static const struct {
        const char *text;
        size_t nodes;
    } cases[] = {
        {"1", 1},
        {"\"a\"", 1},
        {"[]", 1},
        {"[1,2]", 3},
        {"[ \"a,b:c\" , \"d\\\"e\" ]", 3},
        {"{\"a\" : \"b\"}", 2},
        {"{\"a\":{\"b\":[true,false,null]}}", 6},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_int_equal(parse_within(cases[i].text, cases[i].nodes), 0);
        assert_int_equal(parse_within(cases[i].text, cases[i].nodes - 1), -E2BIG);
    }
}

static void a_bomb_of_values_is_refused_before_it_is_parsed(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(4000000);
    (void)buf_append_char(&b, '[');
    for (int i = 0; i < 1000000; i++)
        (void)buf_append_str(&b, "{},");
    _cleanup_(json_freep) struct json *root = NULL;
    struct err err = {0};
    assert_int_equal(json_parse(b.data, b.len, 1000, &root, &err), -E2BIG);
    assert_non_null(strstr(err.text, "1000 values"));
}

/* ---- writing ---- */

static void commas_and_colons_come_by_themselves(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "s", "x");
    json_field_string(&w, "none", NULL);
    json_field_int(&w, "i", INT64_MIN);
    json_field_uint(&w, "u", UINT64_MAX);
    json_field_bool(&w, "b", true);
    json_key(&w, "a");
    json_array_begin(&w);
    json_put_int(&w, 1);
    json_array_begin(&w);
    json_array_end(&w);
    json_object_begin(&w);
    json_object_end(&w);
    json_put_bool(&w, false);
    json_put_null(&w);
    json_put_raw(&w, "{\"r\":1}", 7);
    json_put_string(&w, "end");
    json_array_end(&w);
    json_field_int(&w, "z", 0);
    json_object_end(&w);
    assert_int_equal(b.failed, 0);
    assert_string_equal(buf_str(&b), "{\"s\":\"x\",\"none\":null,\"i\":-9223372036854775808,"
                                     "\"u\":18446744073709551615,\"b\":true,"
                                     "\"a\":[1,[],{},false,null,{\"r\":1},\"end\"],\"z\":0}");
}

static void assert_written(const char *s, size_t n, const char *expect)
{
    _cleanup_buf_ struct buf b = BUF_INIT(10000);
    struct json_writer w = JSON_WRITER(&b);
    json_put_bytes(&w, s, n);
    assert_string_equal(buf_str(&b), expect);
    if (!str_utf8_valid(s, n))
        return;
    _cleanup_(json_freep) struct json *back = parse(buf_str(&b));
    size_t len;
    const char *text = json_string(back, &len);
    assert_int_equal(len, n);
    assert_memory_equal(text, s, n);
}

static void strings_are_escaped_and_read_back(void **state)
{
    assert_written("", 0, "\"\"");
    assert_written("a\"b\\c/d", 7, "\"a\\\"b\\\\c/d\"");
    assert_written("\b\t\n\v\f\r", 6, "\"\\b\\t\\n\\u000b\\f\\r\"");
    assert_written("\0\x01\x1f\x7f", 4, "\"\\u0000\\u0001\\u001f\\u007f\"");
    assert_written("\xc2\x9b\xc2\xa0", 4, "\"\\u009b\xc2\xa0\"");
    assert_written("\xe6\x97\xa5\xf0\x9f\x98\x80", 7, "\"\xe6\x97\xa5\xf0\x9f\x98\x80\"");
}

static void bytes_that_are_not_utf8_take_the_tagged_form(void **state)
{
    assert_written("\xff", 1, "{\"bytes\":\"/w==\"}");
    assert_written("\xff\xfe", 2, "{\"bytes\":\"//4=\"}");
    assert_written("\xff\xfe\xfd", 3, "{\"bytes\":\"//79\"}");
    assert_written("ok\xc0\xaf", 4, "{\"bytes\":\"b2vArw==\"}");
    assert_written("\xed\xa0\x80"
                   "a",
                   4, "{\"bytes\":\"7aCAYQ==\"}");
}

static void doubles_are_short_exact_and_always_json(void **state)
{
    static const struct {
        double v;
        const char *s;
    } cases[] = {{0, "0"},          {1.5, "1.5"},    {0.1, "0.1"},  {-2, "-2"},
                 {1e300, "1e+300"}, {1.0 / 3, NULL}, {NAN, "null"}, {INFINITY, "null"}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(100);
        struct json_writer w = JSON_WRITER(&b);
        json_array_begin(&w);
        json_put_double(&w, cases[i].v);
        json_array_end(&w);
        _cleanup_(json_freep) struct json *back = parse(buf_str(&b));
        if (isfinite(cases[i].v))
            assert_true(json_number(json_at(back, 0), 7) == cases[i].v);
        _cleanup_free_ char *expect = mem_printf("[%s]", cases[i].s ? cases[i].s : "");
        if (cases[i].s)
            assert_string_equal(buf_str(&b), expect);
    }
}

static void writing_past_the_limit_stops_and_is_known_at_the_end(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    struct json_writer w = JSON_WRITER(&b);
    json_array_begin(&w);
    for (int i = 0; i < 100; i++)
        json_put_string(&w, "abc\n\xff");
    json_array_end(&w);
    assert_int_equal(b.failed, -EMSGSIZE);
    assert_true(b.len <= 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_is_read),
        cmocka_unit_test(the_wrong_type_and_nothing_give_the_other_value),
        cmocka_unit_test(an_object_is_walked_once_through),
        cmocka_unit_test(a_nul_in_a_string_shows_in_its_length),
        cmocka_unit_test(the_integers_of_64_bits_are_exact),
        cmocka_unit_test(malformed_text_is_refused_with_its_place),
        cmocka_unit_test(a_nul_byte_in_the_text_is_refused),
        cmocka_unit_test(the_words_of_an_error_carry_no_raw_bytes),
        cmocka_unit_test(the_text_need_not_end_with_a_nul),
        cmocka_unit_test(depth_32_is_read_and_33_is_not),
        cmocka_unit_test(values_are_counted_exactly_and_keys_are_not),
        cmocka_unit_test(a_bomb_of_values_is_refused_before_it_is_parsed),
        cmocka_unit_test(commas_and_colons_come_by_themselves),
        cmocka_unit_test(strings_are_escaped_and_read_back),
        cmocka_unit_test(bytes_that_are_not_utf8_take_the_tagged_form),
        cmocka_unit_test(doubles_are_short_exact_and_always_json),
        cmocka_unit_test(writing_past_the_limit_stops_and_is_known_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
