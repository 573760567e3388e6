/* SPDX-License-Identifier: MIT */
/* What the parts of the shim share: how it was called, and its ways out. */
#pragma once

#include <stdint.h>

#include "shim/conn.h"

#define SHIM_SOCKET "/var/run/clawrden/warden.sock"
#define SHIM_EXIT_FAILED 125 /* Clawrden could not do its job */

struct shim {
    struct conn_request request;
    const char *name;
    const char *socket;
    unsigned gone;   /* bit per std descriptor whose reader was already gone at the start */
    unsigned closed; /* bit per std descriptor that was closed */
    unsigned ttys;   /* bit per std descriptor that is a terminal */
    unsigned more;   /* descriptors above 2 that were inherited, too */
    uint16_t inherited[V2_FDS_MORE_MAX];
    int parent;
    int leader; /* of the session; 0 when it is none of our pid namespace */
};

/* "clawrden: NAME: WHAT (WHY): ADVICE", then exit 125. `why` may be NULL. */
_Noreturn void shim_fail(const struct shim *s, const char *what, const char *why,
                         const char *advice);
