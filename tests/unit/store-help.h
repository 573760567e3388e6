/* SPDX-License-Identifier: MIT */
/* For the tests of the store: a directory of their own, whole files, and lines of a log. */
#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "store/chain.h"
#include "store/verify.h"

#define HELP_FILE_MAX (64u << 20)

struct help {
    char *dir, *log, *head; /* owned; the directory exists, the files do not */
};

static inline struct help *help_new(const char *test)
{
    struct help *h = mem_new(struct help);
    h->dir = mem_printf("/tmp/%s-XXXXXX", test);
    assert_non_null(mkdtemp(h->dir));
    h->log = path_join(h->dir, "audit.jsonl");
    h->head = path_join(h->dir, "state-audit.head");
    return h;
}

static inline void help_free(struct help *h)
{
    DIR *d = opendir(h->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        _cleanup_free_ char *p = path_join(h->dir, e->d_name);
        if (e->d_name[0] != '.')
            assert_int_equal(unlink(p), 0);
    }
    (void)closedir(d);
    assert_int_equal(rmdir(h->dir), 0);
    free(h->dir);
    free(h->log);
    free(h->head);
    free(h);
}

/* The content, owned; NULL when there is no such file. */
static inline char *help_read(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(HELP_FILE_MAX);
    if (access(path, F_OK) != 0)
        return NULL;
    assert_int_equal(fd_read_file(path, HELP_FILE_MAX, &b, NULL), 0);
    return buf_steal(&b);
}

static inline void help_write(const char *path, const void *p, size_t n)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, p, n), 0);
}

static inline void help_append(const char *path, const void *p, size_t n)
{
    _cleanup_close_ int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, p, n), 0);
}

/* Line `n` from 1, without its newline, owned; NULL when there are fewer. */
static inline char *help_line(const char *text, size_t n)
{
    for (; n > 1; n--) {
        text = strchr(text, '\n');
        if (!text)
            return NULL;
        text++;
    }
    return *text ? mem_strndup(text, strcspn(text, "\n")) : NULL;
}

static inline size_t help_count(const char *text, const char *needle)
{
    size_t n = 0;
    for (; (text = strstr(text, needle)); text += strlen(needle))
        n++;
    return n;
}

/* A file in the directory whose name has `part` in it, owned; NULL: none. */
static inline char *help_find(const struct help *h, const char *part)
{
    char *found = NULL;
    DIR *d = opendir(h->dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) && !found;)
        if (strstr(e->d_name, part))
            found = path_join(h->dir, e->d_name);
    (void)closedir(d);
    return found;
}

/* ---- verify ---- */

struct help_findings {
    size_t count;
    struct chain_problem first[16];
    struct chain_result result;
};

static inline void help_found(void *arg, const struct chain_problem *p)
{
    struct help_findings *f = arg;
    if (f->count < ARRAY_LEN(f->first))
        f->first[f->count] = *p;
    f->count++;
}

static inline struct help_findings help_verify_with(const char *log, const char *head,
                                                    const char *key)
{
    struct help_findings f = {0};
    struct verify_options o = {.path = log, .head = head, .key = key};
    struct err err = {0};
    int r = verify_log(&o, help_found, &f, &f.result, &err);
    if (r != 0)
        fail_msg("verify: %s", err.text);
    assert_int_equal(f.count, f.result.problems);
    return f;
}

static inline void help_assert_sound(const char *log, const char *head)
{
    struct help_findings f = help_verify_with(log, head, NULL);
    if (f.count)
        fail_msg("%zu problems, the first: line %" PRIu64 ": %s", f.count, f.first[0].line,
                 f.first[0].text);
}

/* The first problem is of this kind, and about record `seq` (0: about none). */
static inline void help_assert_found(const struct help_findings *f, enum chain_kind kind,
                                     uint64_t seq)
{
    assert_true(f->count > 0);
    if (f->first[0].kind != kind || f->first[0].seq != seq)
        fail_msg("expected %s of %" PRIu64 ", found %s of %" PRIu64 ": %s", chain_kind_name(kind),
                 seq, chain_kind_name(f->first[0].kind), f->first[0].seq, f->first[0].text);
}
