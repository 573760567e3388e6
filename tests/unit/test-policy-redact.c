/* SPDX-License-Identifier: MIT */
#include "policy-case.h"

#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static bool redact(const char *policy, const char *text, size_t n, struct buf *out)
{
    struct policy *p = policy_case_parse(policy);
    buf_init(out, 1 << 20);
    bool r = policy_redact(p, text, n, out);
    if (!r) {
        assert_int_equal(out->len, 0);
        (void)buf_append(out, text, n);
    }
    policy_unref(p);
    return r;
}

static void check(const char *policy, const char *text, bool hit, const char *wanted)
{
    struct buf out;
    assert_int_equal(redact(policy, text, strlen(text), &out), hit);
    assert_string_equal(buf_str(&out), wanted);
    buf_done(&out);
}

static void a_match_becomes_a_mask_with_its_digest(void **state)
{
    (void)state;
    check("redact: ['tok_[a-z]+']\n", "x tok_abc y", true, "x [redacted:26cfed50] y");
    check("redact: ['tok_[a-c]+']\n", "tok_abctok_abc", true, "[redacted:11b0527a]");
    check("redact: ['tok_[a-z]+']\n", "nothing", false, "nothing");
    check("redact: ['x*']\n", "abc", false, "abc"); /* empty matches hide nothing */
    check("rules: []\n", "tok_abc", false, "tok_abc");
    check("redact: [a]\n", "", false, "");
}

static void overlapping_matches_are_one(void **state)
{
    (void)state;
    struct buf out;
    assert_true(redact("redact: [abcd, cdef, ef]\n", "xabcdefy", 8, &out));
    assert_true(str_starts(buf_str(&out), "x[redacted:"));
    assert_true(str_ends(buf_str(&out), "]y"));
    assert_int_equal(out.len, strlen("x[redacted:01234567]y"));
    buf_done(&out);
}

static void bytes_that_are_no_text_do_not_hide_a_secret(void **state)
{
    (void)state;
    struct buf out;
    assert_true(redact("redact: ['tok_[a-z]+']\n", "\xff\xfe tok_abc", 10, &out));
    assert_null(strstr(buf_str(&out), "tok_"));
    assert_true(str_starts(buf_str(&out), "\xff\xfe [redacted:"));
    buf_done(&out);
}

static void what_cannot_be_searched_is_masked_whole(void **state)
{
    (void)state;
    struct buf out;
    char hard[200];
    memset(hard, 'a', sizeof(hard));
    hard[sizeof(hard) - 1] = '!';
    assert_true(redact("redact: ['(a|aa)+$']\n", hard, sizeof(hard), &out));
    assert_int_equal(out.len, strlen("[redacted:01234567]"));
    buf_done(&out);
    size_t n = 200000;
    char *large = mem_zalloc(n);
    memset(large, 'x', n);
    assert_true(redact("redact: [y]\n", large, n, &out));
    assert_int_equal(out.len, strlen("[redacted:01234567]"));
    buf_done(&out);
    memset(large, 'y', 50000);
    assert_true(redact("redact: ['y(?=y)']\n", large, 50000, &out)); /* too many matches */
    assert_int_equal(out.len, strlen("[redacted:01234567]"));
    buf_done(&out);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_becomes_a_mask_with_its_digest),
        cmocka_unit_test(overlapping_matches_are_one),
        cmocka_unit_test(bytes_that_are_no_text_do_not_hide_a_secret),
        cmocka_unit_test(what_cannot_be_searched_is_masked_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
