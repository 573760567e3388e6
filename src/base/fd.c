/* SPDX-License-Identifier: MIT */
/* File descriptors: whole writes and whole files. Everything blocks here, so nothing of this
 * belongs in a loop callback, save fd_set_nonblock(). */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

#define FD_CHUNK 65536

int fd_write_all(int fd, const void *p, size_t n)
{
    const char *s = p;
    while (n > 0) {
        ssize_t k = write(fd, s, n);
        if (k < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        s += k;
        n -= (size_t)k;
    }
    return 0;
}

static ssize_t read_retry(int fd, void *p, size_t n)
{
    ssize_t k;
    do
        k = read(fd, p, n);
    while (k < 0 && errno == EINTR);
    return k < 0 ? -errno : k;
}

/* Appends until the end; -EMSGSIZE when there are more than `max` bytes. */
static int read_at_most(int fd, struct buf *out, size_t max)
{
    for (;;) {
        if (max == 0) {
            char more;
            ssize_t k = read_retry(fd, &more, 1);
            return k > 0 ? -EMSGSIZE : (int)k;
        }
        size_t n = max < FD_CHUNK ? max : FD_CHUNK;
        char *p = buf_reserve(out, n);
        if (!p)
            return out->failed;
        ssize_t k = read_retry(fd, p, n);
        if (k <= 0)
            return (int)k;
        out->len += (size_t)k;
        max -= (size_t)k;
    }
}

static size_t room(const struct buf *b)
{
    return b->len < b->limit ? b->limit - b->len : 0;
}

int fd_read_all(int fd, struct buf *out)
{
    if (out->failed)
        return out->failed;
    int r = read_at_most(fd, out, room(out));
    if (r == -EMSGSIZE)
        out->failed = r;
    return r;
}

int fd_set_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return -errno;
    return 0;
}

int fd_read_file(const char *path, size_t limit, struct buf *out, struct err *err)
{
    if (out->failed)
        return err_errno(err, out->failed, "cannot read '%s'", path);
    /* O_NONBLOCK: opening a FIFO must not wait for a writer before it can be refused. */
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_errno(err, -errno, "cannot open '%s'", path);
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_errno(err, -errno, "cannot stat '%s'", path);
    if (S_ISDIR(st.st_mode))
        return err_errno(err, -EISDIR, "cannot read '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, -EINVAL, "'%s' is not a regular file", path);

    size_t before = out->len;
    size_t max = room(out) < limit ? room(out) : limit;
    int r = read_at_most(fd, out, max);
    if (r == 0)
        return 0;
    out->len = before;
    if (out->data)
        out->data[before] = '\0';
    if (r == -EMSGSIZE)
        return err_set(err, r, "'%s' is longer than %zu bytes", path, max);
    return err_errno(err, r, "cannot read '%s'", path);
}

/* Makes the rename itself survive a power cut. */
static int sync_dir_of(const char *path)
{
    _cleanup_free_ char *dir = path_dirname(path);
    _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

static int write_and_sync(int fd, mode_t mode, const void *p, size_t n)
{
    int r = fd_write_all(fd, p, n);
    if (r < 0)
        return r;
    if (fchmod(fd, mode) < 0 || fsync(fd) < 0)
        return -errno;
    return 0;
}

int fd_write_file(const char *path, mode_t mode, const void *p, size_t n, struct err *err)
{
    _cleanup_free_ char *temp = mem_printf("%s.XXXXXX", path);
    _cleanup_close_ int fd = mkostemp(temp, O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, -errno, "cannot create a file beside '%s'", path);
    int r = write_and_sync(fd, mode, p, n);
    if (r == 0 && rename(temp, path) < 0)
        r = -errno;
    if (r < 0) {
        (void)unlink(temp);
        return err_errno(err, r, "cannot write '%s'", path);
    }
    r = sync_dir_of(path);
    if (r < 0)
        return err_errno(err, r, "cannot sync the directory of '%s'", path);
    return 0;
}
