/* SPDX-License-Identifier: MIT */
/* Strings: UTF-8, making bytes visible, quoting for a shell (asked of a shell), durations. */
#include "base/str.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void equality_prefix_suffix_and_base_name(void **state)
{
    assert_true(str_eq("a", "a"));
    assert_false(str_eq("a", "b"));
    assert_true(str_eq(NULL, NULL));
    assert_false(str_eq(NULL, ""));
    assert_false(str_eq("", NULL));
    assert_true(str_starts("abc", "ab"));
    assert_true(str_starts("abc", ""));
    assert_false(str_starts("ab", "abc"));
    assert_true(str_ends("abc", "bc"));
    assert_true(str_ends("abc", ""));
    assert_false(str_ends("bc", "abc"));
    assert_string_equal(str_basename("/usr/bin/git"), "git");
    assert_string_equal(str_basename("git"), "git");
    assert_string_equal(str_basename("dir/"), "");
}

/* ---- UTF-8 ---- */

static void valid_sequences_give_their_code_point(void **state)
{
    static const struct {
        const char *s;
        size_t len;
        uint32_t c;
    } cases[] = {
        {"a", 1, 'a'},
        {"\x7f", 1, 0x7f},
        {"\xc2\x80", 2, 0x80},
        {"\xdf\xbf", 2, 0x7ff},
        {"\xe0\xa0\x80", 3, 0x800},
        {"\xed\x9f\xbf", 3, 0xd7ff},
        {"\xee\x80\x80", 3, 0xe000},
        {"\xef\xbf\xbf", 3, 0xffff},
        {"\xf0\x90\x80\x80", 4, 0x10000},
        {"\xf4\x8f\xbf\xbf", 4, 0x10ffff},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint32_t c = 0;
        assert_int_equal(str_utf8_next(cases[i].s, strlen(cases[i].s), &c), cases[i].len);
        assert_int_equal(c, cases[i].c);
        assert_true(str_utf8_valid(cases[i].s, cases[i].len));
        for (size_t n = 0; n < cases[i].len; n++) /* cut short */
            assert_int_equal(str_utf8_next(cases[i].s, n, NULL), 0);
    }
    uint32_t nul = 7;
    assert_int_equal(str_utf8_next("\0", 1, &nul), 1);
    assert_int_equal(nul, 0);
}

static void what_rfc_3629_forbids_is_invalid(void **state)
{
    static const char *const bad[] = {
        "\x80", /* a continuation alone */
        "\xbf",
        "\xc0\x80", /* overlong NUL */
        "\xc0\xaf", /* overlong '/' */
        "\xc1\xbf",
        "\xe0\x80\xaf", /* overlong '/' again */
        "\xe0\x9f\xbf",
        "\xf0\x80\x80\xaf",
        "\xf0\x8f\xbf\xbf",
        "\xed\xa0\x80", /* surrogates */
        "\xed\xbf\xbf",
        "\xf4\x90\x80\x80", /* U+110000 */
        "\xf5\x80\x80\x80",
        "\xf8\x88\x80\x80\x80",
        "\xfe",
        "\xff",
        "\xc2"
        "a", /* no continuation */
        "\xe2\x82"
        "a",
        "\xe2"
        "a\x82",
        "\xf0\x90\x80"
        "a",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint32_t c = 7;
        assert_int_equal(str_utf8_next(bad[i], strlen(bad[i]), &c), 0);
        assert_int_equal(c, 7);
        assert_false(str_utf8_valid(bad[i], strlen(bad[i])));
    }
    assert_true(str_utf8_valid("", 0));
    assert_false(str_utf8_valid("good\xff", 5));
}

/* Each byte value at each place of a word, and around it. */
static void what_is_plain_is_counted_byte_for_byte(void **state)
{
    char text[41];
    for (unsigned c = 0; c < 256; c++) {
        bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
        for (size_t at = 0; at < sizeof(text); at++) {
            memset(text, '~', sizeof(text));
            text[at] = (char)c;
            assert_int_equal(str_plain(text, sizeof(text)), plain ? sizeof(text) : at);
            assert_int_equal(str_utf8_valid(text, sizeof(text)), c < 0x80);
        }
    }
    assert_int_equal(str_plain("", 0), 0);
}

/* ---- making bytes visible ---- */

static void assert_escaped(const char *s, size_t n, const char *expect)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1000);
    assert_int_equal(str_escape(&b, s, n), 0);
    assert_string_equal(buf_str(&b), expect);
}

