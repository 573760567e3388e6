/* SPDX-License-Identifier: MIT */
/* Refuses files and directories that somebody else could change under us. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

/* 0 when nobody but root and us can change `path` or put something else in its place: it and each
 * directory on its way, through symlinks, belongs to root or us and is not writable by others
 * (sticky directories may be). -EPERM with words, -ENOENT when it does not exist. */
int trust_path(const char *path, struct err *err) MUST_CHECK;
