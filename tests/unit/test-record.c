/* SPDX-License-Identifier: MIT */
/* Records as lines: the exact form, what is not one, the hash with and without a key, and reading
 * members without a parser. */
#include "store/record.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "store-help.h"

static void hex_sha256(const char *s, size_t n, char out[65])
{
    unsigned char md[32];
    unsigned len = 0;
    assert_int_equal(EVP_Digest(s, n, md, &len, EVP_sha256(), NULL), 1);
    str_hex(md, 32, out);
}

static void build(struct buf *out, const char *members, char hash[65])
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    assert_int_equal(record_build(out, h, 7, record_hash_none, members, strlen(members), hash), 0);
}

static void a_line_has_exactly_the_documented_form(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65], expected[65];
    build(&out, "\"event\":\"x\"", hash);
    const char *begin =
        "{\"v\":1,\"seq\":7,\"prev\":\""
        "0000000000000000000000000000000000000000000000000000000000000000\",\"event\":\"x\"";
    hex_sha256(begin, strlen(begin), expected);
    _cleanup_free_ char *line = mem_printf("%s,\"hash\":\"%s\"}\n", begin, expected);
    assert_string_equal(out.data, line);
    assert_string_equal(hash, expected);
}

static void the_golden_line_stays_as_it_is(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65];
    build(&out,
          "\"time\":\"2026-01-31T08:15:00.000000000Z\",\"event\":\"decision\",\"args\":[\"a\"]",
          hash);
    assert_string_equal(
        out.data,
        "{\"v\":1,\"seq\":7,\"prev\":\""
        "0000000000000000000000000000000000000000000000000000000000000000\",\"time\":"
        "\"2026-01-31T08:15:00.000000000Z\",\"event\":\"decision\",\"args\":[\"a\"],\"hash\":\""
        "450506382689f8122bd637ca69b981c0f98a0de20cf8000e7fb23ce5af9f0113\"}\n");
}

static void a_line_comes_apart_into_what_it_was_built_from(void **state)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65];
    struct record r;
    build(&out, "\"event\":\"x\",\"hash\":\"mine\"", hash);
    assert_int_equal(record_split(out.data, out.len - 1, &r), 0);
    assert_int_equal(r.seq, 7);
    assert_string_equal(r.prev, record_hash_none);
    assert_string_equal(r.hash, hash);
    assert_int_equal(r.members_len, strlen("\"event\":\"x\",\"hash\":\"mine\""));
    assert_true(record_intact(h, out.data, &r));
}

static void each_changed_byte_is_noticed(void **state)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65];
    build(&out, "\"event\":\"x\",\"args\":[\"-rf\",\"/\"]", hash);
    for (size_t i = 0; i + 1 < out.len; i++) {
        struct record r;
        out.data[i] ^= 1;
        assert_false(record_split(out.data, out.len - 1, &r) == 0 &&
                     record_intact(h, out.data, &r));
        out.data[i] ^= 1;
    }
}

static void what_is_cut_anywhere_is_no_record(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65];
    struct record r;
    build(&out, "\"event\":\"x\"", hash);
    for (size_t n = 0; n + 1 < out.len; n++) {
        _cleanup_free_ char *copy = mem_dup(out.data, n); /* so that ASan sees a read too far */
        assert_int_equal(record_split(copy, n, &r), -EBADMSG);
    }
}

static void members_may_not_be_empty_or_more_than_a_line(void **state)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char hash[65];
    assert_int_equal(record_build(&out, h, 1, record_hash_none, "", 0, hash), -EINVAL);
    assert_int_equal(record_build(&out, h, 1, record_hash_none, "\"a\":1\n", 6, hash), -EINVAL);
    assert_int_equal(out.len, 0);
}

static void what_is_too_long_is_refused(void **state)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_buf_ struct buf out = BUF_INIT(200);
    char hash[65], members[400];
    memset(members, 'a', sizeof(members));
    assert_int_equal(record_build(&out, h, 1, record_hash_none, members, sizeof(members), hash),
                     -EMSGSIZE);
}

static void with_a_key_the_hash_is_hmac(void **state)
{
    struct help *t = help_new("test-record");
    _cleanup_free_ char *key = path_join(t->dir, "key");
    help_write(key, "0123456789abcdef0123456789abcdef\n", 33);
    _cleanup_(record_hasher_freep) struct record_hasher *h = NULL;
    assert_int_equal(record_hasher_load(key, &h, NULL), 0);
    assert_true(record_hasher_keyed(h));
    _cleanup_(record_hasher_freep) struct record_hasher *copy = record_hasher_dup(h);
    unsigned char md[32];
    char expected[65], got[65];
    assert_non_null(HMAC(EVP_sha256(), "0123456789abcdef0123456789abcdef", 32, (const void *)"abc",
                         3, md, NULL));
    str_hex(md, 32, expected);
    for (int i = 0; i < 3; i++) { /* the key stays in it */
        record_hash(i == 1 ? copy : h, "abc", 3, got);
        assert_string_equal(got, expected);
    }
    help_free(t);
}

