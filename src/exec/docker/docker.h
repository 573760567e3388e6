/* SPDX-License-Identifier: MIT */
/* The Docker Engine API (and Podman's, which is compatible) over its unix socket: tells the census
 * which containers run, and carries out orders on them. Uses version 1.24 of the API and later,
 * whichever the engine has: https://docs.docker.com/engine/api/ */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "core/ports.h"

struct client_loop;
struct docker;

/* `socket` is copied, `census` borrowed. The engine may be away now and later: it is asked again
 * every second. */
int docker_new(uv_loop_t *loop, const char *socket, struct census *census, struct docker **ret,
               struct err *err) MUST_CHECK;
/* Frees itself when the loop has closed its handles. */
void docker_close(struct docker *d);

/* For orders to the same engine. */
struct client_loop *docker_client(const struct docker *d);
const char *docker_socket(const struct docker *d);
struct list *docker_execs(struct docker *d); /* what dockexec.c keeps here */

bool docker_ready(const struct docker *d); /* it has answered, and events are being followed */
/* Why not, or "". */
const char *docker_words(const struct docker *d);
