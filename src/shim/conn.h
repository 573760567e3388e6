/* SPDX-License-Identifier: MIT */
/* The connection to the warden, and from V2_GO on to the helper: whole messages in and out.
 * The socket never blocks; each wait here has an end. */
#pragma once

#include <stdint.h>

#include "wire/v2.h"

#define CONN_BUF_SIZE (V2_HEAD_SIZE + V2_WAITING_HEAD_SIZE + V2_TEXT_MAX)

struct conn {
    int fd; /* -1: none */
    size_t start;
    size_t end; /* what was received and not yet returned lies between */
    uint8_t buf[CONN_BUF_SIZE];
};

/* A request as the shim was called, borrowed from the process's own arguments. */
struct conn_request {
    struct v2_request head;
    const char *name;
    const char *cwd;
    const char *const *argv;
    const char *const *env;
};

/* Connects once. -errno; -EAGAIN: the warden's queue of callers is full. */
int conn_open(struct conn *c, const char *path);
void conn_close(struct conn *c);

/* -E2BIG: a limit of the protocol is passed, and nothing was sent. */
int conn_send_request(struct conn *c, const struct conn_request *q);
/* A message whose payload is one number. */
int conn_send_u32(struct conn *c, uint8_t type, uint32_t value);
/* V2_FDS with its descriptors, v2_fds_carried() of them. */
int conn_send_fds(struct conn *c, const struct v2_fds *f, const int *fds);

/* The next whole message: 1, and *ret_payload is valid until the next call. 0: not yet there, poll.
 * -EPIPE hung up, -EBADMSG not our protocol. */
int conn_next(struct conn *c, struct v2_head *ret, uint8_t **ret_payload);
