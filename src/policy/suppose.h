/* SPDX-License-Identifier: MIT */
/* A command that nobody has called: what a helper would find out is taken for granted. The program
 * is the system's own of that name, paths are what their text says. For examples in a policy and
 * for questions ("what would happen to ..."), never for enforcement. */
#pragma once

#include "policy/policy.h"

#define SUPPOSE_PATHS_MAX 64

struct suppose {
    struct policy_request q; /* uid 0, no environment: set what is known better */
    struct policy_path paths[SUPPOSE_PATHS_MAX];
    const char *names[1];
};

/* `argv` (argc at least 1) and `cwd` (absolute) are borrowed until suppose_done(). With more path
 * operands than SUPPOSE_PATHS_MAX none is resolved, which is outside of everything. */
void suppose_begin(struct suppose *x, const struct policy *p, const char *const *argv, size_t argc,
                   const char *cwd);
void suppose_done(struct suppose *x);
