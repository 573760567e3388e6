/* SPDX-License-Identifier: MIT */
/* A stream is a connection of the front in a state of its own (http/relay.c moves its bytes); here
 * is how it gets there. libmicrohttpd never sees a connection suspended for hours: it is told to
 * forget this one, and one descriptor is left of three. */
#include "http/stream.h"

#include <stdio.h>
#include <string.h>

#include "http/exchange_mhd.h"
#include "http/relay.h"

#define STREAM_HEAD_MAX (16u << 10)

static void stream_head(struct exchange *x, unsigned status, const char *type, struct buf *out)
{
    (void)buf_printf(out, "HTTP/1.1 %u %s\r\n", status,
                     status == 101 ? "Switching Protocols" : "OK");
    if (type)
        (void)buf_printf(out,
                         "Content-Type: %s\r\nCache-Control: no-store\r\n"
                         "X-Content-Type-Options: nosniff\r\nConnection: close\r\n",
                         type);
    for (size_t i = 0; i < x->headers_count; i++)
        (void)buf_printf(out, "%s: %s\r\n", x->headers[i].name, x->headers[i].value);
    (void)buf_append_str(out, "\r\n");
}

struct stream *stream_take(struct exchange *x, unsigned status, const char *type,
                           const struct stream_ops *ops, void *arg)
{
    struct front_conn *c = exchange_give_up(x);
    if (!c)
        return NULL;
    _cleanup_buf_ struct buf head = BUF_INIT(STREAM_HEAD_MAX);
    stream_head(x, status, type, &head);
    relay_stream_begin(c);
    if (relay_stream_send(c, buf_str(&head), head.len) < 0)
        return NULL;
    c->stream = (struct stream){ops, arg};
    return &c->stream;
}

int stream_send(struct stream *s, const char *p, size_t n)
{
    return relay_stream_send(container_of(s, struct front_conn, stream), p, n);
}

bool stream_busy(const struct stream *s)
{
    return container_of(s, const struct front_conn, stream)->writes > 0;
}

void stream_end(struct stream *s)
{
    relay_stream_end(container_of(s, struct front_conn, stream));
}

void stream_cut(struct stream *s)
{
    relay_close(container_of(s, struct front_conn, stream));
}
