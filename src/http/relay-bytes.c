/* SPDX-License-Identifier: MIT */
/* What goes out of a connection: bytes as they are or with TLS around them, and the refusals that
 * are ours and not the parser's. */
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/uuid.h"
#include "http/relay-own.h"

#define RELAY_TLS_MAX (256u << 10)

struct relay_write {
    uv_write_t req;
    struct front_conn *conn; /* NULL: towards the parser */
    char data[];
};

/* ---- bytes ---- */

void relay_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret)
{
    struct front_conn *c = h->data;
    *ret = uv_buf_init(c->front->scratch, FRONT_CHUNK);
}

uint64_t relay_stream_patience(const struct front_conn *c)
{
    unsigned ms = c->front->config.stall_ms;
    return uv_now(c->front->loop) + (ms < STREAM_STALL_MS ? ms : STREAM_STALL_MS);
}

static void relay_stream_written(struct front_conn *c)
{
    if (c->writes > 0)
        c->stall = relay_stream_patience(c);
    else if (c->stream.ops && c->stream.ops->drained)
        c->stream.ops->drained(c->stream.arg);
}

static void relay_written(uv_write_t *req, int status)
{
    struct relay_write *w = container_of(req, struct relay_write, req);
    struct front_conn *c = w->conn;
    free(w);
    if (!c || c->state == RELAY_CLOSED) /* `c` itself outlives its writes: its handle does */
        return;
    c->writes--;
    c->stall = 0;
    if (status < 0) {
        relay_close(c);
        return;
    }
    if (c->state == RELAY_STREAM) {
        relay_stream_written(c);
        return;
    }
    if (c->state == RELAY_LINGER || c->writes > 0)
        return;
    if (c->inner_done) {
        relay_linger(c);
        return;
    }
    if (c->has_inner)
        (void)uv_read_start((uv_stream_t *)&c->inner, relay_alloc, relay_inner_read);
    relay_drained(c);
}

/* Sends a copy of the bytes. `c` NULL: nobody waits for it. */
int relay_write(uv_stream_t *s, struct front_conn *c, const char *p, size_t n)
{
    struct relay_write *w = mem_zalloc(sizeof(*w) + n);
    memcpy(w->data, p, n);
    w->conn = c;
    uv_buf_t b = uv_buf_init(w->data, (unsigned)n);
    int r = uv_write(&w->req, s, &b, 1, relay_written);
    if (r < 0)
        free(w);
    return r;
}

/* What TLS has to say by itself: nobody waits for it. A peer that makes it speak and does not
 * listen is cut off. */
void relay_flush_tls(struct front_conn *c)
{
    _cleanup_buf_ struct buf out = BUF_INIT(RELAY_TLS_MAX);
    if (tls_take(c->tls, &out) < 0 ||
        uv_stream_get_write_queue_size(&c->outer.stream) > RELAY_TLS_MAX ||
        (out.len > 0 && relay_write(&c->outer.stream, NULL, out.data, out.len) < 0))
        relay_close(c);
}

/* Everything that is still to be sent, as one write. */
static int relay_write_tls(struct front_conn *c, const char *p, size_t n)
{
    _cleanup_buf_ struct buf out = BUF_INIT(2 * n + RELAY_TLS_MAX);
    int r = tls_write(c->tls, p, n);
    if (r == 0)
        r = tls_take(c->tls, &out);
    return r < 0 ? r : relay_write(&c->outer.stream, c, out.data, out.len);
}

void relay_send(struct front_conn *c, const char *p, size_t n)
{
    c->writes++;
    c->stall = uv_now(c->front->loop) + c->front->config.stall_ms;
    int r = c->tls ? relay_write_tls(c, p, n) : relay_write(&c->outer.stream, c, p, n);
    if (r < 0)
        relay_close(c);
}

/* ---- refusals of our own ---- */

static const char *relay_reason(int status)
{
    switch (status) {
    case 408:
        return "Request Timeout";
    case 411:
        return "Length Required";
    case 417:
        return "Expectation Failed";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    default: /* HTTP has more codes than we send */
        return "Bad Request";
    }
}

void relay_refuse(struct front_conn *c, int status, const char *code, const char *words)
{
    _cleanup_buf_ struct buf body = BUF_INIT(4096);
    _cleanup_buf_ struct buf out = BUF_INIT(8192);
    uint8_t raw[16];
    char id[UUID_TEXT_SIZE];
    uuid_new(clock_realtime(), raw);
    uuid_format(raw, id);
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_field_string(&w, "code", code);
    json_field_string(&w, "message", words);
    json_field_string(&w, "request_id", id);
    json_object_end(&w);
    json_object_end(&w);
    (void)buf_append_char(&body, '\n');
    (void)buf_printf(&out,
                     "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                     "Cache-Control: no-store\r\nX-Request-Id: %s\r\nConnection: close\r\n\r\n%s",
                     status, relay_reason(status), body.len, id, buf_str(&body));
    log_debug(NULL, "api: request %s of %s refused with %d: %s", id, c->peer.address, status,
              words);
    relay_send(c, buf_str(&out), out.len);
    relay_linger(c);
}
