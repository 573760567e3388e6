/* SPDX-License-Identifier: MIT */
/* Reads all lines of a log in order, file by file, while a warden may append, rotate and prune. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct walk_ops {
    void (*file)(void *arg, const char *name); /* the next file begins; may be NULL */
    /* Without its newline; `line` NULL: longer than a record can be. Not 0 ends the walk. */
    int (*line)(void *arg, const char *line, size_t len);
    /* Bytes without a newline at the end of a file, also after waiting for a writer; may be NULL,
     * then nobody waits. */
    void (*torn)(void *arg, size_t len);
};

/* `path`: the active file, or (`single`, or by its name) one file alone. Files whose records are
 * all up to `after` are left out as far as their names tell. Returns 0, what line() returned, or a
 * negative errno with words when a file could not be read. */
int walk_log(const char *path, uint64_t after, bool single, const struct walk_ops *ops, void *arg,
             struct err *err) MUST_CHECK;
