/* SPDX-License-Identifier: MIT */
/* Shims on this host: do the links point at one, and does each kind of shell find them first? */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

/* True when `path` leads to clawrden-shim, by the mark in its first page, whatever it is called. */
bool doctor_shims_is(const char *path);

struct doctor_shell {
    const char *kind;  /* "login bash" ... */
    bool there;        /* this shell is installed and answered */
    size_t missed;     /* names for which it finds something else first */
    char example[512]; /* "git is /usr/bin/git" */
};

#define DOCTOR_SHELLS 6

struct doctor_shims {
    char *dir;    /* owned; NULL: there are none */
    char **names; /* owned; those that are shims */
    size_t count;
    size_t broken; /* links in the folder that lead nowhere, or to something else */
    char broken_example[512];
    struct doctor_shell shells[DOCTOR_SHELLS];
};
void doctor_shims_done(struct doctor_shims *s);

/* Looks in `dir`, or NULL: in the first folder on PATH with a shim in it. -ENOENT with words when
 * `dir` has none. Starts each shell once, for at most five seconds. */
int doctor_shims_find(const char *dir, struct doctor_shims *ret, struct err *err) MUST_CHECK;
