/* SPDX-License-Identifier: MIT */
/* Names of log files change here and nowhere else. No fsync: the syncer does that off the loop. */
#include "store/rotate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "store/lines.h"
#include "store/logset.h"

int rotate_files(const char *path, const char *rotated, mode_t mode, const char *line, size_t len,
                 int *ret_fd, struct err *err)
{
    _cleanup_free_ char *next = mem_printf("%s.new", path);
    (void)unlink(next); /* of a rotation that failed; nobody else has this name: we hold the lock */
    _cleanup_close_ int fd =
        open(next, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return err_errno(err, -errno, "cannot create '%s'", next);
    int r = fd_write_all(fd, line, len);
    if (r < 0) {
        (void)unlink(next);
        return err_errno(err, r, "cannot write '%s'", next);
    }
    if (link(path, rotated) < 0) {
        r = -errno;
        (void)unlink(next);
        return err_errno(err, r, "cannot name '%s' '%s'", path, rotated);
    }
    if (rename(next, path) < 0) {
        r = -errno;
        (void)unlink(rotated);
        (void)unlink(next);
        return err_errno(err, r, "cannot name '%s' '%s'", next, path);
    }
    *ret_fd = TAKE_FD(fd);
    return 0;
}

/* The first record of a file says which record stands before it. */
static int before_file(const char *path, struct rotate_pruning *p, struct err *err)
{
    _cleanup_lines_ struct lines lines;
    const char *line;
    size_t len;
    struct record r;
    int n = lines_open(&lines, path, RECORD_LINE_MAX, err);
    if (n < 0)
        return n;
    n = lines_next(&lines, &line, &len);
    if (n < 0)
        return err_errno(err, n, "cannot read '%s'", path);
    if (n == 0 || !line || record_split(line, len, &r) < 0 || r.seq < 2)
        return err_set(err, -EBADMSG, "'%s' does not begin with a record that follows another",
                       path);
    p->last_seq = r.seq - 1;
    memcpy(p->last_hash, r.prev, RECORD_HASH_SIZE);
    return 0;
}

int rotate_choose(const char *path, unsigned keep_count, uint64_t keep_age, uint64_t realtime,
                  struct rotate_pruning *ret, struct err *err)
{
    _cleanup_logset_ struct logset set;
    *ret = (struct rotate_pruning){0};
    int r = logset_list(path, &set, err);
    if (r < 0)
        return r;
    size_t n = 0;
    while (n < set.count && ((keep_count > 0 && set.count - n > keep_count) ||
                             (keep_age > 0 && set.files[n].rotated_at + keep_age < realtime)))
        n++;
    if (n == 0)
        return 0;
    r = before_file(n < set.count ? set.files[n].path : path, ret, err);
    if (r < 0)
        return r;
    ret->first_seq = set.files[0].first_seq;
    ret->paths = mem_new_array(char *, n);
    for (; ret->count < n; ret->count++)
        ret->paths[ret->count] = TAKE_PTR(set.files[ret->count].path);
    return 0;
}

void rotate_pruning_done(struct rotate_pruning *p)
{
    for (size_t i = 0; i < p->count; i++)
        free(p->paths[i]);
    free(p->paths);
    *p = (struct rotate_pruning){0};
}
