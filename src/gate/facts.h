/* SPDX-License-Identifier: MIT */
/* What a stopped image is: which file the kernel opened, by which names the trusted directories
 * lead to it, which script it will read, where its operands lead, and whether the agent could have
 * made or changed any of it. Touches the agent's files, which may hang: finders
 * call it, and the tracing thread for what lies where nothing hangs. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/procfs.h"
#include "wire/pack.h"

struct facts_ask {
    pid_t pid;
    const char *execfn;              /* the path as it was called */
    struct pack_strings search;      /* trusted directories */
    struct pack_strings operands;    /* paths to resolve */
    const struct procfs_who *who;    /* NULL: to be read */
    const struct pack_strings *args; /* NULL: to be read */
};

/* Opens what is to be compared with later; before the agent runs. 0 or a negative errno: /proc is
 * not what it should be. */
int facts_init(void);

/* The mount that the program of `pid` was started through: its number, or 0. */
uint64_t facts_mount(pid_t pid);

/* Behind walls that were built so (`clawrden run`): the tree can write through no read-only mount
 * nor around it, so what lies there is trusted; and programs in `dirs` ("A:B", borrowed, may be
 * empty), the search path of whoever started all this, have their names when they are trusted. */
void facts_walled(const char *dirs);

/* Writes a GATEWIRE facts body; its size. What cannot be found out is an error in it. */
size_t facts_find(const struct facts_ask *ask, uint8_t *out, size_t size);
/* The same, for a thread that must not wait: 0 when that would mean to touch a file system that may
 * hang, or to read what the agent can write. Then a finder has to do it. */
size_t facts_find_here(const struct facts_ask *ask, uint8_t *out, size_t size);
