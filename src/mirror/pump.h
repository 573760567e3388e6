/* SPDX-License-Identifier: MIT */
/* Carries the streams of a command that a container's engine runs: between the descriptors that its
 * caller handed over and the one connection that the engine's API has for all of them. A process of
 * its own, with the caller's ids and no rights: whatever it has to wait for, nobody waits for it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "mirror/child.h"

struct pump {
    struct child_plan *plan; /* its caller's connection, or the pipes of a version 1 caller */
    int stream;              /* the engine's, which has been asked to start and has not answered */
    int process;             /* pidfd of the command; -1: it has ended */
    int news;                /* it tells here */
    bool tty;                /* one stream, not two in frames, and a terminal on our side */
    bool leads;              /* is to be in the pty's foreground */
};

/* What it tells: so many bytes each. */
struct pump_news {
    unsigned char kind;
    unsigned short rows, columns;
};
enum pump_kind {
    PUMP_HAS_FDS = 1, /* first: what the caller handed over is no longer on its connection */
    PUMP_RESIZED,
    PUMP_NO_READER,
};

/* Its exit status. */
enum pump_end { PUMP_FINE, PUMP_REFUSED = 10, PUMP_BROKEN, PUMP_NO_FDS };

_Noreturn void pump_run(const struct pump *p);