static void visible_text_stays(void **state)
{
    assert_escaped("rm -rf 'x' \"y\" ~", 16, "rm -rf 'x' \"y\" ~");
    assert_escaped("gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80", 15,
                   "gr\xc3\xbc\xc3\x9f \xe6\x97\xa5 \xf0\x9f\x98\x80");
    assert_escaped("", 0, "");
}

static void what_acts_or_hides_becomes_visible(void **state)
{
    static const char *const cases[][2] = {
        {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
        {"\x1b[2J", "\\e[2J"},
        {"\x01\x7f", "\\x01\\x7f"},
        {"a\\n", "a\\\\n"},
        {"\xc2\x9b"
         "2J",
         "\\u{009b}2J"},                     /* CSI of C1 */
        {"\xff\xc0\xaf", "\\xff\\xc0\\xaf"}, /* not UTF-8 */
        {"\xe2\x80\xae"
         "txt",
         "\\u{202e}txt"},                                   /* right to left */
        {"\xe2\x81\xa6", "\\u{2066}"},                      /* isolate */
        {"\xd8\x9c", "\\u{061c}"},                          /* Arabic letter mark */
        {"\xe2\x80\x8b\xe2\x80\x8d", "\\u{200b}\\u{200d}"}, /* zero width */
        {"\xef\xbb\xbf", "\\u{feff}"},                      /* byte order mark */
        {"\xc2\xad", "\\u{00ad}"},                          /* soft hyphen */
        {"\xe2\x80\xa8\xe2\x80\xa9", "\\u{2028}\\u{2029}"}, /* line and paragraph */
        {"\xc2\xa0", "\\u{00a0}"},                          /* blanks that are none */
        {"\xe3\x80\x80", "\\u{3000}"},
        {"\xe3\x85\xa4", "\\u{3164}"},      /* Hangul filler */
        {"\xf3\xa0\x81\xa1", "\\u{e0061}"}, /* tags */
        {"\xef\xb8\x8f", "\\u{fe0f}"},      /* variation selector */
        {"\xee\x80\x80", "\\u{e000}"},      /* private use */
        {"\xef\xbf\xbf", "\\u{ffff}"},      /* noncharacters */
        {"\xf0\x9f\xbf\xbe", "\\u{1fffe}"},
        {"\xf4\x8f\xbf\xbf", "\\u{10ffff}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_escaped(cases[i][0], strlen(cases[i][0]), cases[i][1]);
    assert_escaped("a\0b", 3, "a\\x00b");
}

static void escaping_past_the_limit_is_an_error(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(5);
    assert_int_equal(str_escape(&b, "abc\x01", 4), -EMSGSIZE);
}

/* ---- quoting ---- */

static void quoting_is_as_small_as_it_can_be(void **state)
{
    static const char *const cases[][2] = {
        {"git", "git"},
        {"--opt=a,b", "--opt=a,b"},
        {"/usr/bin/x_1-2.3:4+5@6%", "/usr/bin/x_1-2.3:4+5@6%"},
        {"", "''"},
        {"a b", "'a b'"},
        {"A=b", "'A=b'"}, /* as a first word it would be an assignment */
        {"it's", "'it'\\''s'"},
        {"$(x)`y`", "'$(x)`y`'"},
        {"~", "'~'"},
        {"*", "'*'"},
        {"a\\b", "'a\\b'"},
        {"\xc3\xbc", "'\xc3\xbc'"},
        {"a\nb", "$'a\\nb'"},
        {"it's\n", "$'it\\'s\\n'"},
        {"\\\x1b", "$'\\\\\\e'"},
        {"\x01"
         "1",
         "$'\\0011'"},
        {"\xff", "$'\\377'"},
        {"\xe2\x80\xae", "$'\\342\\200\\256'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf b = BUF_INIT(1000);
        assert_int_equal(str_shell_quote(&b, cases[i][0], strlen(cases[i][0])), 0);
        assert_string_equal(buf_str(&b), cases[i][1]);
    }
}

static void an_argv_is_joined_and_its_command_is_never_grammar(void **state)
{
    static const char *const argv[] = {"if", "in", "a b", ""};
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    assert_int_equal(str_shell_quote_argv(&b, argv, 4), 0);
    assert_string_equal(buf_str(&b), "'if' in 'a b' ''");
    _cleanup_buf_ struct buf none = BUF_INIT(100);
    assert_int_equal(str_shell_quote_argv(&none, NULL, 0), 0);
    assert_string_equal(buf_str(&none), "");
    _cleanup_buf_ struct buf small = BUF_INIT(3);
    assert_int_equal(str_shell_quote_argv(&small, argv, 4), -EMSGSIZE);
}

/* What bash reads from the quoted form of `s`. */
static void ask_shell(const char *s, size_t n, struct buf *ret)
{
    _cleanup_buf_ struct buf command = BUF_INIT(10000);
    assert_int_equal(buf_append_str(&command, "printf %s "), 0);
    assert_int_equal(str_shell_quote(&command, s, n), 0);
    _cleanup_free_ char *outer = mem_printf("exec bash -c \"$SCRIPT\"");
    assert_int_equal(setenv("SCRIPT", buf_str(&command), 1), 0);
    FILE *f = popen(outer, "r");
    assert_non_null(f);
    assert_int_equal(fd_read_all(fileno(f), ret), 0);
    assert_int_equal(pclose(f), 0);
}

static void a_shell_reads_back_every_byte_beside_every_byte(void **state)
{
    char all[255 * 2 + 255];
    size_t n = 0;
    for (int i = 1; i < 256; i++) {
        all[n++] = (char)i;
        all[n++] = "a7f\\'"[i % 5]; /* neighbours that a greedy escape would swallow */
    }
    for (int i = 255; i > 0; i--)
        all[n++] = (char)i;
    _cleanup_buf_ struct buf back = BUF_INIT(10000);
    ask_shell(all, n, &back);
    assert_int_equal(back.len, n);
    assert_memory_equal(back.data, all, n);
}

static void a_shell_reads_back_printable_text(void **state)
{
    static const char *const cases[] = {
        "plain",
        "",
        "a b",
        "it's",
        "''",
        "$HOME",
        "!x",
        "#",
        "{a,b}",
        "~root",
        "\"",
        "a\\",
        "-n",
        "=ls",
        "\342\200\2567",
        "gr\xc3\xbc\xc3\x9f",
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf back = BUF_INIT(100);
        ask_shell(cases[i], strlen(cases[i]), &back);
        assert_string_equal(buf_str(&back), cases[i]);
    }
}

/* ---- durations and numbers ---- */

static void durations_are_read(void **state)
{
    static const struct {
        const char *s;
        uint64_t ms;
    } cases[] = {
        {"0s", 0},
        {"90s", 90000},
        {"15m", 900000},
        {"1h30m", 5400000},
        {"500ms", 500},
        {"1s500ms", 1500},
        {"1d", 86400000},
        {"0d0h0m0s1ms", 1},
        {"007m", 420000},
        {"1m1ms", 60001},
        {"2d3h4m5s6ms", 183845006},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint64_t ns = 7;
        assert_int_equal(str_parse_duration(cases[i].s, &ns, NULL), 0);
        assert_int_equal(ns, cases[i].ms * CLOCK_NS_PER_MS);
    }
}

static void what_is_not_a_duration_is_refused_with_words(void **state)
{
    static const char *const bad[] = {
        "",   "s",   "60",    "1h30", "-1s",   "+1s",  " 1s",  "1s ",  "1 s",  "1.5s", "1S",
        "1x", "1hm", "30m1h", "1m1m", "1ms1s", "1s1s", "1min", "0x1s", "1e3s", "1us",  "1ns",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t ns = 7;
        struct err err = {0};
        if (str_parse_duration(bad[i], &ns, &err) != -EINVAL)
            fail_msg("'%s' was read", bad[i]);
        assert_int_equal(ns, 7);
        assert_non_null(strstr(err.text, "is not a duration"));
    }
}

static void a_duration_past_64_bits_is_out_of_range(void **state)
{
    static const char *const bad[] = {"213504d", "18446744073710s", "99999999999999999999999ms",
                                      "213503d23h34m33s710ms"};
    uint64_t ns = 7;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = {0};
        assert_int_equal(str_parse_duration(bad[i], &ns, &err), -ERANGE);
        assert_string_not_equal(err.text, "");
    }
    assert_int_equal(ns, 7);
    assert_int_equal(str_parse_duration("213503d23h34m33s709ms", &ns, NULL), 0);
}

static void durations_are_written_and_read_back(void **state)
{
    static const struct {
        uint64_t ns;
        const char *s;
    } cases[] = {
        {0, "0s"},
        {999999, "0s"},
        {250 * CLOCK_NS_PER_MS, "250ms"},
        {900 * CLOCK_NS_PER_SEC, "15m"},
        {5400 * CLOCK_NS_PER_SEC, "1h30m"},
        {90 * CLOCK_NS_PER_SEC, "1m30s"},
        {86400 * CLOCK_NS_PER_SEC, "1d"},
        {UINT64_MAX, "213503d23h34m33s709ms"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char out[48];
        assert_string_equal(str_format_duration(cases[i].ns, out), cases[i].s);
        uint64_t back;
        assert_int_equal(str_parse_duration(out, &back, NULL), 0);
        assert_int_equal(back, cases[i].ns - cases[i].ns % CLOCK_NS_PER_MS);
    }
}

static void numbers_are_plain_digits_up_to_the_maximum(void **state)
{
    uint64_t v = 7;
    assert_int_equal(str_parse_u64("0", 10, &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(str_parse_u64("18446744073709551615", UINT64_MAX, &v), 0);
    assert_int_equal(v, UINT64_MAX);
    assert_int_equal(str_parse_u64("0010", 10, &v), 0);
    assert_int_equal(v, 10);
    assert_int_equal(str_parse_u64("11", 10, &v), -ERANGE);
    assert_int_equal(str_parse_u64("18446744073709551616", UINT64_MAX, &v), -ERANGE);
    assert_int_equal(str_parse_u64("99999999999999999999999", UINT64_MAX, &v), -ERANGE);
    static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "1x", "0x10", "1.0"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_parse_u64(bad[i], UINT64_MAX, &v), -EINVAL);
    assert_int_equal(v, 10);
}

/* ---- did you mean, hexadecimal ---- */

static void the_nearest_word_is_offered_only_when_it_is_near(void **state)
{
    static const char *const words[] = {"approve", "deny", "queue", "run", "history", NULL};
    assert_string_equal(str_nearest("aprove", words), "approve");
    assert_string_equal(str_nearest("apporve", words), "approve"); /* neighbours swapped */
    assert_string_equal(str_nearest("dney", words), "deny");
    assert_string_equal(str_nearest("qeueu", words), "queue");
    assert_string_equal(str_nearest("histroy", words), "history");
    assert_string_equal(str_nearest("deny", words), "deny");
    assert_null(str_nearest("rm", words)); /* one edit is half of it */
    assert_null(str_nearest("appr", words));
    assert_null(str_nearest("", words));
    assert_null(str_nearest("something", words));
    static const char *const none[] = {NULL};
    assert_null(str_nearest("deny", none));
    char longer[200];
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    const char *const same[] = {longer, NULL};
    assert_null(str_nearest(longer, same)); /* nobody mistypes that */
    longer[64] = '\0';
    assert_ptr_equal(str_nearest(longer, same), longer);
}

static void hexadecimal_goes_both_ways_and_is_exact(void **state)
{
    char text[9];
    str_hex("\x00\x7f\xab\xff", 4, text);
    assert_string_equal(text, "007fabff");
    unsigned char back[4] = {7, 7, 7, 7};
    static const char *const bad[] = {"",         "007fabf",  "007fabff0",
                                      "007fabfg", "007fab f", "0x7fabff"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(str_unhex(bad[i], back, 4), -EINVAL);
    assert_memory_equal(back, "\7\7\7\7", 4);
    assert_int_equal(str_unhex("007fABff", back, 4), 0);
    assert_memory_equal(back, "\x00\x7f\xab\xff", 4);
    assert_int_equal(str_unhex("", back, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equality_prefix_suffix_and_base_name),
        cmocka_unit_test(valid_sequences_give_their_code_point),
        cmocka_unit_test(what_rfc_3629_forbids_is_invalid),
        cmocka_unit_test(what_is_plain_is_counted_byte_for_byte),
        cmocka_unit_test(visible_text_stays),
        cmocka_unit_test(what_acts_or_hides_becomes_visible),
        cmocka_unit_test(escaping_past_the_limit_is_an_error),
        cmocka_unit_test(quoting_is_as_small_as_it_can_be),
        cmocka_unit_test(an_argv_is_joined_and_its_command_is_never_grammar),
        cmocka_unit_test(a_shell_reads_back_every_byte_beside_every_byte),
        cmocka_unit_test(a_shell_reads_back_printable_text),
        cmocka_unit_test(durations_are_read),
        cmocka_unit_test(what_is_not_a_duration_is_refused_with_words),
        cmocka_unit_test(a_duration_past_64_bits_is_out_of_range),
        cmocka_unit_test(durations_are_written_and_read_back),
        cmocka_unit_test(numbers_are_plain_digits_up_to_the_maximum),
        cmocka_unit_test(the_nearest_word_is_offered_only_when_it_is_near),
        cmocka_unit_test(hexadecimal_goes_both_ways_and_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
