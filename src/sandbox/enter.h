/* SPDX-License-Identifier: MIT */
/* Starts a program behind walls: namespaces where this host lets us have them, else Landlock. The
 * caller must have one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

#define ENTER_FDS_MAX 4

/* From the weakest to the strongest. */
enum enter_wall {
    ENTER_WALL_NONE,
    ENTER_WALL_LANDLOCK,   /* writes only; nothing is hidden */
    ENTER_WALL_NAMESPACES, /* a view of the files of its own */
};

struct enter_way {
    enum enter_wall wall;
    bool user; /* a user namespace; else, with namespaces, we have the rights without one */
    bool pids; /* a pid namespace: the tree ends as a whole, and sees nobody else */
    bool network;
    bool scopes; /* Landlock keeps it from abstract sockets and from signalling others */
};

struct enter {
    const struct plan *plan; /* borrowed, as all here */
    const char *cwd;
    char *const *argv; /* argv[0] is the program's path; NULL: only try the walls, then exit 0 */
    char *const *env;
    int fds[ENTER_FDS_MAX]; /* become descriptors 3, 4 ... */
    size_t fds_count;
    bool terminal;  /* give it one of its own... */
    bool std_at[3]; /* ... as these of descriptors 0, 1 and 2, */
    int like;       /* ... with the modes and size of this one */
    bool no_network;
    enum enter_wall strongest; /* ENTER_WALL_NONE: the strongest there is */
};

struct entered {
    struct enter_way way;
    pid_t pid;
    int pidfd;    /* owned */
    int terminal; /* owned; the other side of its terminal, -1 none */
};
#define ENTERED_INIT ((struct entered){.pidfd = -1, .terminal = -1})

/* Tries the ways from the strongest to the weakest not under `weakest`. 0: it runs, and dies with
 * us; `err` has the words of each stronger way that could not be had. -EPERM with all of them. */
int enter_start(const struct enter *e, enum enter_wall weakest, struct entered *ret,
                struct err *err) MUST_CHECK;

const char *enter_wall_name(enum enter_wall wall); /* "none", "landlock", "namespaces" */
/* -EINVAL for another word. */
int enter_wall_parse(const char *name, enum enter_wall *ret) MUST_CHECK;
