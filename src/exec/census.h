/* SPDX-License-Identifier: MIT */
/* Which containers there are, and in which one a process lives: it descends, in every cgroup
 * hierarchy, from the first process of a container that an engine reports. An engine's adaptor
 * (docker/docker.c) fills it; without an engine a door's bond can name one. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "core/ports.h"

/* The engine's side. */
struct census_engine {
    /* Asks what runs; census_answered() follows, also when the engine does not answer. */
    void (*refresh)(void *arg);
    void *arg;
};

struct census *census_new(uv_loop_t *loop);
/* Run the loop once more before census_free(). */
void census_close(struct census *port);
struct census *census_free(struct census *port);

/* `e` is borrowed. */
void census_set_engine(struct census *port, const struct census_engine *e);
void census_answered(struct census *port);

/* Takes the reference to a running container: binds it to process `init`, which must be one of its
 * cgroup. One of the same id is replaced. -ESRCH, -EBADMSG with words: it is not taken. */
int census_put(struct census *port, struct container *c, pid_t init, struct err *err) MUST_CHECK;
void census_remove(struct census *port, const char *id);
/* By id, name or the beginning of an id (12 digits or more); NULL: none runs. Borrowed. */
struct container *census_find(struct census *port, const char *name);
size_t census_count(const struct census *port);
/* Forgets those of which `keep` says false. */
void census_sweep(struct census *port, bool (*keep)(void *arg, const struct container *c),
                  void *arg);
