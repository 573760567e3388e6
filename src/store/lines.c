/* SPDX-License-Identifier: MIT */
/* A window over a file that slides line by line. A line that does not fit is counted, not kept. */
#include "store/lines.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define LINES_CHUNK (256u << 10)

void lines_init(struct lines *l, int fd, off_t offset, size_t max)
{
    *l = (struct lines){.fd = fd, .max = max, .offset = offset, .position = offset};
    buf_init(&l->buf, max + 2 * LINES_CHUNK);
}

int lines_open(struct lines *l, const char *path, size_t max, struct err *err)
{
    lines_init(l, open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), 0, max);
    l->owned = l->fd >= 0;
    return l->owned ? 0 : err_errno(err, -errno, "cannot open '%s'", path);
}

void lines_done(struct lines *l)
{
    if (l->owned)
        close(l->fd);
    l->owned = false;
    buf_done(&l->buf);
}

/* Bytes read, 0 at the end. */
static ssize_t fill(struct lines *l)
{
    if (l->begin > 0) {
        buf_consume(&l->buf, l->begin);
        l->scanned -= l->begin;
        l->begin = 0;
    }
    if (l->buf.len > l->max) { /* no newline in all of it */
        l->dropped += l->buf.len;
        buf_clear(&l->buf);
        l->scanned = 0;
    }
    char *p = buf_reserve(&l->buf, LINES_CHUNK);
    if (!p)
        return l->buf.failed;
    ssize_t n;
    do
        n = pread(l->fd, p, LINES_CHUNK, l->position);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    l->buf.len += (size_t)n;
    l->position += n;
    return n;
}

int lines_next(struct lines *l, const char **ret, size_t *ret_len)
{
    for (;;) {
        char *nl = NULL;
        if (l->buf.len > l->scanned)
            nl = memchr(l->buf.data + l->scanned, '\n', l->buf.len - l->scanned);
        if (nl) {
            size_t n = (size_t)(nl - (l->buf.data + l->begin)), all = n + l->dropped;
            *ret = l->dropped || n > l->max ? NULL : l->buf.data + l->begin;
            *ret_len = all;
            l->offset += (off_t)all + 1;
            l->begin += n + 1;
            l->scanned = l->begin;
            l->dropped = 0;
            return 1;
        }
        l->scanned = l->buf.len;
        ssize_t n = fill(l);
        if (n < 0)
            return (int)n;
        if (n == 0) {
            *ret = l->dropped || !l->buf.data ? NULL : l->buf.data + l->begin;
            *ret_len = l->buf.len - l->begin + l->dropped;
            return 0;
        }
    }
}

int lines_back(int fd, off_t end, uint64_t n, off_t *ret_offset, uint64_t *ret_found)
{
    char chunk[65536];
    uint64_t newlines = 0;
    *ret_offset = 0;
    while (end > 0) {
        size_t want = end < (off_t)sizeof(chunk) ? (size_t)end : sizeof(chunk);
        ssize_t k = pread(fd, chunk, want, end - (off_t)want);
        if (k < 0 && errno == EINTR)
            continue;
        if (k != (ssize_t)want)
            return k < 0 ? -errno : -EAGAIN; /* it became shorter meanwhile */
        for (size_t i = want; i-- > 0;)
            if (chunk[i] == '\n' && newlines++ == n) {
                *ret_offset = end - (off_t)want + (off_t)i + 1;
                *ret_found = n;
                return 0;
            }
        end -= (off_t)want;
    }
    *ret_found = newlines;
    return 0;
}
