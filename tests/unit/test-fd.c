/* SPDX-License-Identifier: MIT */
/* Whole writes and whole files: limits, what is not a regular file, the atomic write. */
#include "base/fd.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    char *dir;
    char *file; /* not there yet */
};

static int make_dir(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->dir = mem_strdup("/tmp/test-fd-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    f->file = path_join(f->dir, "file");
    *state = f;
    return 0;
}

static int drop_dir(void **state)
{
    struct fixture *f = *state;
    (void)remove(f->file);
    int r = rmdir(f->dir); /* fails, and the test with it, when something was left behind */
    free(f->file);
    free(f->dir);
    free(f);
    return r;
}

static void a_file_is_written_with_its_mode_and_read_back(void **state)
{
    struct fixture *f = *state;
    mode_t before = umask(077);
    int r = fd_write_file(f->file, 0644, "a\0b", 3, NULL);
    (void)umask(before);
    assert_int_equal(r, 0);
    struct stat st;
    assert_int_equal(stat(f->file, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0644);
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    assert_int_equal(fd_read_file(f->file, 100, &b, NULL), 0);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
}

static void writing_replaces_the_file_and_not_its_content(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fd_write_file(f->file, 0600, "old", 3, NULL), 0);
    _cleanup_close_ int old = open(f->file, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fd_write_file(f->file, 0600, "new!", 4, NULL), 0);
    _cleanup_buf_ struct buf was = BUF_INIT(100), is = BUF_INIT(100);
    assert_int_equal(fd_read_all(old, &was), 0);
    assert_string_equal(buf_str(&was), "old"); /* a reader keeps the file that it opened */
    assert_int_equal(fd_read_file(f->file, 100, &is, NULL), 0);
    assert_string_equal(buf_str(&is), "new!");
}

static void a_failed_write_leaves_nothing_behind(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_int_equal(mkdir(f->file, 0700), 0); /* a directory cannot be renamed over */
    assert_true(fd_write_file(f->file, 0600, "x", 1, &err) < 0);
    assert_non_null(strstr(err.text, f->file));
    DIR *d = opendir(f->dir);
    int entries = 0;
    while (readdir(d))
        entries++;
    (void)closedir(d);
    assert_int_equal(entries, 3); /* ".", ".." and the directory */

    _cleanup_free_ char *nowhere = path_join(f->dir, "none/file");
    assert_int_equal(fd_write_file(nowhere, 0600, "x", 1, &err), -ENOENT);
}

static void a_file_at_the_limit_is_read_and_one_byte_more_is_not(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_int_equal(fd_write_file(f->file, 0600, "12345", 5, NULL), 0);
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    assert_int_equal(buf_append_str(&b, "before "), 0);
    assert_int_equal(fd_read_file(f->file, 4, &b, &err), -EMSGSIZE);
    assert_string_equal(buf_str(&b), "before ");
    assert_non_null(strstr(err.text, "longer than 4 bytes"));
    assert_int_equal(fd_read_file(f->file, 5, &b, &err), 0);
    assert_string_equal(buf_str(&b), "before 12345");
}

static void the_buffers_own_limit_counts_too(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fd_write_file(f->file, 0600, "12345", 5, NULL), 0);
    _cleanup_buf_ struct buf small = BUF_INIT(4), fits = BUF_INIT(5);
    assert_int_equal(fd_read_file(f->file, 100, &small, NULL), -EMSGSIZE);
    assert_int_equal(small.len, 0);
    assert_int_equal(fd_read_file(f->file, 100, &fits, NULL), 0);
    assert_int_equal(fits.len, 5);
}

