/* SPDX-License-Identifier: MIT */
/* Which containers there are, and in which one a process lives: it descends, in every cgroup
 * hierarchy, from the first process of a container that an engine reports. An engine's adaptor
 * (docker/docker.c) fills it; without an engine a door's bond can name one. */
#pragma once

#include <stddef.h>
#include <uv.h>

#include "base/list.h"
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
/* Each that runs; `fn` must not change the census. */
void census_each(struct census *port, void (*fn)(void *arg, struct container *c), void *arg);
/* The text of /proc/PID/cgroup of its first process; borrowed. NULL: not known. */
const char *census_cgroups(const struct census *port, const char *id);
/* Whether a door bound like this is for that container. */
bool census_belongs(const struct bond *b, const struct container *c);
/* Who hears of containers that have begun to run, of ids of those that were removed, and that the
 * engine answers after it was away (what was removed meanwhile was not told). Each may be NULL. */
struct census_listener {
    struct list link; /* the census' */
    void (*arrived)(void *arg, struct container *c);
    void (*removed)(void *arg, const char *id);
    void (*returned)(void *arg);
    void *arg;
};
/* `l` is borrowed until census_unlisten(), which is harmless for one that does not listen. */
void census_listen(struct census *port, struct census_listener *l);
void census_unlisten(struct census_listener *l);
/* It is not there any more, running or not. */
void census_removed(struct census *port, const char *id);
/* The engine's side says that it answers again. */
void census_returned(struct census *port);
size_t census_count(const struct census *port);
/* Forgets those of which `keep` says false. */
void census_sweep(struct census *port, bool (*keep)(void *arg, const struct container *c),
                  void *arg);
