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

/* The directories of our sockets (borrowed): a container into which one of them, or a file in it,
 * is mounted is governed. */
void docker_set_doors(struct docker *d, const char *const *dirs, size_t n);

/* `done` once, never before these return: 0; -EALREADY: it was so already; -ENOENT: no such
 * container runs; -EAGAIN: the engine does not answer; else negative with its words. */
typedef void docker_done(void *arg, int result, const char *words);
void docker_pause(struct docker *d, const char *id, bool on, docker_done *done, void *arg);
/* Only asks: -EALREADY it is `paused`, -EIO it is not. */
void docker_check(struct docker *d, const char *id, bool paused, docker_done *done, void *arg);
void docker_kill(struct docker *d, const char *id, int signo, docker_done *done, void *arg);

/* Looks at this container anew: the census hears what became of it. */
void docker_look(struct docker *d, const char *id);

bool docker_ready(const struct docker *d); /* it has answered, and events are being followed */
/* Why not, or "". */
const char *docker_words(const struct docker *d);
