/* SPDX-License-Identifier: MIT */
/* Tools of a container under the shim: it is mounted over them in the container's own mount
 * namespace, where only CAP_SYS_ADMIN could take it off, and the helper finds what lies below by a
 * copy of the root mount without the mounts on it. Nothing is kept anywhere. A mount that somebody
 * else made over a tool, with the shim as its source, is the same. */
#pragma once

#include <stdbool.h>

#include "mirror/inside.h"
#include "mirror/way.h"
#include "mirror/worker.h"

#define COVER_MARK "CLAWRDEN-SHIM-v2"
#define COVER_MAX (2 * HELPER_PATHS_MAX) /* mounts of one order */

/* The first bytes of a program are those of a shim. */
bool cover_is_shim(const char *head, size_t n);
/* `path` itself (a symlink is not followed) has something mounted over it; `dir` as for openat(2).
 */
bool cover_is_mount(int dir, const char *path);

/* The order: `shim` over each tool of `ask->paths` that the directories of `ask->search` have, in
 * the container that `in` is. Fills error, words and names (the paths that are covered now) of
 * `ret`; what they point to is static. `below` (-1: nobody asks) is told of each cover, for a gate
 * in there: a struct gatewire_cover, and the directory as it is without covers. */
void cover_run(const struct worker *w, const struct inside *in, const struct helper_resolve *ask,
               int shim, int below, struct helper_resolved *ret);

/* In a child that has entered the container's files and still has all rights: the root mount
 * without what is mounted on it; -1 when it cannot be had. */
int cover_open_below(void);
/* From outside: what lies below the cover at `path`, O_PATH, at a number that no caller's has; -1
 * when nothing is covered there. */
int cover_open_program(const struct worker *w, const struct inside *in, const char *path);
