/* SPDX-License-Identifier: MIT */
/* Lines out of files: long ones, torn ones, ones that come later; and from the end backwards. */
#include "store/lines.h"

#include <errno.h>

#include "store-help.h"

struct fixture {
    struct help *t;
    int fd;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->t = help_new("test-lines");
    help_write(f->t->log, "", 0);
    f->fd = open(f->t->log, O_RDONLY | O_CLOEXEC);
    assert_true(f->fd >= 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    (void)close(f->fd);
    help_free(f->t);
    free(f);
    return 0;
}

static void assert_line(struct lines *l, int result, const char *text)
{
    const char *line = NULL;
    size_t len = 0;
    assert_int_equal(lines_next(l, &line, &len), result);
    assert_int_equal(len, strlen(text));
    if (len)
        assert_memory_equal(line, text, len);
}

static void lines_come_one_by_one(void **state)
{
    struct fixture *f = *state;
    help_append(f->t->log, "one\n\nthree\nfo", 13);
    _cleanup_lines_ struct lines l;
    lines_init(&l, f->fd, 0, 100);
    assert_line(&l, 1, "one");
    assert_line(&l, 1, "");
    assert_line(&l, 1, "three");
    assert_int_equal(l.offset, 11);
    assert_line(&l, 0, "fo");
    assert_line(&l, 0, "fo");
    help_append(f->t->log, "ur\nfive\n", 8);
    assert_line(&l, 1, "four");
    assert_line(&l, 1, "five");
    assert_line(&l, 0, "");
    assert_int_equal(l.offset, 21);
}

static void a_line_beyond_the_limit_is_counted_not_kept(void **state)
{
    struct fixture *f = *state;
    size_t n = 3u << 20;
    _cleanup_free_ char *big = mem_zalloc(n);
    memset(big, 'x', n);
    help_append(f->t->log, "a\n", 2);
    help_append(f->t->log, big, n);
    help_append(f->t->log, "\nb\n", 3);
    help_append(f->t->log, big, n);
    _cleanup_lines_ struct lines l;
    lines_init(&l, f->fd, 0, 1000);
    const char *line;
    size_t len;
    assert_line(&l, 1, "a");
    assert_int_equal(lines_next(&l, &line, &len), 1);
    assert_null(line);
    assert_int_equal(len, n);
    assert_line(&l, 1, "b");
    assert_int_equal(lines_next(&l, &line, &len), 0);
    assert_null(line);
    assert_int_equal(len, n);
    assert_int_equal(l.offset, n + 5);
    assert_true(l.buf.size < (2u << 20));
}

static void a_line_at_the_limit_is_kept(void **state)
{
    struct fixture *f = *state;
    help_append(f->t->log, "12345\n123456\n", 13);
    _cleanup_lines_ struct lines l;
    lines_init(&l, f->fd, 0, 5);
    const char *line;
    size_t len;
    assert_line(&l, 1, "12345");
    assert_int_equal(lines_next(&l, &line, &len), 1);
    assert_null(line);
}

static void the_last_lines_are_found_from_the_end(void **state)
{
    struct fixture *f = *state;
    off_t at;
    uint64_t found;
    _cleanup_buf_ struct buf text = BUF_INIT(1u << 20);
    for (int i = 0; i < 20000; i++)
        (void)buf_printf(&text, "line %d\n", i);
    (void)buf_append_str(&text, "torn");
    help_append(f->t->log, text.data, text.len);
    assert_int_equal(lines_back(f->fd, (off_t)text.len, 3, &at, &found), 0);
    assert_int_equal(found, 3);
    assert_string_equal(text.data + at, "line 19997\nline 19998\nline 19999\ntorn");
    assert_int_equal(lines_back(f->fd, (off_t)text.len, 19999, &at, &found), 0);
    assert_true(str_starts(text.data + at, "line 1\n"));
    for (uint64_t n = 20000; n <= 20001; n++) {
        assert_int_equal(lines_back(f->fd, (off_t)text.len, n, &at, &found), 0);
        assert_int_equal(found, 20000);
        assert_int_equal(at, 0);
    }
    assert_int_equal(lines_back(f->fd, 0, 3, &at, &found), 0);
    assert_int_equal(found, 0);
    assert_int_equal(lines_back(f->fd, (off_t)text.len + 10, 3, &at, &found), -EAGAIN);
}

static void what_cannot_be_read_is_an_error(void **state)
{
    _cleanup_close_ int fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    _cleanup_lines_ struct lines l;
    const char *line;
    size_t len;
    lines_init(&l, fd, 0, 100);
    assert_int_equal(lines_next(&l, &line, &len), -EISDIR);
}

static void a_file_that_is_not_there_is_named_and_leaves_nothing_to_close(void **state)
{
    struct lines l;
    struct err err;
    assert_int_equal(lines_open(&l, "/nowhere/at/all", 100, &err), -ENOENT);
    assert_non_null(strstr(err.text, "'/nowhere/at/all'"));
    lines_done(&l);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(lines_come_one_by_one),
        TEST(a_line_beyond_the_limit_is_counted_not_kept),
        TEST(a_line_at_the_limit_is_kept),
        TEST(the_last_lines_are_found_from_the_end),
        TEST(what_cannot_be_read_is_an_error),
        TEST(a_file_that_is_not_there_is_named_and_leaves_nothing_to_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