static void what_is_not_a_regular_file_is_refused_without_waiting(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    _cleanup_buf_ struct buf b = BUF_INIT(100);
    assert_int_equal(mkfifo(f->file, 0600), 0);
    assert_int_equal(fd_read_file(f->file, 100, &b, &err), -EINVAL);
    assert_non_null(strstr(err.text, "not a regular file"));
    assert_int_equal(fd_read_file("/dev/zero", 100, &b, &err), -EINVAL);
    assert_int_equal(fd_read_file(f->dir, 100, &b, &err), -EISDIR);
    _cleanup_free_ char *none = path_join(f->dir, "none");
    assert_int_equal(fd_read_file(none, 100, &b, &err), -ENOENT);
    assert_non_null(strstr(err.text, none));
    assert_int_equal(b.len, 0);
}

static void a_failed_buffer_takes_no_file(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fd_write_file(f->file, 0600, "1", 1, NULL), 0);
    _cleanup_buf_ struct buf b = BUF_INIT(2);
    (void)buf_append_str(&b, "abc");
    assert_int_equal(fd_read_file(f->file, 100, &b, NULL), -EMSGSIZE);
    assert_int_equal(fd_read_all(-1, &b), -EMSGSIZE);
}

struct feed {
    int fd;
    size_t n;
};

static void *feed_pipe(void *arg)
{
    struct feed *feed = arg;
    _cleanup_free_ char *p = mem_zalloc(feed->n);
    memset(p, 'x', feed->n);
    int r = fd_write_all(feed->fd, p, feed->n);
    close(feed->fd);
    return (void *)(intptr_t)r;
}

/* Reads `n` bytes that another thread writes; the pipe takes them in several pieces. */
static int read_through_pipe(size_t n, struct buf *out)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    struct feed feed = {p[1], n};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, feed_pipe, &feed), 0);
    int r = fd_read_all(p[0], out);
    char rest[4096];
    while (read(p[0], rest, sizeof(rest)) > 0)
        ;
    void *written;
    assert_int_equal(pthread_join(thread, &written), 0);
    assert_null(written);
    close(p[0]);
    return r;
}

static void reading_to_the_end_takes_all_pieces_up_to_the_limit(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(300000);
    assert_int_equal(read_through_pipe(300000, &b), 0);
    assert_int_equal(b.len, 300000);
    assert_int_equal(b.data[299999], 'x');
    _cleanup_buf_ struct buf small = BUF_INIT(299999);
    assert_int_equal(read_through_pipe(300000, &small), -EMSGSIZE);
    assert_int_equal(small.failed, -EMSGSIZE);
    assert_true(small.len <= 299999);
}

static void a_broken_descriptor_is_an_error(void **state)
{
    _cleanup_buf_ struct buf b = BUF_INIT(10);
    assert_int_equal(fd_read_all(-1, &b), -EBADF);
    assert_int_equal(fd_write_all(-1, "x", 1), -EBADF);
    assert_int_equal(fd_write_all(-1, NULL, 0), 0);
    assert_int_equal(fd_set_nonblock(-1), -EBADF);
}

static void nonblocking_is_set(void **state)
{
    int p[2];
    assert_int_equal(pipe2(p, O_CLOEXEC), 0);
    assert_int_equal(fd_set_nonblock(p[0]), 0);
    char c;
    assert_int_equal(read(p[0], &c, 1), -1);
    assert_int_equal(errno, EAGAIN);
    close(p[0]);
    close(p[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_written_with_its_mode_and_read_back, make_dir,
                                        drop_dir),
        cmocka_unit_test_setup_teardown(writing_replaces_the_file_and_not_its_content, make_dir,
                                        drop_dir),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_nothing_behind, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_file_at_the_limit_is_read_and_one_byte_more_is_not,
                                        make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(the_buffers_own_limit_counts_too, make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(what_is_not_a_regular_file_is_refused_without_waiting,
                                        make_dir, drop_dir),
        cmocka_unit_test_setup_teardown(a_failed_buffer_takes_no_file, make_dir, drop_dir),
        cmocka_unit_test(reading_to_the_end_takes_all_pieces_up_to_the_limit),
        cmocka_unit_test(a_broken_descriptor_is_an_error),
        cmocka_unit_test(nonblocking_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
