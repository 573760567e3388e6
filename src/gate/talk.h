/* SPDX-License-Identifier: MIT */
/* The connection to the warden: whole messages in, messages out, never blocking. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/gatewire.h"

#define TALK_LATE_SIZE 512u
#define TALK_LATE_MS 2

/* Connects to the socket `path` without waiting. A descriptor, or negative errno. */
int talk_connect(const char *path);

/* Takes over `fd`, a connected stream socket. 0, or -ENOTSOCK. */
int talk_init(int fd);
/* Ends the connection and forgets what was to be sent (late too) and what was not read. */
void talk_close(void);
int talk_fd(void); /* -1: there is none, and nothing can be sent */
bool talk_wants_to_write(void);
/* So much is waiting to be sent that nothing more should be asked for. */
bool talk_is_full(void);

/* Sends a message whose body was encoded into talk_body(). `fd` (-1: none) goes with it and stays
 * the caller's. */
uint8_t *talk_body(size_t *ret_size);
int talk_send(enum gatewire_type type, size_t len, int fd);
/* The same for news that nobody waits for (at most TALK_LATE_SIZE with its head): it goes with the
 * next message, or TALK_LATE_MS later, so that the warden is woken once for several. */
int talk_send_late(enum gatewire_type type, size_t len);
uint64_t talk_late_due(void); /* when talk_flush_late() is to be called (ms); UINT64_MAX: no need */
int talk_flush_late(void);    /* as talk_flush() */
/* sendmsg() on any socket, `fd` (-1: none) along with it. What it returns, or negative errno. */
ssize_t talk_sendmsg(int to, const void *p, size_t n, int fd, int flags);
int talk_magic(void); /* what comes before the first message */
int talk_flush(void); /* 0, or negative: the warden is gone */

/* Reads what is there. 0, or negative: the warden is gone or talks nonsense. */
int talk_read(void);
/* The descriptor that came last, which is the caller's then; -1: none did. */
int talk_take_fd(void);
/* The next whole message; false when there is none. `*ret_body` until the next call. Negative heads
 * are reported by talk_read(). */
bool talk_next(struct gatewire_head *ret, const uint8_t **ret_body);
