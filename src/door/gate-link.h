/* SPDX-License-Identifier: MIT */
/* One gate's connection as bytes: whole messages in, with the descriptors and the sender that the
 * kernel names, and messages out, never blocking. Private to src/door. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/err.h"
#include "door/disposer.h"
#include "door/peer.h"
#include "wire/gatewire.h"

#define GATE_LINK_FDS_MAX 64

struct gate_link {
    int fd;                    /* owned */
    struct peer_creds who;     /* pid 0 until the first message, for an inherited one */
    struct disposer *disposer; /* borrowed */
    struct buf in, out;
    int fds[GATE_LINK_FDS_MAX]; /* owned; received, in order */
    size_t fds_count;
    int out_fd;       /* owned; to be sent, -1 none */
    size_t out_fd_at; /* with that byte of `out` */
};

void gate_link_init(struct gate_link *l, int fd, struct disposer *d);
void gate_link_done(struct gate_link *l);

/* Reads once. 1: something came; 0: nothing is there; negative with words: it is over. */
int gate_link_read(struct gate_link *l, struct err *err) MUST_CHECK;
/* The next whole message: 1, and the body until gate_link_pop(). 0: none. -EBADMSG. */
int gate_link_peek(const struct gate_link *l, struct gatewire_head *ret, const uint8_t **ret_body);
void gate_link_pop(struct gate_link *l, const struct gatewire_head *h);
/* The descriptor that came with the oldest REQUEST; -1: none did. Owned by the caller. */
int gate_link_take_fd(struct gate_link *l);

/* Puts a message into `out`; -EMSGSIZE: so much was never read that the gate is lost. */
int gate_link_put(struct gate_link *l, enum gatewire_type type, const void *body, size_t n);
/* The same without a body, and with `fd`, which it owns. -EBUSY: the one before was not read yet.
 */
int gate_link_put_fd(struct gate_link *l, enum gatewire_type type, int fd) MUST_CHECK;
/* Sends what it can. 0, also when some is left. */
int gate_link_flush(struct gate_link *l) MUST_CHECK;
