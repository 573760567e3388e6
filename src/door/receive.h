/* SPDX-License-Identifier: MIT */
/* One recvmsg(2) from a caller: its bytes, and the kernel's word on who sent them. */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "door/disposer.h"
#include "door/peer.h"

/* Up to `n` bytes into `p`: their count, 0 at the end of the stream. -EAGAIN: none now.
 * -EPERM with words when the sender is not the one who connected or sent descriptors, which went to
 * the disposer. Other errors: the connection is broken. */
ssize_t receive_from(int fd, const struct peer_creds *who, void *p, size_t n, struct disposer *d,
                     struct err *err) MUST_CHECK;