static void a_key_that_is_no_secret_is_refused(void **state)
{
    struct help *t = help_new("test-record");
    _cleanup_free_ char *key = path_join(t->dir, "key");
    struct record_hasher *h = NULL;
    struct err err = {0};
    assert_int_equal(record_hasher_load(key, &h, &err), -ENOENT);
    help_write(key, "too short\n", 10);
    assert_int_equal(record_hasher_load(key, &h, &err), -EINVAL);
    help_write(key, "0123456789abcdef0123456789abcdef\n", 33);
    assert_int_equal(chmod(key, 0604), 0);
    assert_int_equal(record_hasher_load(key, &h, &err), -EACCES);
    assert_non_null(strstr(err.text, "0604"));
    assert_null(h);
    help_free(t);
}

static void assert_field(const char *members, const char *key, const char *expected)
{
    const char *v = NULL;
    size_t n = 0;
    bool there = record_field(members, strlen(members), key, &v, &n);
    if (!expected) {
        assert_false(there);
        return;
    }
    assert_true(there);
    assert_int_equal(n, strlen(expected));
    assert_memory_equal(v, expected, n);
}

static void members_are_found_at_the_top_level_only(void **state)
{
    const char *m = "\"a\":{\"id\":\"wrong\",\"x\":[1,2]},\"args\":[\"\\\",\\\"id\\\":\",\"}\"],"
                    "\"id\":\"right\",\"n\":12,\"id\":\"second\"";
    assert_field(m, "id", "\"right\"");
    assert_field(m, "n", "12");
    assert_field(m, "a", "{\"id\":\"wrong\",\"x\":[1,2]}");
    assert_field(m, "x", NULL);
    assert_field(m, "", NULL);
}

static void broken_members_are_read_without_harm(void **state)
{
    static const char *const broken[] = {"",         "\"",          "\"a",        "\"a\"",
                                         "\"a\":",   "\"a\":\"",    "\"a\":\"\\", "\"a\":[[[",
                                         "\"a\":}}", "\"a\":1,",    "\"a\":1,,",  "x",
                                         "\\",       "\"a\":\"b\\", "\"a\\",      "{}"};
    for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
        size_t n = strlen(broken[i]);
        _cleanup_free_ char *copy = mem_dup(broken[i], n);
        const char *v;
        size_t len;
        assert_false(record_field(copy, n, "zz", &v, &len));
        (void)record_field(copy, n, "a", &v, &len);
    }
}

static void a_text_member_is_copied_only_when_it_is_plain_and_fits(void **state)
{
    static const char m[] =
        "\"a\":\"abc\",\"b\":\"a\\nb\",\"c\":5,\"d\":\"1234567\",\"e\":\"a\0b\"";
    size_t n = sizeof(m) - 1;
    char out[8];
    assert_true(record_field_copy(m, n, "a", out, sizeof(out)));
    assert_string_equal(out, "abc");
    assert_true(record_field_copy(m, n, "d", out, sizeof(out)));
    assert_false(record_field_copy(m, n, "d", out, 7));
    assert_string_equal(out, "");
    assert_false(record_field_copy(m, n, "b", out, sizeof(out)));
    assert_false(record_field_copy(m, n, "c", out, sizeof(out)));
    assert_false(record_field_copy(m, n, "e", out, sizeof(out))); /* it would read as "a" */
    assert_true(record_field_is(m, n, "a", "abc"));
    assert_false(record_field_is(m, n, "a", "ab"));
    assert_int_equal(record_field_u64(m, n, "c", 9), 5);
    assert_int_equal(record_field_u64(m, n, "a", 9), 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_exactly_the_documented_form),
        cmocka_unit_test(the_golden_line_stays_as_it_is),
        cmocka_unit_test(a_line_comes_apart_into_what_it_was_built_from),
        cmocka_unit_test(each_changed_byte_is_noticed),
        cmocka_unit_test(what_is_cut_anywhere_is_no_record),
        cmocka_unit_test(members_may_not_be_empty_or_more_than_a_line),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(with_a_key_the_hash_is_hmac),
        cmocka_unit_test(a_key_that_is_no_secret_is_refused),
        cmocka_unit_test(members_are_found_at_the_top_level_only),
        cmocka_unit_test(broken_members_are_read_without_harm),
        cmocka_unit_test(a_text_member_is_copied_only_when_it_is_plain_and_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
