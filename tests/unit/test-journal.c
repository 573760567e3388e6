/* SPDX-License-Identifier: MIT */
/* Records that must be written first, and records that must not be lost. */
#include "core/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fakes/fakes.h"

struct ear {
    unsigned heard;
    int result;
};

static void hear(void *arg, int result)
{
    struct ear *x = arg;
    x->heard++;
    x->result = result;
}

static struct buf members(const char *text)
{
    struct buf b = BUF_INIT(1000);
    assert_int_equal(buf_append_str(&b, text), 0);
    return b;
}

struct fixture {
    struct fake_audit audit;
    struct journal *j;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    fake_audit_init(&f->audit);
    f->j = journal_new(&f->audit.port);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    journal_free(f->j);
    while (fake_audit_finish(&f->audit, 0))
        ;
    fake_audit_done(&f->audit);
    test_free(f);
    return 0;
}

static void keep(struct fixture *f, const char *text, struct ear *x)
{
    struct buf b = members(text);
    journal_keep(f->j, &b, x ? hear : NULL, x);
    assert_null(b.data);
}

static int append(struct fixture *f, const char *text, struct ear *x, struct err *err)
{
    struct buf b = members(text);
    int r = journal_append(f->j, &b, hear, x, err);
    if (r < 0)
        assert_string_equal(buf_str(&b), text); /* as it was */
    buf_done(&b);
    return r;
}

/* What the log has confirmed, one behind the other. */
static void check_log(struct fixture *f, const char *want)
{
    _cleanup_buf_ struct buf have = BUF_INIT(10000);
    for (size_t i = 0; i < f->audit.count; i++)
        if (f->audit.records[i].finished && f->audit.records[i].result == 0)
            assert_int_equal(buf_append_str(&have, f->audit.records[i].members), 0);
    assert_string_equal(buf_str(&have), want);
}

static void a_record_is_confirmed_once(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0}, y = {0};
    assert_int_equal(append(f, "a", &x, NULL), 0);
    f->audit.hold = true;
    assert_int_equal(append(f, "b", &y, NULL), 0);
    assert_int_equal(x.heard, 1);
    assert_int_equal(y.heard, 0);
    fake_audit_finish(&f->audit, -EIO);
    assert_int_equal(y.heard, 1);
    assert_int_equal(y.result, -EIO);
    assert_int_equal(journal_kept(f->j), 0); /* its owner decides what becomes of it */
}

static void a_decision_that_the_log_refuses_is_the_callers(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0};
    struct err err = {0};
    f->audit.refuse = -ENOSPC;
    assert_int_equal(append(f, "a", &x, &err), -ENOSPC);
    assert_non_null(strstr(err.text, "no space left"));
    assert_int_equal(x.heard, 0);
    assert_int_equal(journal_check(f->j, NULL), 0);
}

static void facts_are_kept_in_order_and_tried_again(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0}, y = {0};
    struct err err = {0};
    f->audit.refuse = -ENOSPC;
    keep(f, "a", &x);
    keep(f, "b", NULL);
    assert_int_equal(x.result, -ENOSPC);
    assert_int_equal(journal_kept(f->j), 2);
    assert_true(journal_check(f->j, &err) < 0);
    assert_non_null(strstr(err.text, "no space left"));
    f->audit.refuse = 0;
    keep(f, "c", &y); /* behind the others */
    assert_int_equal(y.heard, 1);
    assert_int_equal(y.result, 0);
    assert_int_equal(x.heard, 1);
    assert_int_equal(journal_check(f->j, NULL), 0);
    check_log(f, "abc");
}

static void nothing_is_decided_while_facts_are_kept(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0};
    f->audit.refuse = -ENOSPC;
    keep(f, "a", NULL);
    assert_true(append(f, "d", &x, NULL) < 0);
    f->audit.refuse = 0;
    f->audit.hold = true; /* the log takes it, but has not confirmed it */
    assert_true(journal_flush(f->j, NULL) < 0);
    assert_true(append(f, "d", &x, NULL) < 0);
    fake_audit_finish(&f->audit, 0);
    assert_int_equal(append(f, "d", &x, NULL), 0);
    fake_audit_finish(&f->audit, 0);
    check_log(f, "ad");
}

static void one_that_fails_late_is_tried_again(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0};
    f->audit.hold = true;
    keep(f, "a", &x);
    fake_audit_finish(&f->audit, -EIO);
    assert_int_equal(x.result, -EIO);
    keep(f, "b", NULL);
    assert_int_equal(journal_kept(f->j), 2);
    fake_audit_finish(&f->audit, -EIO); /* and again */
    assert_int_equal(journal_kept(f->j), 2);
    assert_true(journal_flush(f->j, NULL) < 0);
    fake_audit_finish(&f->audit, 0); /* then the next one goes by itself */
    fake_audit_finish(&f->audit, 0);
    assert_int_equal(journal_kept(f->j), 0);
    assert_int_equal(x.heard, 1);
    check_log(f, "ab");
}

static void a_log_that_fails_at_once_does_not_spin(void **state)
{
    struct fixture *f = *state;
    f->audit.result = -EIO; /* takes each record and fails */
    keep(f, "a", NULL);
    size_t tries = f->audit.count;
    assert_true(journal_flush(f->j, NULL) < 0);
    assert_int_equal(f->audit.count, tries + 1);
    f->audit.result = 0;
    assert_int_equal(journal_flush(f->j, NULL), 0);
    check_log(f, "a");
}

static void half_a_record_never_reaches_the_log(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0};
    struct buf b = BUF_INIT(4);
    assert_int_equal(buf_append_str(&b, "abc"), 0);
    assert_true(buf_append_str(&b, "def") < 0);
    assert_true(journal_append(f->j, &b, hear, &x, NULL) < 0);
    assert_int_equal(x.heard, 0);
    journal_keep(f->j, &b, hear, &x);
    assert_int_equal(x.heard, 1);
    assert_true(x.result < 0);
    assert_int_equal(f->audit.count, 0);
    assert_int_equal(journal_lost(f->j), 1);
    buf_done(&b);
}

static void beyond_the_bound_records_are_counted_as_lost(void **state)
{
    struct fixture *f = *state;
    f->audit.refuse = -ENOSPC;
    for (size_t i = 0; i < JOURNAL_KEPT_MAX + 3; i++)
        keep(f, "x", NULL);
    assert_int_equal(journal_kept(f->j), JOURNAL_KEPT_MAX);
    assert_int_equal(journal_lost(f->j), 3);
}

static void callbacks_after_its_end_find_nobody(void **state)
{
    struct fixture *f = *state;
    struct ear x = {0};
    f->audit.hold = true;
    keep(f, "a", &x);
    assert_int_equal(append(f, "b", &x, NULL), 0);
    fake_audit_finish(&f->audit, -EIO); /* "a" is kept, and tried by the next: */
    assert_true(append(f, "c", &x, NULL) < 0);
    f->j = journal_free(f->j);
    unsigned heard = x.heard;
    while (fake_audit_finish(&f->audit, 0))
        ;
    assert_int_equal(x.heard, heard);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_record_is_confirmed_once),
        T(a_decision_that_the_log_refuses_is_the_callers),
        T(facts_are_kept_in_order_and_tried_again),
        T(nothing_is_decided_while_facts_are_kept),
        T(one_that_fails_late_is_tried_again),
        T(a_log_that_fails_at_once_does_not_spin),
        T(half_a_record_never_reaches_the_log),
        T(beyond_the_bound_records_are_counted_as_lost),
        T(callbacks_after_its_end_find_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
