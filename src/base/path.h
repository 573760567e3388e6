/* SPDX-License-Identifier: MIT */
/* Paths as text, and making directories. Nothing here follows a path inside a prisoner. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"

/* dir + "/" + name, owned by the caller; an absolute `name` is returned as it is. */
char *path_join(const char *dir, const char *name);
/* Removes "//", "." and ".." from an absolute path by text alone ("/a/../b" is "/b"); owned.
 * NULL when it is not absolute. */
char *path_normalise(const char *path);
/* The directory of `path`, owned ("." when there is no slash). */
char *path_dirname(const char *path);
/* Makes `path` and what is missing on its way, each with `mode`. 0 when it is there already as a
 * directory. */
int path_mkdirs(const char *path, mode_t mode, struct err *err) MUST_CHECK;
