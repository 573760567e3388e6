/* SPDX-License-Identifier: MIT */
/* clawrden audit tail: the last records, and with -f those that come. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/audit-show.h"
#include "cli/cmd.h"
#include "store/lines.h"
#include "store/logset.h"
#include "store/record.h"

#define COUNT_DEFAULT 20
#define COUNT_MAX 1000000
#define POLL_NS (200 * 1000 * 1000)

struct tail {
    const char *path;
    bool json;
};

static void print_line(const struct tail *t, const char *line, size_t len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(8 * (size_t)RECORD_LINE_MAX);
    struct record rec;
    if (!t->json) {
        audit_show_line(line, len, &out);
        printf("%s\n", buf_str(&out));
    } else if (line && record_split(line, len, &rec) == 0) {
        (void)fwrite(line, 1, len, stdout);
        (void)putchar('\n');
    }
}

/* Prints whole lines up to the end. */
static int print_rest(const struct tail *t, struct lines *l)
{
    const char *line;
    size_t len;
    int r;
    while ((r = lines_next(l, &line, &len)) == 1)
        print_line(t, line, len);
    return r;
}

static int open_file(const char *path, struct stat *ret)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return -errno;
    if (fstat(fd, ret) < 0 || !S_ISREG(ret->st_mode)) {
        (void)close(fd);
        return -EINVAL;
    }
    return fd;
}

/* The last `n` lines of rotated files, file `i` - 1 and those before it. */
static int print_rotated(const struct tail *t, const struct logset *set, size_t i, uint64_t n)
{
    struct stat st = {0};
    off_t at = 0;
    uint64_t found = 0;
    if (i == 0 || n == 0)
        return 0;
    _cleanup_close_ int fd = open_file(set->files[i - 1].path, &st);
    if (fd < 0)
        return fd == -ENOENT ? 0 : fd; /* pruned meanwhile */
    int r = lines_back(fd, st.st_size, n, &at, &found);
    if (r == 0)
        r = print_rotated(t, set, i - 1, n - found);
    if (r < 0)
        return r;
    _cleanup_lines_ struct lines l;
    lines_init(&l, fd, at, RECORD_LINE_MAX);
    return print_rest(t, &l);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
    return a->st_ino == b->st_ino && a->st_dev == b->st_dev;
}

static int print_older(const struct tail *t, const struct stat *active, uint64_t n, struct err *err)
{
    _cleanup_logset_ struct logset set = {0};
    struct stat st;
    if (n == 0 || logset_is_rotated(t->path, NULL))
        return 0;
    int r = logset_list(t->path, &set, err);
    if (r < 0)
        return r;
    size_t last = set.count; /* not the active file itself, should it have been rotated just now */
    if (last > 0 && stat(set.files[last - 1].path, &st) == 0 && same_file(&st, active))
        last--;
    r = print_rotated(t, &set, last, n);
    return r < 0 ? err_errno(err, r, "cannot read the rotated files of '%s'", t->path) : 0;
}

/* Whether PATH is another file now; then the rest of the old one is printed first. */
static bool was_replaced(const struct tail *t, const struct stat *st)
{
    struct stat now;
    return stat(t->path, &now) == 0 && !same_file(&now, st);
}

/* The file behind `st` in the set, which may have been rotated too since; without one: PATH. PATH
 * is opened before the list is made, so that no file falls between the two. Negative: none yet. */
static int open_next(const struct tail *t, struct stat *st)
{
    struct stat active = {0}, there;
    _cleanup_logset_ struct logset set = {0};
    _cleanup_close_ int fd = open_file(t->path, &active);
    if (fd < 0 || logset_list(t->path, &set, NULL) < 0)
        return -EAGAIN;
    for (size_t i = 0; i + 1 < set.count; i++) {
        if (stat(set.files[i].path, &there) < 0 || !same_file(&there, st))
            continue;
        int next = open_file(set.files[i + 1].path, &there);
        if (next < 0)
            break; /* pruned meanwhile */
        *st = there;
        return next;
    }
    *st = active;
    return TAKE_FD(fd);
}

static int follow(const struct tail *t, int *fd, struct stat *st, struct lines *l)
{
    for (bool stepped = false;; (void)fflush(stdout)) {
        struct timespec pause = {.tv_nsec = POLL_NS};
        struct stat now;
        if (!stepped)
            (void)nanosleep(&pause, NULL);
        stepped = false;
        bool replaced = was_replaced(t, st);
        int r = print_rest(t, l);
        if (r < 0)
            return r;
        if (fstat(*fd, &now) == 0 && now.st_size < l->offset) {
            (void)fprintf(stderr, "clawrden: the log became shorter: somebody cut it\n");
            lines_done(l);
            lines_init(l, *fd, now.st_size, RECORD_LINE_MAX);
        }
        if (!replaced)
            continue;
        int next = open_next(t, st);
        if (next < 0)
            continue; /* between two files; it is there in a moment */
        stepped = true;
        (void)close(*fd);
        *fd = next;
        lines_done(l);
        lines_init(l, *fd, 0, RECORD_LINE_MAX);
    }
}

static int tail(const struct tail *t, uint64_t n, bool follow_it, struct err *err)
{
    struct stat st = {0};
    off_t at = 0;
    uint64_t got = 0;
    _cleanup_close_ int fd = open_file(t->path, &st);
    if (fd < 0)
        return err_errno(err, fd, "cannot open '%s'", t->path);
    int r = lines_back(fd, st.st_size, n, &at, &got);
    if (r < 0)
        return err_errno(err, r, "cannot read '%s'", t->path);
    r = print_older(t, &st, n - got, err);
    if (r < 0)
        return r;
    _cleanup_lines_ struct lines l;
    lines_init(&l, fd, n == 0 ? st.st_size : at, RECORD_LINE_MAX);
    r = print_rest(t, &l);
    if (r == 0 && follow_it)
        r = follow(t, &fd, &st, &l);
    return r < 0 ? err_errno(err, r, "cannot read '%s'", t->path) : 0;
}

int cmd_audit_tail(struct cli *c, const struct args *a)
{
    _cleanup_free_ char *path = audit_show_path(a);
    const char *text = args_value(a, "lines");
    uint64_t n = COUNT_DEFAULT;
    struct err err = {0};
    if (text && str_parse_u64(text, COUNT_MAX, &n) < 0)
        return cli_fail(CLI_USAGE, "--lines: a number from 0 to %d", COUNT_MAX);
    struct tail t = {.path = path, .json = c->json};
    int r = tail(&t, n, args_flag(a, "follow"), &err);
    return r < 0 ? cli_fail(CLI_USAGE, "%s", err.text) : CLI_OK;
}
