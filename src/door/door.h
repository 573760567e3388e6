/* SPDX-License-Identifier: MIT */
/* The unix socket that shims call. It learns from the kernel who is calling, reads one request
 * within limits, hands it to the warden, and carries the verdict back. It never runs, resolves or
 * decides anything, and never keeps a descriptor that a caller sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/warden.h"

struct door;
struct gate_door;

struct door_config {
    const char *path;              /* borrowed for the door's life */
    mode_t mode;                   /* of the socket; default 0660 */
    gid_t group;                   /* of the socket; (gid_t)-1: ours */
    uint64_t request_deadline;     /* ns from accept to the whole request; default 5 s */
    unsigned connections_max;      /* in all; default 12288 */
    unsigned connections_max_peer; /* per uid; default 1024 */
    size_t bytes_max;              /* of requests held in all; default 256 MiB */
    size_t bytes_max_peer;         /* per uid; default 64 MiB */
    struct gate_door *gates;       /* borrowed; NULL: gates are refused */
    struct census *census;         /* borrowed; NULL: all callers are of this host */
    const struct bond *bond;       /* borrowed; to whom it belongs, or NULL: to everybody */
    bool accept_rights;            /* tests: as on a kernel without SO_PASSRIGHTS */
};
void door_config_default(struct door_config *c);

/* Makes the directory and the socket and listens. A socket nobody listens on is replaced;
 * -EADDRINUSE with words when somebody does. Nothing is accepted before door_start(). `w` is
 * borrowed. */
int door_new(uv_loop_t *loop, struct warden *w, const struct door_config *c, struct door **ret,
             struct err *err) MUST_CHECK;
void door_start(struct door *d);

/* Stops listening and takes the socket away if it is still ours; who is inside stays. */
void door_shut(struct door *d);
/* door_shut(), then ends every connection without withdrawing anything: version 2 shims that wait
 * claim their place at the next warden. Calls nothing of the warden, which may be gone by then. The
 * loop must run until its handles are closed. */
void door_close(struct door *d);
/* Behind door_close(), the loop, and warden_free(). Returns NULL. */
struct door *door_free(struct door *d);
CLEANUP_DEFINE(struct door, door_free)

size_t door_connections(const struct door *d);
