/* SPDX-License-Identifier: MIT */
/* File descriptors: whole writes, whole files, small helpers. Close-on-exec from birth; -1 is the
 * only "none". */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

int fd_write_all(int fd, const void *p, size_t n); /* blocking fd; 0 or negative errno */
/* Reads to the end; -EMSGSIZE past out->limit. Blocking fd. */
int fd_read_all(int fd, struct buf *out);
int fd_set_nonblock(int fd);

/* Reads a whole regular file of at most `limit` bytes. Refuses what is not a regular file. */
int fd_read_file(const char *path, size_t limit, struct buf *out, struct err *err) MUST_CHECK;
/* Writes a file beside its name and renames it over, fsyncing file and directory. */
int fd_write_file(const char *path, mode_t mode, const void *p, size_t n,
                  struct err *err) MUST_CHECK;
