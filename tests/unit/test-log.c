/* SPDX-License-Identifier: MIT */
/* The log: lines, levels, escaping, and the limit of repeats. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* Stands in for base/clock.c: the linker takes ours first, and time is moved, not slept. */
static uint64_t now = CLOCK_NS_PER_SEC;

uint64_t clock_monotonic(void)
{
    return now;
}

uint64_t clock_realtime(void)
{
    return 0;
}

const char *clock_format(uint64_t realtime_ns, char out[32])
{
    return strcpy(out, "WHEN");
}

/* ---- what is written to stderr meanwhile ---- */

static int saved = -1, captured = -1;

static int capture(void **state)
{
    int p[2];
    fflush(stderr);
    saved = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (saved < 0 || pipe2(p, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(p[1], STDERR_FILENO) < 0)
        return -1;
    close(p[1]);
    captured = p[0];
    now += 100 * CLOCK_NS_PER_SEC; /* what an earlier test used up is over */
    log_setup(LOG_LEVEL_INFO, false);
    return 0;
}

static int release(void **state)
{
    (void)dup2(saved, STDERR_FILENO);
    close(saved);
    close(captured);
    return 0;
}

/* The lines since the last call. */
static const char *lines(void)
{
    static char text[60000];
    ssize_t n = read(captured, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    return text;
}

static size_t count_lines(void)
{
    size_t n = 0;
    for (const char *s = lines(); *s; s++)
        n += *s == '\n';
    return n;
}

/* ---- tests ---- */

static void a_line_has_time_level_id_and_words(void **state)
{
    log_info(NULL, "ready on %d", 7);
    assert_string_equal(lines(), "WHEN info: ready on 7\n");
    log_error("42", "lost");
    assert_string_equal(lines(), "WHEN error: [42] lost\n");
}

static void levels_below_the_least_are_not_written(void **state)
{
    log_debug(NULL, "no");
    assert_string_equal(lines(), "");
    log_setup(LOG_LEVEL_ERROR, false);
    log_warn(NULL, "no");
    log_error(NULL, "yes");
    assert_string_equal(lines(), "WHEN error: yes\n");
    log_setup(LOG_LEVEL_DEBUG, false);
    log_debug(NULL, "yes");
    assert_string_equal(lines(), "WHEN debug: yes\n");
}

static void level_names_are_read_in_either_case(void **state)
{
    enum log_level level = LOG_LEVEL_INFO;
    assert_int_equal(log_level_parse("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_parse("INFO", &level), 0);
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_int_equal(log_level_parse("warn", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARN);
    assert_int_equal(log_level_parse("Error", &level), 0);
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_int_equal(log_level_parse("", &level), -EINVAL);
    assert_int_equal(log_level_parse("warning", &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_ERROR);
}

static void control_bytes_cannot_forge_a_line(void **state)
{
    log_warn("1\n2", "a\nWHEN info: forged\x1b[2J \xff");
    assert_string_equal(lines(), "WHEN warn: [1\\n2] a\\nWHEN info: forged\\e[2J \\xff\n");
}

static void what_is_escaped_already_is_not_escaped_twice(void **state)
{
    log_warn(NULL, "%s", "name 'a\\nb\\\\c'");
    assert_string_equal(lines(), "WHEN warn: name 'a\\nb\\\\c'\n");
}

static void a_json_line_is_json(void **state)
{
    log_setup(LOG_LEVEL_INFO, true);
    log_warn("7", "say \"x\"\n\xff");
    _cleanup_(json_freep) struct json *j = NULL;
    const char *text = lines();
    assert_int_equal(json_parse(text, strlen(text), 10, &j, NULL), 0);
    assert_int_equal(json_count(j), 4);
    assert_string_equal(json_string(json_get(j, "time"), NULL), "WHEN");
    assert_string_equal(json_string(json_get(j, "level"), NULL), "warn");
    assert_string_equal(json_string(json_get(j, "id"), NULL), "7");
    assert_string_equal(json_string(json_get(j, "message"), NULL), "say \"x\"\\n\\xff");
    assert_int_equal(text[strlen(text) - 1], '\n');
    log_info(NULL, "no id");
    assert_string_equal(lines(), "{\"time\":\"WHEN\",\"level\":\"info\",\"message\":\"no id\"}\n");
}

static void a_long_message_is_cut_and_is_one_line(void **state)
{
    char longer[20000];
    memset(longer, '\x01', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    log_info(NULL, "%s", longer);
    const char *text = lines();
    assert_true(strlen(text) > 4096);
    assert_string_equal(text + strlen(text) - 8, "\\x01...\n");
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
}

static void repeat(int n)
{
    for (int i = 0; i < n; i++)
        log_info(NULL, "again");
}

static void repeats_of_one_site_are_limited_and_counted(void **state)
{
    repeat(LOG_BURST);
    assert_int_equal(count_lines(), LOG_BURST);
    repeat(30);
    assert_int_equal(count_lines(), 0);
    now += 10 * CLOCK_NS_PER_SEC - 1;
    repeat(1);
    assert_int_equal(count_lines(), 0);
    now += 1;
    repeat(1);
    const char *text = lines();
    assert_non_null(strstr(text, "info: 31 more lines like those from "));
    assert_non_null(strstr(text, "test-log.c:"));
    assert_non_null(strstr(text, "WHEN info: again\n"));
    repeat(LOG_BURST - 1); /* a new window */
    assert_int_equal(count_lines(), LOG_BURST - 1);
    repeat(1);
    assert_int_equal(count_lines(), 0);
}

static void another_site_is_not_limited_by_this_one(void **state)
{
    repeat(LOG_BURST + 1);
    (void)lines();
    log_info(NULL, "other");
    assert_string_equal(lines(), "WHEN info: other\n");
}

static void what_a_silent_site_lost_is_said_by_the_next_line_of_any(void **state)
{
    repeat(LOG_BURST + 5);
    (void)lines();
    now += 11 * CLOCK_NS_PER_SEC;
    log_warn(NULL, "other");
    const char *text = lines();
    assert_non_null(strstr(text, "5 more lines"));
    assert_non_null(strstr(text, "WHEN warn: other\n"));
    log_warn(NULL, "other again");
    assert_string_equal(lines(), "WHEN warn: other again\n"); /* and only once */
}

static void errno_of_the_caller_is_left_alone(void **state)
{
    errno = ENOTTY;
    log_info(NULL, "%m");
    assert_string_equal(lines(), "WHEN info: Inappropriate ioctl for device\n");
    assert_int_equal(errno, ENOTTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_line_has_time_level_id_and_words, capture, release),
        cmocka_unit_test_setup_teardown(levels_below_the_least_are_not_written, capture, release),
        cmocka_unit_test_setup_teardown(level_names_are_read_in_either_case, capture, release),
        cmocka_unit_test_setup_teardown(control_bytes_cannot_forge_a_line, capture, release),
        cmocka_unit_test_setup_teardown(what_is_escaped_already_is_not_escaped_twice, capture,
                                        release),
        cmocka_unit_test_setup_teardown(a_json_line_is_json, capture, release),
        cmocka_unit_test_setup_teardown(a_long_message_is_cut_and_is_one_line, capture, release),
        cmocka_unit_test_setup_teardown(repeats_of_one_site_are_limited_and_counted, capture,
                                        release),
        cmocka_unit_test_setup_teardown(another_site_is_not_limited_by_this_one, capture, release),
        cmocka_unit_test_setup_teardown(what_a_silent_site_lost_is_said_by_the_next_line_of_any,
                                        capture, release),
        cmocka_unit_test_setup_teardown(errno_of_the_caller_is_left_alone, capture, release),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
