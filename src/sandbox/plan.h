/* SPDX-License-Identifier: MIT */
/* What a governed tree sees of the file system, as a list: everything is read-only but what a step
 * says otherwise. Text only; view.c and landlock.c carry it out. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"

/* In the order in which steps on the same path are laid over each other: the last one wins. */
enum plan_kind {
    PLAN_BLANK,    /* an empty directory of its own, in memory, writable */
    PLAN_WRITABLE, /* as it is, and what is below, to be changed */
    PLAN_SHOWN,    /* as it was, read-only, inside of something blank or hidden */
    PLAN_FIXED,    /* read-only inside of something writable */
    PLAN_HIDDEN,   /* an empty directory, or an empty file, read-only */
};

struct plan_step {
    enum plan_kind kind;
    char *path;  /* owned; absolute, without symlinks */
    mode_t mode; /* of a blank directory */
};

struct plan {
    struct plan_step *steps; /* owned; parents before what is below them */
    size_t count;
};
#define PLAN_INIT ((struct plan){0})
#define _cleanup_plan_ _cleanup_(plan_done)
void plan_done(struct plan *p);

/* `path` must be absolute and normal (path_normalise()); the same step twice counts once. */
void plan_add(struct plan *p, enum plan_kind kind, const char *path, mode_t mode);

/* The same for what may be a symlink or missing: its real path; 0 when it is not there, else 1.
 * -EINVAL with words for what is neither a directory nor a file nor a socket. */
int plan_add_real(struct plan *p, enum plan_kind kind, const char *path,
                  struct err *err) MUST_CHECK;

/* Once all is added: what would be hidden inside of something blank or hidden is gone already. */
void plan_drop_covered(struct plan *p);

/* True when `path` is `dir` or lies below it. Both absolute and normal. */
bool plan_is_below(const char *path, const char *dir);

/* What may be said of `path` when the plan is carried out, by the nearest step above it: false when
 * there is none, which means read-only and visible. */
bool plan_find(const struct plan *p, const char *path, enum plan_kind *ret);

/* 0 when the governed tree cannot write to `path` by this plan, nor put something else in its
 * place. -EPERM with words that begin with `what`. */
int plan_check_private(const struct plan *p, const char *path, const char *what,
                       struct err *err) MUST_CHECK;
