/* SPDX-License-Identifier: MIT */
/* Who says what on a caller's connection, from the kernel: a process that inherited the connection,
 * or that changed its ids since, has no voice. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "wire/helper.h"

/* Room for it in a control buffer. */
#define SENDER_SPACE CMSG_SPACE(sizeof(struct ucred))

/* From now on the kernel names the senders. What was sent before has none, and so is nobody's. */
void sender_ask(int conn);
/* Whether a received message is of the caller. */
bool sender_is(struct msghdr *m, const struct helper_peer *who);
/* Looks at the next bytes without taking them, so that descriptors among them are not received
 * either. Their number; 0: the end; -EAGAIN; -EPERM: of another sender, or with descriptors. */
ssize_t sender_peek(int conn, const struct helper_peer *who, void *p, size_t n);
