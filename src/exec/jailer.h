/* SPDX-License-Identifier: MIT */
/* The jailer of core/ports.h. Its containers are those of the engine that are governed (a door's
 * directory is mounted there, a door is bound to them, or they have asked before), and the doors
 * that are bound to a cgroup or a user namespace. The engine stops and ends its own; where it does
 * not answer, and for the others, the cgroup is frozen and what is in it is killed. */
#pragma once

#include <uv.h>

#include "core/ports.h"
#include "exec/census.h"
#include "exec/docker/docker.h"

struct jailer_config {
    uv_loop_t *loop;
    struct census *census;
    struct docker *engine;    /* NULL: none */
    const struct bond *bonds; /* `count` of them, borrowed for its life */
    size_t count;
    /* News for the warden; both may be NULL. */
    void (*arrived)(void *arg, const char *key);
    void (*removed)(void *arg, const char *key);
    void *arg;
};

struct jailer *jailer_new(const struct jailer_config *c);
/* Answers what is under way with -ECANCELED. Free it when the loop has closed its handles. */
void jailer_close(struct jailer *port);
struct jailer *jailer_free(struct jailer *port);
