/* SPDX-License-Identifier: MIT */
/* What the warden says, made safe: no byte of an agent acts on a terminal, none is lost. */
#include "cli/show.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct json *root;

static const struct json *parse(const char *text)
{
    struct err err;
    root = json_free(root);
    assert_int_equal(json_parse(text, strlen(text), 1000, &root, &err), 0);
    return root;
}

static int forget(void **state)
{
    root = json_free(root);
    return 0;
}

#define CHECK(got, expected)                                                                       \
    do {                                                                                           \
        char *got_ = (got);                                                                        \
        assert_string_equal(got_, expected);                                                       \
        free(got_);                                                                                \
    } while (0)

static void a_command_is_quoted_for_a_shell(void **state)
{
    CHECK(show_command(parse("{\"command\":\"git\",\"args\":[\"push\",\"a b\",\"\",\"it's\"]}")),
          "git push 'a b' '' 'it'\\''s'");
    CHECK(show_command(parse("{\"command\":\"ls\"}")), "ls");
    CHECK(show_command(parse("{\"command\":\"rm\",\"args\":[{\"bytes\":\"/w==\"}]}")),
          "rm $'\\377'");
}

static void nothing_in_a_command_acts_on_a_terminal(void **state)
{
    CHECK(show_command(
              parse("{\"command\":\"rm\",\"args\":[\"a\\nb\",\"\\u001b[2J\",\"\\u202ex\"]}")),
          "rm $'a\\nb' $'\\e[2J' $'\\342\\200\\256x'");
    CHECK(show_command(parse("{\"command\":\"\\u001b]0;x\\u0007\",\"args\":[]}")),
          "$'\\e]0;x\\007'");
}

static void piled_up_marks_are_told_apart(void **state)
{
    CHECK(show_text(parse("{\"a\":\"e\\u0301\"}"), "a"), "e\xcc\x81");
    CHECK(show_text(parse("{\"a\":\"e\\u0301\\u0301\\u0301\\u0301x\"}"), "a"),
          "e\xcc\x81\xcc\x81\\u{0301}\\u{0301}x");
}

static void what_is_left_out_is_said(void **state)
{
    CHECK(show_command(parse("{\"command\":\"x\",\"args_omitted\":7}")),
          "x (7 arguments, too long for a record)");
    const struct json *o =
        parse("{\"id\":\"019abcde-0000-7000-8000-00000000dead\",\"command\":\"x\","
              "\"shortened\":true,\"args_count\":9}");
    assert_true(show_is_short(o));
    CHECK(show_command(o), "x (9 arguments, too long for a list: clawrden queue 00000000dead)");
}

static void members_of_every_kind_become_text(void **state)
{
    const struct json *o = parse("{\"i\":-5,\"t\":true,\"f\":false,\"n\":null,\"s\":\"a\\\\b\","
                                 "\"o\":{},\"z\":\"a\\u0000b\"}");
    CHECK(show_text(o, "i"), "-5");
    CHECK(show_text(o, "t"), "yes");
    CHECK(show_text(o, "f"), "no");
    CHECK(show_text(o, "n"), "");
    CHECK(show_text(o, "s"), "a\\\\b");
    CHECK(show_text(o, "o"), "");
    CHECK(show_text(o, "z"), "a\\x00b");
    CHECK(show_text(o, "absent"), "");
    CHECK(show_text(NULL, "a"), "");
}

static void text_that_should_be_safe_but_is_not_is_escaped(void **state)
{
    CHECK(show_raw(parse("{\"a\":\"git 'a b' $'\\\\n'\"}"), "a"), "git 'a b' $'\\n'");
    CHECK(show_raw(parse("{\"a\":\"x\\u001b[2Jy\"}"), "a"), "x\\e[2Jy");
    CHECK(show_raw(parse("{\"a\":5}"), "a"), "");
}

/* The second byte of this letter alone is a control of 8-bit terminals. */
static void an_id_is_not_cut_inside_a_character(void **state)
{
    CHECK(show_id(parse("{\"id\":\"01a20ca8-61e8-7184-8579-f219f9a165d6\"}")), "f219f9a165d6");
    CHECK(show_id(parse("{\"id\":\"8579\xd3\x98"
                        "219f9a165d6\"}")),
          "219f9a165d6");
    CHECK(show_id(parse("{\"id\":\"x\"}")), "x");
}

static void durations_are_short(void **state)
{
    CHECK(show_duration(0), "0s");
    CHECK(show_duration(59 * CLOCK_NS_PER_SEC), "59s");
    CHECK(show_duration(61 * CLOCK_NS_PER_SEC), "1m1s");
    CHECK(show_duration(900 * CLOCK_NS_PER_SEC), "15m");
    CHECK(show_duration(7260 * CLOCK_NS_PER_SEC), "2h1m");
    CHECK(show_duration(90000 * CLOCK_NS_PER_SEC), "1d");
}

static void times_that_are_none_show_nothing(void **state)
{
    const struct json *o = parse("{\"a\":\"yesterday\",\"b\":5}");
    CHECK(show_age(o, "a"), "");
    CHECK(show_left(o, "b"), "");
    CHECK(show_time(o, "c"), "");
    CHECK(show_age(parse("{\"a\":\"2500-01-01T00:00:00Z\"}"), "a"), "0s");
    CHECK(show_left(parse("{\"a\":\"1999-01-01T00:00:00Z\"}"), "a"), "0s");
}

static void json_is_written_again_as_it_was(void **state)
{
    const char *text = "{\"id\":\"x\",\"a\":[1,-2,true,false,null,\"s\",{\"b\":[]}],\"d\":1.5}";
    struct buf b = BUF_INIT(1000);
    struct json_writer w = JSON_WRITER(&b);
    json_put_tree(&w, parse(text));
    assert_string_equal(buf_str(&b), text);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_is_quoted_for_a_shell),
        cmocka_unit_test(nothing_in_a_command_acts_on_a_terminal),
        cmocka_unit_test(piled_up_marks_are_told_apart),
        cmocka_unit_test(what_is_left_out_is_said),
        cmocka_unit_test(members_of_every_kind_become_text),
        cmocka_unit_test(text_that_should_be_safe_but_is_not_is_escaped),
        cmocka_unit_test(an_id_is_not_cut_inside_a_character),
        cmocka_unit_test(durations_are_short),
        cmocka_unit_test(times_that_are_none_show_nothing),
        cmocka_unit_test(json_is_written_again_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, forget);
}
