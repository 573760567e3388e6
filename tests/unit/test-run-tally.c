/* SPDX-License-Identifier: MIT */
/* The summary of a run is counted from records, whatever else stands in the file. */
#include "cli/run-tally.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const char log_text[] =
    "{\"event\":\"start\"}\n"
    "{\"event\":\"decision\",\"decision\":\"allow\",\"verdict\":\"allow\",\"waited_ms\":0}\n"
    "{\"event\":\"decision\",\"decision\":\"deny\",\"verdict\":\"deny\",\"waited_ms\":0}\n"
    "{\"event\":\"end\",\"decision\":\"allow\"}\n"
    "{\"event\":\"decision\",\"decision\":\"ask-approved\",\"verdict\":\"ask\",\"waited_ms\":61500}"
    "\n"
    "{\"event\":\"decision\",\"decision\":\"ask-expired\",\"verdict\":\"ask\",\"waited_ms\":700}\n"
    "{\"event\":\"decision\",\"decision\":\"withdrawn\",\"verdict\":\"ask\",\"waited_ms\":5}\n"
    "not json\n"
    "{\"event\":\"decision\",\"decision\":7}\n"
    "[1]\n"
    "{\"event\":\"decision\",\"decision\":\"deny\" without its end";

static char path[64];

static int setup(void **state)
{
    struct err err;
    (void)snprintf(path, sizeof(path), "/tmp/clawrden-tally-%d", (int)getpid());
    return fd_write_file(path, 0600, log_text, sizeof(log_text) - 1, &err);
}

static int teardown(void **state)
{
    return unlink(path);
}

static void decisions_are_counted_by_what_became_of_them(void **state)
{
    struct run_tally t;
    struct err err;
    assert_int_equal(run_tally_count(path, 0, &t, &err), 0);
    assert_int_equal(t.commands, 5);
    assert_int_equal(t.asked, 3);
    assert_int_equal(t.denied, 2); /* who gave up was not denied */
    assert_int_equal(t.waited_ms, 62205);
    _cleanup_buf_ struct buf words = BUF_INIT(4096);
    run_tally_words(&t, &words);
    assert_string_equal(buf_str(&words), "5 commands, 3 asked, 2 denied, waited 1m2s for a person");
}

static void an_earlier_run_of_the_same_log_is_not_counted(void **state)
{
    struct run_tally t;
    struct err err;
    off_t end = run_tally_mark(path);
    assert_int_equal(run_tally_count(path, end, &t, &err), 0);
    assert_int_equal(t.commands, 0);
    _cleanup_buf_ struct buf words = BUF_INIT(4096);
    run_tally_words(&t, &words);
    assert_string_equal(buf_str(&words), "0 commands, 0 asked, 0 denied");
    assert_int_equal(run_tally_count(path, end + 1, &t, &err), 0); /* a new file was begun */
    assert_int_equal(t.commands, 5);
}

static void a_log_that_is_not_there_is_said(void **state)
{
    struct run_tally t;
    struct err err;
    assert_true(run_tally_count("/nonexistent/log", 0, &t, &err) < 0);
    assert_non_null(strstr(err.text, "/nonexistent/log"));
    assert_int_equal(run_tally_mark("/nonexistent/log"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decisions_are_counted_by_what_became_of_them),
        cmocka_unit_test(an_earlier_run_of_the_same_log_is_not_counted),
        cmocka_unit_test(a_log_that_is_not_there_is_said),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
