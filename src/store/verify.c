/* SPDX-License-Identifier: MIT */
/* Walks the files of a log in order while the warden may append, rotate and prune. The head file is
 * read first: what it names then must be there whenever the end is reached. */
#include "store/verify.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/lines.h"
#include "store/logset.h"

#define TORN_TRIES 10 /* a line that is being written now is whole a moment later */
#define TORN_WAIT_NS (20 * 1000 * 1000)

struct walk {
    const char *path;
    struct chain *chain;
    char *name; /* of the file being read; the chain borrows it */
    size_t torn;
};

static int open_log(const char *path, struct stat *ret, struct err *err)
{
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

static int read_lines(struct walk *w, int fd, struct err *err)
{
    _cleanup_lines_ struct lines lines;
    lines_init(&lines, fd, 0, RECORD_LINE_MAX);
    const char *line;
    size_t len;
    struct record r;
    for (int tries = 0;;) {
        int n = lines_next(&lines, &line, &len);
        if (n < 0)
            return err_errno(err, n, "cannot read '%s'", w->name);
        if (n == 1) {
            (void)chain_line(w->chain, line, len, &r);
            continue;
        }
        if (len == 0 || tries++ >= TORN_TRIES) {
            w->torn = len;
            return 0;
        }
        wait_a_moment();
    }
}

/* Reads `fd` as the next file of the log. */
static int read_file(struct walk *w, const char *name, int fd, struct err *err)
{
    /* What is torn inside the log, and not at its end, stays where it is: the next record stands
     * in another file. */
    if (w->torn > 0)
        chain_torn(w->chain, w->torn);
    w->torn = 0;
    free(w->name);
    w->name = mem_strdup(name);
    chain_file(w->chain, w->name);
    return read_lines(w, fd, err);
}

/* The rotated files that hold records behind `after`, save the one that is `skip` itself (the
 * active file, rotated since it was opened). */
static int read_rotated(struct walk *w, uint64_t after, const struct stat *skip, struct err *err)
{
    _cleanup_logset_ struct logset set;
    int r = logset_list(w->path, &set, err);
    for (size_t i = 0; r == 0 && i < set.count; i++) {
        struct stat st;
        if (set.files[i].first_seq <= after)
            continue;
        _cleanup_close_ int fd = open_log(set.files[i].path, &st, err);
        if (fd == -ENOENT)
            continue; /* pruned meanwhile; the chain sees whether that was recorded */
        if (fd < 0)
            r = fd;
        else if (st.st_ino != skip->st_ino || st.st_dev != skip->st_dev)
            r = read_file(w, set.files[i].path, fd, err);
    }
    return r;
}

/* The active file, and the files that took its place while it was read. */
static int read_set(struct walk *w, struct err *err)
{
    struct stat st, now;
    uint64_t after = 0;
    for (;;) {
        _cleanup_close_ int fd = open_log(w->path, &st, err);
        if (fd < 0)
            return fd;
        int r = read_rotated(w, after, &st, err);
        if (r == 0)
            r = read_file(w, w->path, fd, err);
        if (r < 0)
            return r;
        if (stat(w->path, &now) < 0 || (now.st_ino == st.st_ino && now.st_dev == st.st_dev))
            return 0;
        after = chain_result(w->chain)->last_seq;
    }
}

static int read_single(struct walk *w, struct err *err)
{
    struct stat st;
    _cleanup_close_ int fd = open_log(w->path, &st, err);
    return fd < 0 ? fd : read_file(w, w->path, fd, err);
}

/* A head file that is missing or damaged is a finding, not a failure to check. */
static int read_head(const struct verify_options *o, struct record_hasher *h, struct head *head,
                     chain_fn *fn, void *arg, struct chain_result *ret)
{
    struct err words = {0};
    int r = head_read(o->head, h, head, &words);
    if (r == 0)
        return 1;
    struct chain_problem p = {.kind = CHAIN_HEAD, .file = o->head};
    (void)snprintf(p.text, sizeof(p.text), "%.500s", words.text);
    if (fn)
        fn(arg, &p);
    ret->problems++;
    return 0;
}

int verify_log(const struct verify_options *o, chain_fn *fn, void *arg, struct chain_result *ret,
               struct err *err)
{
    *ret = (struct chain_result){0};
    _cleanup_(record_hasher_freep) struct record_hasher *h = NULL;
    int r = record_hasher_load(o->key, &h, err);
    if (r < 0)
        return r;
    struct head head;
    bool have_head = o->head && read_head(o, h, &head, fn, arg, ret) == 1;
    uint64_t before = ret->problems;

    bool single = o->single || logset_is_rotated(o->path, NULL);
    _cleanup_(chain_freep) struct chain *chain = chain_new(h, have_head ? &head : NULL, fn, arg);
    struct walk w = {.path = o->path, .chain = chain};
    r = single ? read_single(&w, err) : read_set(&w, err);
    if (r == 0) {
        if (w.torn > 0)
            chain_torn(chain, w.torn);
        chain_end(chain, !single);
    }
    *ret = *chain_result(chain);
    ret->problems += before;
    free(w.name);
    return r;
}
