/* SPDX-License-Identifier: MIT */
/* What one run may write, see and reach: the plan for its walls, from its options. */
#pragma once

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

struct run_view {
    const char *workspace;    /* real; borrowed, as all here */
    const char *session;      /* the directory of state, and of policy and audit if they are ours */
    const char *policy;       /* real */
    const char *writes;       /* --write: separated by ':', or NULL */
    const char *hides;        /* --hide: the same */
    const char *const *words; /* the command */
    size_t count;
};

/* Fills `p`; *ret_agent (owned) names a known agent or stays NULL; `notes` gets lines for the
 * person. -EPERM when policy, audit or state would lie where the agent can write. */
int run_view_make(const struct run_view *v, struct plan *p, char **ret_agent, struct buf *notes,
                  struct err *err) MUST_CHECK;

/* The directories of our own PATH and this program's ("A:B", owned, may be empty) that the plan
 * lets nobody write: the person's tools. NULL: nothing read-only may be trusted, because it can be
 * written by another way; `notes` says which. */
char *run_view_tools(const struct plan *p, struct buf *notes);
