/* SPDX-License-Identifier: MIT */
/* Sockets of workers that the helper has lent to us (docs/protocol-helper.md): each keeps a seat in
 * a container and does one thing at a time, a lookup or a command. Here is which is free, and which
 * does what; what is said on them is the mirror's matter. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/err.h"
#include "exec/courier.h"

struct direct_config {
    uv_loop_t *loop;  /* borrowed */
    uint8_t *room;    /* borrowed, COURIER_PACKET_MAX bytes for what comes in */
    courier_got *got; /* for each message */
    /* A worker is gone, has given up its seat, or does not answer a lookup. `job` was asked of it
     * and will not be answered.
     */
    void (*lost)(void *arg, uint64_t job);
    void *arg;
};

struct direct;

struct direct *direct_new(const struct direct_config *c);
/* Closes all; nobody hears of it. */
void direct_close(struct direct *l);
struct direct *direct_free(struct direct *l);
/* Takes `fd`, of a worker in the container of `init`; it is closed when that fails. */
void direct_add(struct direct *l, pid_t init, int fd);
/* A free one in the container of `init` is for `job` from now on. False: there is none. */
bool direct_claim(struct direct *l, pid_t init, uint64_t job);
/* The one of `job` is free again, or, with `next` not 0, for that. False: there is none. */
bool direct_pass(struct direct *l, uint64_t job, uint64_t next);
/* Its socket; -1: it has none. */
int direct_fd(const struct direct *l, uint64_t job);
