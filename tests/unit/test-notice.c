/* SPDX-License-Identifier: MIT */
/* The words for the agent: bounded, escaped, always with the id. */
#include "core/notice.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "fakes/fakes.h"

static void check_lines(const char *text)
{
    assert_true(strlen(text) < 8192);
    for (const char *s = text; *s; s = strchr(s, '\n') + 1) {
        assert_true(str_starts(s, "clawrden: "));
        assert_non_null(strchr(s, '\n'));
    }
    for (const char *s = text; *s; s++)
        assert_true((unsigned char)*s >= ' ' || *s == '\n');
}

static void nothing_in_them_acts_on_a_terminal_or_hides_the_id(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "ls");
    char *evil = test_malloc(0x10000);
    memset(evil, 0x1b, 0x10000);
    evil[0xffff] = '\0';
    strcpy(r->id_text, "0190-id");
    r->judged = (struct policy_decision){.rule_name = evil, .reason = evil, .instead = evil};
    memset(r->why, '\n', sizeof(r->why) - 1);
    memset(r->answer.approver, '\r', sizeof(r->answer.approver) - 1);
    memset(r->answer.comment, 0x80, sizeof(r->answer.comment) - 1);
    for (int d = DECISION_NONE; d <= DECISION_INTERRUPTED; d++) {
        _cleanup_buf_ struct buf out = BUF_INIT(NOTICE_MAX);
        r->decision = (enum decision)d;
        notice_refused(r, &out);
        assert_int_equal(out.failed, 0);
        check_lines(buf_str(&out));
        assert_true(str_ends(buf_str(&out), "clawrden: request 0190-id\n"));
    }
    test_free(evil);
}

static void a_long_text_is_cut_where_a_character_ends(void **state)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1000);
    notice_put(&out, "ab\xc3\xa9\xc3\xa9", 3);
    assert_string_equal(buf_str(&out), "ab...");
    buf_clear(&out);
    notice_put(&out, "ab\xc3\xa9", 4);
    assert_string_equal(buf_str(&out), "ab\xc3\xa9");
    buf_clear(&out);
    notice_put(&out, "\n\n\n", 5); /* grows while it is escaped */
    assert_true(out.len <= 8);
    assert_true(str_ends(buf_str(&out), "..."));
}

static void a_record_that_failed_is_named_as_the_cause(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "ls");
    _cleanup_buf_ struct buf out = BUF_INIT(NOTICE_MAX);
    notice_unrecorded(r, "no space left on device", &out);
    check_lines(buf_str(&out));
    assert_non_null(strstr(buf_str(&out), "no space left on device"));
}

static void a_line_that_does_not_fit_behind_the_end_is_left_out(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "ls");
    r->judged.timeout = 30 * SEC;
    memset(r->end.text, 'x', sizeof(r->end.text) - 20);
    notice_timed_out(r);
    assert_int_equal(strlen(r->end.text), sizeof(r->end.text) - 20);
    r->end.text[0] = '\0';
    notice_timed_out(r);
    check_lines(r->end.text);
    notice_killed(r, "ended by ana");
    check_lines(r->end.text);
    assert_true(str_ends(r->end.text, "clawrden: ended by ana\n"));
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(nothing_in_them_acts_on_a_terminal_or_hides_the_id),
        T(a_long_text_is_cut_where_a_character_ends),
        T(a_record_that_failed_is_named_as_the_cause),
        T(a_line_that_does_not_fit_behind_the_end_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
