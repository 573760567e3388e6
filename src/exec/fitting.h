/* SPDX-License-Identifier: MIT */
/* The warden's side of mirror/cover: has the helper mount the shim over tools of a container. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/container.h"
#include "exec/mirror.h"

struct fitting;

/* Before the resolver, which takes every answer to a lookup for its own. `m` is borrowed. */
struct fitting *fitting_new(struct mirror *m);
struct fitting *fitting_free(struct fitting *f);
/* Whoever waits goes away: no `done` is called any more for what was asked. */
void fitting_forget(struct fitting *f);

/* `result`: 0, or negative and `words` say why. Else `paths` (count strings, one behind the other)
 * are covered now, and words, when not "", say what is not. `window`: ns from the start of the
 * container's first process, to the 10 ms of the kernel's clock ticks; 0: not known. */
typedef void fitting_done(void *arg, const char *container, int result, const char *paths,
                          size_t count, const char *words, uint64_t window);

/* `shim` is the path of a file; all copied. `below`: for HELPER_BELOW, owned; -1 none. One order
 * for a container is carried out after the other. `done` once, later. */
int fitting_cover(struct fitting *f, struct container *c, const char *const *search,
                  const char *const *commands, size_t count, const char *shim, int below,
                  fitting_done *done, void *arg, struct err *err) MUST_CHECK;
