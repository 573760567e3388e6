/* SPDX-License-Identifier: MIT */
#include "http/sse.h"

struct stream *sse_open(struct exchange *x, const struct stream_ops *ops, void *arg)
{
    exchange_add_header(x, "X-Accel-Buffering", "no"); /* nginx would keep events for later */
    return stream_take(x, 200, "text/event-stream", ops, arg);
}

void sse_put(struct buf *out, const char *id, const char *event, const char *data, size_t n)
{
    (void)buf_printf(out, "id: %s\nevent: %s\ndata: ", id, event);
    (void)buf_append(out, data, n);
    (void)buf_append_str(out, "\n\n");
}

void sse_put_comment(struct buf *out)
{
    (void)buf_append_str(out, ":\n\n");
}
