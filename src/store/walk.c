/* SPDX-License-Identifier: MIT */
/* The active file is opened before the rotated ones are listed: then nothing can fall between the
 * two, and what was rotated meanwhile is told by its inode. */
#include "store/walk.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/lines.h"
#include "store/logset.h"
#include "store/record.h"

#define TORN_TRIES 10 /* a line that is being written now is whole a moment later */
#define TORN_WAIT_NS (20 * 1000 * 1000)

struct walk {
    const char *path;
    const struct walk_ops *ops;
    void *arg;
    uint64_t first_seq; /* of the file read last; 0: it had no record */
};

static int open_log(const char *path, struct stat *ret, struct err *err)
{
    *ret = (struct stat){0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0 || fstat(fd, ret) < 0)
        return err_errno(err, -errno, "cannot open '%s'", path);
    if (!S_ISREG(ret->st_mode))
        return err_set(err, -EINVAL, "'%s' is not a regular file", path);
    return TAKE_FD(fd);
}

static void wait_a_moment(void)
{
    struct timespec t = {.tv_nsec = TORN_WAIT_NS};
    (void)nanosleep(&t, NULL);
}

static int read_file(struct walk *w, const char *name, int fd, struct err *err)
{
    _cleanup_lines_ struct lines lines;
    lines_init(&lines, fd, 0, RECORD_LINE_MAX);
    const char *line;
    size_t len;
    struct record rec;
    if (w->ops->file)
        w->ops->file(w->arg, name);
    w->first_seq = 0;
    bool grows = false; /* a line that had no end got one: a writer is at work */
    for (int tries = 0;;) {
        int n = lines_next(&lines, &line, &len);
        if (n < 0)
            return err_errno(err, n, "cannot read '%s'", name);
        if (n == 1) {
            grows = tries > 0;
            if (w->first_seq == 0 && line && record_split(line, len, &rec) == 0)
                w->first_seq = rec.seq;
            int r = w->ops->line(w->arg, line, len);
            if (r != 0)
                return r;
            continue;
        }
        if (len == 0 || grows || !w->ops->torn)
            return 0;
        if (tries++ >= TORN_TRIES) {
            w->ops->torn(w->arg, len);
            return 0;
        }
        wait_a_moment();
    }
}

/* The rotated files with first_seq >= `from`, save `skip`: the active file, rotated since it was
 * opened. */
static int read_rotated(struct walk *w, uint64_t from, uint64_t after, const struct stat *skip,
                        struct err *err)
{
    _cleanup_logset_ struct logset set;
    int r = logset_list(w->path, &set, err);
    for (size_t i = 0; r == 0 && i < set.count; i++) {
        const struct logset_file *f = &set.files[i];
        struct stat st;
        if (f->first_seq < from || (i + 1 < set.count && set.files[i + 1].first_seq <= after + 1))
            continue;
        _cleanup_close_ int fd = open_log(f->path, &st, err);
        if (fd == -ENOENT)
            continue; /* pruned meanwhile */
        if (fd < 0)
            r = fd;
        else if (st.st_ino != skip->st_ino || st.st_dev != skip->st_dev)
            r = read_file(w, f->path, fd, err);
    }
    return r;
}

/* The active file, and the files that took its place while it was read. */
static int read_set(struct walk *w, uint64_t after, struct err *err)
{
    struct stat st, now;
    uint64_t from = 0;
    for (;;) {
        _cleanup_close_ int fd = open_log(w->path, &st, err);
        if (fd < 0)
            return fd;
        int r = read_rotated(w, from, after, &st, err);
        if (r == 0)
            r = read_file(w, w->path, fd, err);
        if (r != 0)
            return r;
        if (stat(w->path, &now) < 0 || (now.st_ino == st.st_ino && now.st_dev == st.st_dev))
            return 0;
        from = w->first_seq + 1;
    }
}

int walk_log(const char *path, uint64_t after, bool single, const struct walk_ops *ops, void *arg,
             struct err *err)
{
    struct walk w = {.path = path, .ops = ops, .arg = arg};
    struct stat st;
    if (!single && !logset_is_rotated(path, NULL))
        return read_set(&w, after, err);
    _cleanup_close_ int fd = open_log(path, &st, err);
    return fd < 0 ? fd : read_file(&w, path, fd, err);
}
