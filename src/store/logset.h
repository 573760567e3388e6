/* SPDX-License-Identifier: MIT */
/* The files of one audit log: the active one, PATH, and the rotated ones beside it, named
 * PATH.<UTC time>-<first seq>, e.g. audit.jsonl.20260131T081500Z-1201. Names and lists only. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct logset_file {
    char *path; /* owned */
    uint64_t first_seq;
    uint64_t rotated_at; /* realtime ns, by its name */
};

struct logset { /* rotated files, lowest first_seq first */
    struct logset_file *files;
    size_t count;
};

/* 0 also when there are none. */
int logset_list(const char *path, struct logset *ret, struct err *err) MUST_CHECK;
void logset_done(struct logset *s);
#define _cleanup_logset_ _cleanup_(logset_done)

/* Owned. */
char *logset_name(const char *path, uint64_t realtime, uint64_t first_seq);
/* True when `name` ends like a rotated file; *ret_log (may be NULL) is then the active path, owned.
 */
bool logset_is_rotated(const char *name, char **ret_log);
