/* SPDX-License-Identifier: MIT */
/* A connection that is no longer question and answer: a feed, a WebSocket, a long export. It leaves
 * the parser and is written by its owner, at the pace of its reader; who reads nothing for
 * STREAM_STALL_MS is cut off. It does not count among the connections of its listener. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/exchange.h"

struct stream;

#define STREAM_STALL_MS 10000

/* `gone` is called once, the last of all, also when the owner ended it or the server closes; it
 * ends no other stream. The others may end their own. */
struct stream_ops {
    void (*came)(void *arg, const char *p, size_t n); /* bytes of the peer; NULL: dropped */
    void (*drained)(void *arg);                       /* all that was sent has left; may be NULL */
    void (*gone)(void *arg);
};

/* Takes the exchange's connection over; its answer begins with `status` and the exchange's headers.
 * `type` NULL: without a body type (101). NULL: the caller has gone, or was answered. */
struct stream *stream_take(struct exchange *x, unsigned status, const char *type,
                           const struct stream_ops *ops, void *arg);
/* Sends a copy. 0; -EPIPE: it is gone or going, `gone` was called. */
int stream_send(struct stream *s, const char *p, size_t n);
/* What was sent has not left yet: a good moment to send no more. */
bool stream_busy(const struct stream *s);
/* What was sent still leaves, then the connection closes. `gone` is called before this returns. */
void stream_end(struct stream *s);
/* At once. */
void stream_cut(struct stream *s);
