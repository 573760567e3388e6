/* SPDX-License-Identifier: MIT */
/* Reads a file line by line in bounded memory, from any offset, without moving the descriptor's
 * own position. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

struct lines {
    int fd;
    bool owned;     /* fd is closed by lines_done() */
    size_t max;     /* longest line that is kept */
    off_t offset;   /* of the first byte behind the last whole line */
    off_t position; /* of the next read */
    struct buf buf;
    size_t begin;   /* where the next line begins in buf */
    size_t scanned; /* no newline before here */
    size_t dropped; /* bytes of a line longer than max that were let go */
};

void lines_init(struct lines *l, int fd, off_t offset, size_t max); /* fd is borrowed */
/* The whole of a file, which is opened. *l can be given to lines_done() in any case. */
int lines_open(struct lines *l, const char *path, size_t max, struct err *err) MUST_CHECK;
void lines_done(struct lines *l);
#define _cleanup_lines_ _cleanup_(lines_done)

/* 1: a line, without its newline, borrowed until the next call. *ret is NULL when it was longer
 *    than max; *ret_len is its true length.
 * 0: the end; what stands behind the last newline is in *ret, *ret_len (0 bytes: nothing). More may
 *    have been appended at the next call: whole lines are then found as usual.
 * Negative errno: the file could not be read. */
int lines_next(struct lines *l, const char **ret, size_t *ret_len);

/* Where the last `n` whole lines before `end` begin (0 when there are fewer); *ret_found: how many
 * there are. Bytes behind the last newline do not count. 0 or negative errno. */
int lines_back(int fd, off_t end, uint64_t n, off_t *ret_offset, uint64_t *ret_found);
