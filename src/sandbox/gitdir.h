/* SPDX-License-Identifier: MIT */
/* What of a workspace's repository runs later, outside: hooks and configuration. They become
 * read-only, and the directory that holds them cannot be moved away. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

/* Adds the steps for `workspace` (real). A worktree's repository elsewhere becomes writable, as git
 * needs it, if that repository names this worktree as its own. What cannot be protected is said in
 * `notes`, one line each. */
int gitdir_protect(struct plan *p, const char *workspace, struct buf *notes,
                   struct err *err) MUST_CHECK;

/* The path in the text of a .git file ("gitdir: PATH"): owned, NULL for anything else. */
char *gitdir_parse(const char *text, size_t len);

/* After the run: what makes git read hooks or configuration from where the agent could write.
 * Words, one line each, in `notes`. */
void gitdir_inspect(const char *workspace, struct buf *notes);
