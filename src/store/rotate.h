/* SPDX-License-Identifier: MIT */
/* Changing from one file of the log to the next, and choosing which old ones go. At each moment
 * PATH exists: the new file gets its first record under another name and then takes the place of
 * the old one, which by then has its rotated name too. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/record.h"

/* Makes the new active file with `line` (a whole record) as its first; the old active file becomes
 * `rotated`. On failure nothing has changed. */
int rotate_files(const char *path, const char *rotated, mode_t mode, const char *line, size_t len,
                 int *ret_fd, struct err *err) MUST_CHECK;

/* Which rotated files to delete: all but the newest `keep_count` (0: no limit), and those rotated
 * more than `keep_age` ns before `realtime` (0: no limit). */
struct rotate_pruning {
    char **paths; /* owned */
    size_t count;
    uint64_t first_seq, last_seq;
    char last_hash[RECORD_HASH_SIZE]; /* of record last_seq */
};
int rotate_choose(const char *path, unsigned keep_count, uint64_t keep_age, uint64_t realtime,
                  struct rotate_pruning *ret, struct err *err) MUST_CHECK;
void rotate_pruning_done(struct rotate_pruning *p);
