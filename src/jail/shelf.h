/* SPDX-License-Identifier: MIT */
/* The directories of jails as containers see them: DIR/NAME holds a copy of the shim and, for each
 * command, a link to it. Links are relative, so a name that is put in here appears at once wherever
 * the directory is mounted. Whatever else lies in one is taken away. Blocks, for as long as a few
 * small files take on a disk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SHELF_SHIM "clawrden-shim"

struct shelf;

/* Makes `dir` (0755) when it is missing, and removes what a killed warden was in the middle of.
 * `shim` is read now; NULL or a file that is no shim: -ENOENT, -EBADMSG with words. -EPERM when
 * somebody else could change the directory. */
int shelf_open(const char *dir, const char *shim, struct shelf **ret, struct err *err) MUST_CHECK;
struct shelf *shelf_free(struct shelf *s);
CLEANUP_DEFINE(struct shelf, shelf_free)

const char *shelf_dir(const struct shelf *s);
/* Makes the directory of `name` hold these commands and nothing else. A new one appears with all of
 * them, one that is there stays the same directory. Names have been checked (policy/jailname.h).
 * After an error some names may be right and others not yet: call it again. */
int shelf_put(struct shelf *s, const char *name, const char *const *commands, size_t count,
              struct err *err) MUST_CHECK;
/* 0 also when there is none. */
int shelf_remove(struct shelf *s, const char *name, struct err *err) MUST_CHECK;
/* Removes each jail of which `keep` says false; an empty directory is none. */
int shelf_sweep(struct shelf *s, bool (*keep)(void *arg, const char *name), void *arg,
                struct err *err) MUST_CHECK;
