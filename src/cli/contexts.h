/* SPDX-License-Identifier: MIT */
/* The wardens that a person knows by name: address, token, and perhaps the authority that vouches
 * for it. One file of the person's own, 0600: ~/.config/clawrden/contexts.json. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CONTEXTS_MAX 64
#define CONTEXTS_NAME_MAX 64

/* Where the file lies: owned. An agent must not see it. */
char *contexts_dir(void);

struct context {
    char *name, *api, *token, *ca; /* owned; token and ca may be NULL */
};

struct contexts {
    struct context at[CONTEXTS_MAX];
    size_t count;
    char *current; /* owned; NULL: none */
};
#define CONTEXTS_INIT ((struct contexts){.count = 0})
#define _cleanup_contexts_ _cleanup_(contexts_done)
void contexts_done(struct contexts *c);

/* 0, also when there is no file. -EPERM: others may read it; -EINVAL. */
int contexts_load(struct contexts *ret, struct err *err) MUST_CHECK;
int contexts_save(const struct contexts *c, struct err *err) MUST_CHECK;
struct context *contexts_find(struct contexts *c, const char *name);
/* Adds or replaces; copies. -ENOSPC. */
int contexts_put(struct contexts *c, const char *name, const char *api, const char *token,
                 const char *ca) MUST_CHECK;
void contexts_remove(struct contexts *c, struct context *one);
