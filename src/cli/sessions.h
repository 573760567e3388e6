/* SPDX-License-Identifier: MIT */
/* The running sessions of `clawrden run`: each has a directory STATE/run/NAME with its warden's API
 * socket. A session is one whose socket answers; nothing else is believed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

#define SESSIONS_NAME_MAX 64

/* A name for a directory: letters, digits, '-', '_', '.', not beginning with '.'. */
bool sessions_name_ok(const char *name);

/* STATE/run, owned. */
char *sessions_root(void);

struct sessions {
    char **names;     /* owned, sorted; NULL-terminated */
    char **addresses; /* owned; "unix:STATE/run/NAME/api.sock" */
    size_t count;
};
#define SESSIONS_INIT ((struct sessions){0})
void sessions_done(struct sessions *s);

/* Those that accept a connection now. */
void sessions_find(struct sessions *ret);

/* Waits until the API of the session at `dir` accepts. -ETIMEDOUT; -ECHILD when `pidfd` (of its
 * warden) ends first. */
int sessions_await(const char *dir, int pidfd, unsigned ms) MUST_CHECK;
