/* SPDX-License-Identifier: MIT */
/* Finds rotated files by their names. What else lies in the directory is none of its business. */
#include "store/logset.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define STAMP_LEN 16 /* 20260131T081500Z */

static void dirp_close(DIR **d)
{
    if (*d)
        (void)closedir(*d);
}

/* ".20260131T081500Z-1201" and nothing behind it. */
static bool parse_suffix(const char *s, uint64_t *ret_at, uint64_t *ret_seq)
{
    if (strlen(s) < 1 + STAMP_LEN + 2 || s[0] != '.' || s[1 + STAMP_LEN] != '-')
        return false;
    char text[32];
    (void)snprintf(text, sizeof(text), "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", s + 1, s + 5, s + 7,
                   s + 10, s + 12, s + 14);
    return s[9] == 'T' && s[16] == 'Z' && clock_parse(text, ret_at) == 0 &&
           str_parse_u64(s + 2 + STAMP_LEN, INT64_MAX, ret_seq) == 0;
}

static int by_seq(const void *a, const void *b)
{
    const struct logset_file *x = a, *y = b;
    if (x->first_seq != y->first_seq)
        return x->first_seq < y->first_seq ? -1 : 1;
    return strcmp(x->path, y->path);
}

int logset_list(const char *path, struct logset *ret, struct err *err)
{
    *ret = (struct logset){0};
    _cleanup_free_ char *dir = path_dirname(path);
    const char *base = str_basename(path);
    _cleanup_(dirp_close) DIR *d = opendir(dir);
    if (!d)
        return err_errno(err, -errno, "cannot list '%s'", dir);
    for (struct dirent *e; (errno = 0, e = readdir(d)) != NULL;) {
        struct logset_file f = {0};
        if (!str_starts(e->d_name, base) ||
            !parse_suffix(e->d_name + strlen(base), &f.rotated_at, &f.first_seq))
            continue;
        f.path = path_join(dir, e->d_name);
        ret->files = mem_realloc_array(ret->files, ret->count + 1, sizeof(*ret->files));
        ret->files[ret->count++] = f;
    }
    if (errno) {
        int r = -errno;
        logset_done(ret);
        return err_errno(err, r, "cannot list '%s'", dir);
    }
    if (ret->count > 0)
        qsort(ret->files, ret->count, sizeof(*ret->files), by_seq);
    return 0;
}

void logset_done(struct logset *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->files[i].path);
    free(s->files);
    *s = (struct logset){0};
}

char *logset_name(const char *path, uint64_t realtime, uint64_t first_seq)
{
    char t[32];
    (void)clock_format(realtime, t); /* 2026-01-31T08:15:00.123456789Z */
    return mem_printf("%s.%.4s%.2s%.2sT%.2s%.2s%.2sZ-%" PRIu64, path, t, t + 5, t + 8, t + 11,
                      t + 14, t + 17, first_seq);
}

bool logset_is_rotated(const char *name, char **ret_log)
{
    uint64_t at, seq;
    const char *dot = strrchr(name, '.');
    if (!dot || dot == name || !parse_suffix(dot, &at, &seq))
        return false;
    if (ret_log)
        *ret_log = mem_strndup(name, (size_t)(dot - name));
    return true;
}
