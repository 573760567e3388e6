/* SPDX-License-Identifier: MIT */
/* The door for gates: each speaks for all programs of one tree over one connection. It pins the
 * process that a request is about by the kernel, lets a gate speak for what descends from it only,
 * and carries the verdict back. It is two executors too: 'inplace', for what it starts runs
 * already, and 'redirect', which has the program become the shim. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/warden.h"
#include "door/peer.h"

struct gate_door;

/* `next` (borrowed) resolves what does not come by a gate. */
struct gate_door *gate_door_new(uv_loop_t *loop, struct resolver *next);
void gate_door_set_warden(struct gate_door *d, struct warden *w);
struct resolver *gate_door_resolver(struct gate_door *d);
struct executor *gate_door_inplace(struct gate_door *d);
/* `shim`: absolute path in the trees of the gates; copied. */
struct executor *gate_door_redirect(struct gate_door *d, const char *shim);

/* Borrowed: no agent starts in a container before it is done there. */
void gate_door_set_fitter(struct gate_door *d, struct fitter *f);
/* What is covered in the container of this id has changed. */
void gate_door_refit(struct gate_door *d, const char *container);

/* `fd`, a connected stream socket that was inherited, is the one gate from now on: others are
 * refused. Owned by the door. Negative with words: it is no such socket. */
int gate_door_inherit(struct gate_door *d, int fd, struct err *err) MUST_CHECK;
/* A connection that began with GATEWIRE_MAGIC; owns `fd`. `p`, `n`: what was read behind the magic.
 * Takes the pidfd out of `who`. `census`, `bond`: of the door that it came to, borrowed. */
void gate_door_accept(struct gate_door *d, int fd, struct peer_creds *who, struct census *census,
                      const struct bond *bond, const void *p, size_t n);

/* Whether `pid` stands below one of the gates, or that cannot be told. */
bool gate_door_governs(const struct gate_door *d, pid_t pid);

/* Ends all connections. Calls nothing of the warden, which may be gone by then. The loop must run
 * until its handles are closed; then free. */
void gate_door_close(struct gate_door *d);
struct gate_door *gate_door_free(struct gate_door *d);
CLEANUP_DEFINE(struct gate_door, gate_door_free)
