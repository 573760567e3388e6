/* SPDX-License-Identifier: MIT */
/* What a lookup saw of a caller, kept for the start of its command. A lent worker does both, one
 * right behind the other, and what may have changed within the time that the warden needs to judge
 * could as well change right behind a second look. So there is none, when the start comes at once;
 * it is still asked whether the caller, its container and the seat live. The rest that a start
 * needs to know is read here, while the warden judges. */
#pragma once

#include <stdbool.h>

#include "mirror/job.h"

struct ticket_facts {
    const struct helper_peer *peer;
    pid_t init;
    const struct subject *subject;
    struct inside *inside; /* its root is taken over */
    int *cwd;              /* taken over: the caller's directory, O_PATH */
};

/* Without one when the seat would not do for its command; nothing is taken over then. */
void ticket_write(const struct worker *w, const struct ticket_facts *f);
/* Fills in what it knows of the caller and its container. False: there is none for this command, or
 * it is too old. It is gone in any case. */
bool ticket_take(struct job *j);
void ticket_drop(void);
