/* SPDX-License-Identifier: MIT */
/* Programs of an agent's own (./a.out, target/debug/x, venv/bin/python) that a person said yes to
 * for as long as a gate's tree lives. Bound to the tree, the user, the path and the content; and to
 * nothing that is said on the command line: whoever remembers a program trusts all that it does.
 * Only what the policy asks because it is unknown is remembered, never what a rule asks. In memory
 * only. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/request.h"

#define REMEMBER_MAX 4096 /* programs; beyond that nothing more is remembered */

struct remember;
struct remember *remember_new(void);
struct remember *remember_free(struct remember *m);
CLEANUP_DEFINE(struct remember, remember_free)

/* 0 when a yes to `r` may be remembered, else -EINVAL with words. */
int remember_check(const struct request *r, struct err *err) MUST_CHECK;
/* Keeps the yes of `who`; silently not when remember_check() fails or it is full. */
void remember_add(struct remember *m, const struct request *r, const char *who);
/* Keeps it for the next program of this very process only: `#!/usr/bin/env python3` is two starts
 * of one script, and a person is asked once. */
void remember_next(struct remember *m, const struct request *r, const char *who);
/* "NAME (request ID)" of the yes that covers `r`, into `out`; takes back one that was for the next
 * program only. False: none does. */
bool remember_find(struct remember *m, const struct request *r, char *out, size_t size);
/* The tree is gone. */
void remember_forget(struct remember *m, uint64_t tree);
size_t remember_count(const struct remember *m);
