/* SPDX-License-Identifier: MIT */
/* Server-sent events (text/event-stream): the answer's head and the form of a message. */
#pragma once

#include "base/buf.h"
#include "http/stream.h"

/* As stream_take(). */
struct stream *sse_open(struct exchange *x, const struct stream_ops *ops, void *arg);
/* Appends one message. `data` has no line ends in it: JSON has none. */
void sse_put(struct buf *out, const char *id, const char *event, const char *data, size_t n);
/* Appends what readers pass over: a heartbeat. */
void sse_put_comment(struct buf *out);
