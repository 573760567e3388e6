/* SPDX-License-Identifier: MIT */
/* Names of rotated files: made, told from other names, listed in order. */
#include "store/logset.h"

#include <errno.h>

#include "base/clock.h"
#include "store-help.h"

static void a_name_says_when_and_from_where(void **state)
{
    uint64_t at;
    char *log = NULL;
    assert_int_equal(clock_parse("2026-01-31T08:15:09.9Z", &at), 0);
    _cleanup_free_ char *name = logset_name("/var/log/a.jsonl", at, 1201);
    assert_string_equal(name, "/var/log/a.jsonl.20260131T081509Z-1201");
    assert_true(logset_is_rotated(name, &log));
    assert_string_equal(log, "/var/log/a.jsonl");
    free(log);
}

static void other_names_are_not_rotated_files(void **state)
{
    static const char *const names[] = {
        "audit.jsonl",
        "audit.jsonl.",
        "audit.jsonl.20260131T081509Z",
        "audit.jsonl.20260131T081509Z-",
        "audit.jsonl.20260131T081509Z-x",
        "audit.jsonl.20260131T081509Z-12x",
        "audit.jsonl.20260131T081509Z--1",
        "audit.jsonl.20261331T081509Z-1",
        "audit.jsonl.20260131 081509Z-1",
        "audit.jsonl.torn-2026-01-31T08:15:09.000000000Z",
        ".20260131T081509Z-1",
    };
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (logset_is_rotated(names[i], NULL))
            fail_msg("%s", names[i]);
}

static void files_are_listed_by_their_first_record(void **state)
{
    struct help *t = help_new("test-logset");
    static const char *const ends[] = {
        "",      ".20260131T081509Z-1000", ".20260131T081508Z-99",  ".20260131T081507Z-1",
        ".lock", "2.20260131T081507Z-5",   ".20260131T081507Z-7.gz"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        _cleanup_free_ char *p = mem_printf("%s%s", t->log, ends[i]);
        help_write(p, "", 0);
    }
    _cleanup_logset_ struct logset s;
    assert_int_equal(logset_list(t->log, &s, NULL), 0);
    assert_int_equal(s.count, 3);
    assert_int_equal(s.files[0].first_seq, 1);
    assert_int_equal(s.files[1].first_seq, 99);
    assert_int_equal(s.files[2].first_seq, 1000);
    assert_true(str_ends(s.files[2].path, "/audit.jsonl.20260131T081509Z-1000"));
    help_free(t);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    struct logset s;
    struct err err = {0};
    assert_int_equal(logset_list("/nowhere/audit.jsonl", &s, &err), -ENOENT);
    assert_int_equal(s.count, 0);
    assert_non_null(strstr(err.text, "/nowhere"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_says_when_and_from_where),
        cmocka_unit_test(other_names_are_not_rotated_files),
        cmocka_unit_test(files_are_listed_by_their_first_record),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
