/* SPDX-License-Identifier: MIT */
/* Messages of wire/helper on a SOCK_SEQPACKET socket, with their descriptors. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/helper.h"

#define PACKET_SIZE_MAX (HELPER_HEAD_SIZE + HELPER_INLINE_MAX)

struct packet {
    struct helper_head head;
    const uint8_t *body; /* NULL until packet_map() for an attached one */
    uint8_t *raw;        /* the buffer it was received into; borrowed */
    size_t raw_len;
    int fds[HELPER_FDS_MAX]; /* owned; -1 where taken */
    unsigned fds_count;
    void *mapped;
};

/* 1: received; 0: the other side is gone; -EAGAIN: nothing there (with `wait` it blocks); -EBADMSG.
 */
int packet_receive(int sock, uint8_t *buf, size_t size, bool wait, struct packet *ret);
/* Makes an attached body readable. 0 or negative errno. */
int packet_map(struct packet *p);
/* Unmaps, and closes what was not taken. */
void packet_done(struct packet *p);
/* Sends as it came, with other flags and descriptors when they changed. */
int packet_forward(int sock, const struct packet *p, bool wait);
/* `body` of at most HELPER_INLINE_MAX. 0 or negative errno. */
int packet_send(int sock, uint8_t type, uint64_t job, const void *body, size_t len, bool wait);
/* The same, of no job, with descriptors. */
int packet_send_with(int sock, uint8_t type, const void *body, size_t len, const int *fds,
                     unsigned fds_count);
/* Any size: attaches a sealed memfd where the body is too long. */
int packet_send_long(int sock, uint8_t type, uint64_t job, const void *body, size_t len);
