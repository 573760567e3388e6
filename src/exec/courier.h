/* SPDX-License-Identifier: MIT */
/* Packets of wire/helper on a SOCK_SEQPACKET socket: out, and in. Never blocks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "wire/helper.h"

#define COURIER_PACKET_MAX (HELPER_HEAD_SIZE + HELPER_INLINE_MAX)

/* A message ready to be sent, in a buffer of COURIER_PACKET_MAX bytes. */
struct courier_letter {
    uint8_t *packet; /* borrowed */
    size_t len;
    int fds[HELPER_FDS_MAX]; /* borrowed, but the attached one */
    unsigned fds_count;
    int attached; /* owned, the last of them: a body that is too long for a packet; or -1 */
};

/* Writes head and body into `room`. 0 or negative errno; courier_done() closes what it owns. */
int courier_write(struct courier_letter *l, uint8_t *room, enum helper_type type, uint64_t job,
                  const uint8_t *body, size_t len, const int *fds, unsigned fds_count);
void courier_done(struct courier_letter *l);
/* 0 or negative errno; -EAGAIN: the socket takes nothing now. */
int courier_send(int sock, const uint8_t *packet, size_t len, const int *fds, unsigned fds_count);

/* `body` is valid during the call; `fd` came with it, or is -1: take it by setting -1. */
typedef void courier_got(void *arg, const struct helper_head *h, const uint8_t *body, int *fd);
/* One message, read into `room`. 1: it was handed to `got`; 0: the end; -EAGAIN: none is there;
 * anything else: nonsense. */
int courier_receive(int sock, uint8_t *room, courier_got *got, void *arg);
