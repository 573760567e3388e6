/* SPDX-License-Identifier: MIT */
/* Answers: what is valid, and what a late one hears. */
#include "core/approvals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEC UINT64_C(1000000000)

static void an_answer_needs_a_name_and_a_clear_verdict(void **state)
{
    struct answer a = {.verdict = VERDICT_ALLOW, .approver = "ana"};
    struct err err = {0};
    assert_int_equal(approvals_check(&a, &err), 0);
    a.verdict = VERDICT_ASK;
    assert_int_equal(approvals_check(&a, &err), -EINVAL);
    a.verdict = (enum verdict)7;
    assert_int_equal(approvals_check(&a, &err), -EINVAL);
    a.verdict = VERDICT_DENY;
    a.approver[0] = '\0';
    assert_int_equal(approvals_check(&a, &err), -EINVAL);
    a.approver[0] = 'a';
    memset(a.comment, 'x', sizeof(a.comment)); /* no NUL */
    assert_int_equal(approvals_check(&a, &err), -EINVAL);
}

static void what_was_seen_must_be_what_waits(void **state)
{
    struct request r = {.digest = "aa11"};
    assert_int_equal(approvals_check_seen(&r, NULL, NULL), 0);
    assert_int_equal(approvals_check_seen(&r, "aa11", NULL), 0);
    assert_int_equal(approvals_check_seen(&r, "aa1", NULL), -ESTALE);
    assert_int_equal(approvals_check_seen(&r, "", NULL), -ESTALE);
    r.digest[0] = '\0'; /* nothing to compare with is no agreement */
    assert_int_equal(approvals_check_seen(&r, "", NULL), -ESTALE);
}

static void a_late_answer_hears_how_by_whom_and_when(void **state)
{
    _cleanup_(approvals_freep) struct approvals *q = approvals_new(4);
    struct err err = {0};
    approvals_remember(q, "id-1", DECISION_ASK_DENIED, "ana\n", 100 * SEC);
    assert_int_equal(approvals_recall(q, "id-1", 190 * SEC, &err), -EALREADY);
    assert_string_equal(err.text, "request id-1 was denied by ana\\n, 1m30s ago");
    approvals_remember(q, "id-2", DECISION_ASK_EXPIRED, NULL, 100 * SEC);
    assert_int_equal(approvals_recall(q, "id-2", 100 * SEC, &err), -EALREADY);
    assert_string_equal(err.text, "request id-2 ended because nobody answered in time, 0s ago");
    assert_int_equal(approvals_recall(q, "id-3", 100 * SEC, &err), -ENOENT);
}

static void the_oldest_end_makes_room(void **state)
{
    _cleanup_(approvals_freep) struct approvals *q = approvals_new(3);
    char id[16];
    for (int i = 0; i < 5; i++) {
        (void)snprintf(id, sizeof(id), "id-%d", i);
        approvals_remember(q, id, DECISION_WITHDRAWN, NULL, 1);
    }
    assert_int_equal(approvals_recall(q, "id-1", 1, NULL), -ENOENT);
    assert_int_equal(approvals_recall(q, "id-2", 1, NULL), -EALREADY);
    assert_int_equal(approvals_recall(q, "id-4", 1, NULL), -EALREADY);
}

static void an_end_told_twice_keeps_one_place(void **state)
{
    _cleanup_(approvals_freep) struct approvals *q = approvals_new(2);
    struct err err = {0};
    approvals_remember(q, "a", DECISION_WITHDRAWN, NULL, 1);
    approvals_remember(q, "b", DECISION_WITHDRAWN, NULL, 1);
    approvals_remember(q, "a", DECISION_ASK_APPROVED, "ana", 1);
    assert_int_equal(approvals_recall(q, "b", 1, &err), -EALREADY);
    assert_int_equal(approvals_recall(q, "a", 1, &err), -EALREADY);
    assert_non_null(strstr(err.text, "was approved by ana"));
}

static void what_is_answered_and_not_recorded_yet_is_late_too(void **state)
{
    struct request r = {.id_text = "id-1", .state = REQUEST_STARTING};
    struct err err = {0};
    r.answer = (struct answer){.verdict = VERDICT_ALLOW, .approver = "ana"};
    assert_int_equal(approvals_late(&r, SEC, &err), -EALREADY);
    assert_string_equal(err.text, "request id-1 was approved by ana, 0s ago");
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(an_answer_needs_a_name_and_a_clear_verdict),
        T(what_was_seen_must_be_what_waits),
        T(a_late_answer_hears_how_by_whom_and_when),
        T(the_oldest_end_makes_room),
        T(an_end_told_twice_keeps_one_place),
        T(what_is_answered_and_not_recorded_yet_is_late_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
