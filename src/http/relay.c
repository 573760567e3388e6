/* SPDX-License-Identifier: MIT */
/* One connection: HEAD -> BODY -> READY -> ANSWER -> DRAIN -> HEAD ..., and LINGER at its end; or
 * from ANSWER to STREAM, when the handler takes it over (http/stream.h), for the rest of its life.
 * A request that comes early (pipelined) waits in `in` until the answer before it has left. */
#include "http/relay.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/relay-own.h"

#define RELAY_IN_MAX (GATE_HEAD_MAX + GATE_BODY_MAX + 2 * FRONT_CHUNK)
#define RELAY_LINGER_MS 1000
#define RELAY_UNACKNOWLEDGED_MS 60000
#define RELAY_LINGER_BYTES (1u << 20)

static void relay_advance(struct front_conn *c);
static void outer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b);

/* ---- going ---- */

static void relay_closed(uv_handle_t *h)
{
    struct front_conn *c = h->data;
    struct front *f = c->front;
    if (--c->handles == 0) {
        tls_free(c->tls);
        buf_done(&c->in);
        free(c);
    }
    front_handle_gone(f);
}

/* From here on the parser does not know this connection any more. */
static void relay_close_inner(struct front_conn *c)
{
    if (c->attached)
        c->front->config.detach(c->front->config.arg, TAKE_PTR(c->attached));
    if (c->has_inner && !uv_is_closing((uv_handle_t *)&c->inner))
        uv_close((uv_handle_t *)&c->inner, relay_closed);
}

static void relay_uncount(struct front_conn *c)
{
    if (c->counted)
        c->listener->count--;
    c->counted = false;
}

static void relay_stream_gone(struct front_conn *c)
{
    const struct stream_ops *ops = TAKE_PTR(c->stream.ops);
    if (ops)
        ops->gone(c->stream.arg);
}

void relay_close(struct front_conn *c)
{
    if (c->state == RELAY_CLOSED)
        return;
    c->state = RELAY_CLOSED;
    list_remove(&c->link);
    list_remove(&c->in_line);
    relay_uncount(c);
    relay_close_inner(c);
    uv_close(&c->outer.handle, relay_closed);
    if (--c->front->count == 0)
        front_emptied(c->front);
    relay_stream_gone(c);
}

static void relay_shut(uv_shutdown_t *req, int status)
{
    struct front_conn *c = req->data;
    free(req);
    if (c->state == RELAY_LINGER && (status < 0 || c->peer_done))
        relay_close(c);
}

/* Ends a connection so that what was written arrives: a close() with unread bytes would reset it.
 */
void relay_linger(struct front_conn *c)
{
    if (c->state == RELAY_LINGER || c->state == RELAY_CLOSED)
        return;
    c->state = RELAY_LINGER;
    c->deadline = uv_now(c->front->loop) + RELAY_LINGER_MS;
    relay_close_inner(c);
    if (!c->peer_done)
        (void)uv_read_start(&c->outer.stream, relay_alloc, outer_read); /* may run already */
    if (c->tls) {
        tls_end(c->tls);
        relay_flush_tls(c);
    }
    uv_shutdown_t *req = mem_new(uv_shutdown_t);
    req->data = c;
    if (uv_shutdown(req, &c->outer.stream, relay_shut) < 0) {
        free(req);
        relay_close(c);
    }
}

/* ---- answers ---- */

/* What comes before the parser has taken the request is its own refusal: of something that passed
 * the gate and still was too much for it. Its page is HTML; our peers expect JSON. */
static void relay_refuse_for_parser(struct front_conn *c, const char *p, size_t n)
{
    char line[16] = "";
    memcpy(line, p, n < sizeof(line) - 1 ? n : sizeof(line) - 1);
    if (strncmp(line, "HTTP/1.1 431", 12) == 0 || strncmp(line, "HTTP/1.1 414", 12) == 0)
        relay_refuse(c, 431, "too_large",
                     "the target and the headers, or what is in them, are more than is taken");
    else if (strncmp(line, "HTTP/1.1 5", 10) == 0)
        relay_refuse(c, 503, "unavailable", "no resources for this request");
    else
        relay_refuse(c, 400, "bad_request", "the request is not understood");
}

/* An answer comes from the parser. Reading goes on when this piece has left. */
void relay_inner_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct front_conn *c = s->data;
    if (n == 0 || c->state == RELAY_CLOSED || c->state == RELAY_LINGER)
        return;
    (void)uv_read_stop(s);
    if (n > 0 && c->state == RELAY_ANSWER && !c->taken) {
        relay_refuse_for_parser(c, b->base, (size_t)n);
        return;
    }
    if (n > 0) {
        relay_send(c, b->base, (size_t)n);
        return;
    }
    c->inner_done = true;
    if (c->writes == 0)
        relay_linger(c);
}

/* ---- requests ---- */

static int relay_attach(struct front_conn *c)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sv) < 0)
        return -errno;
    struct front *f = c->front;
    int r = uv_pipe_init(f->loop, &c->inner, 0);
    if (r == 0) {
        c->inner.data = c;
        c->has_inner = true;
        c->handles++;
        f->handles++;
        r = uv_pipe_open(&c->inner, sv[0]);
    }
    if (r < 0)
        (void)close(sv[0]);
    if (r == 0)
        r = uv_read_start((uv_stream_t *)&c->inner, relay_alloc, relay_inner_read);
    if (r < 0) {
        (void)close(sv[1]);
        return r;
    }
    c->attached = f->config.attach(f->config.arg, c, sv[1]); /* owns sv[1], also when it fails */
    return c->attached ? 0 : -ENOMEM;
}

/* The whole request goes to the parser at once: it never waits for bytes. */
void relay_pass(struct front_conn *c)
{
    struct front *f = c->front;
    list_remove(&c->in_line);
    c->state = RELAY_ANSWER;
    c->taken = false;
    c->deadline = uv_now(f->loop) + f->config.body_ms;
    list_remove(&c->link);
    list_append(&f->conns, &c->link);
    if (!c->has_inner && relay_attach(c) < 0) {
        relay_refuse(c, 503, "unavailable", "no resources for one more connection");
        return;
    }
    /* A parser that has closed its end is seen by relay_inner_read(). */
    (void)relay_write((uv_stream_t *)&c->inner, NULL, c->in.data, c->need);
    buf_consume(&c->in, c->need);
    f->config.fed(f->config.arg);
}

static bool relay_head(struct front_conn *c)
{
    struct err err = {""};
    size_t len = 0;
    int r = gate_scan(&c->scan, c->in.data, c->in.len, &len, &err);
    if (r == -EAGAIN)
        return false;
    c->head.status = 400;
    if (r == 0)
        r = gate_parse(c->in.data, len, &c->head, &err);
    if (r < 0) {
        relay_refuse(c, c->head.status, "bad_request", err.text);
        return false;
    }
    c->state = RELAY_BODY;
    c->need = len + (c->head.oversize ? 0 : (size_t)c->head.content_length);
    c->deadline = uv_now(c->front->loop) + c->front->config.body_ms;
    return true;
}

static void relay_advance(struct front_conn *c)
{
    bool more = c->state == RELAY_HEAD && c->in.len > 0 ? relay_head(c) : c->state == RELAY_BODY;
    if (more && c->in.len >= c->need) {
        c->state = RELAY_READY;
        c->deadline = 0; /* it has arrived in time */
        list_append(&c->front->ready, &c->in_line);
    } else if (c->peer_done && (c->state == RELAY_HEAD || c->state == RELAY_BODY))
        relay_linger(c); /* the rest will never come */
}

/* Plain bytes of the peer, or its end (n < 0). */
static void outer_came(struct front_conn *c, const char *p, ssize_t n)
{
    if (c->state == RELAY_STREAM) {
        if (n < 0)
            relay_close(c); /* whoever listens keeps its own side open */
        else if (c->stream.ops && c->stream.ops->came)
            c->stream.ops->came(c->stream.arg, p, (size_t)n);
        return;
    }
    if (c->state == RELAY_LINGER) {
        c->lingered += n > 0 ? (size_t)n : 0;
        if (n < 0 || c->lingered > RELAY_LINGER_BYTES)
            relay_close(c);
        return;
    }
    if (n < 0) {
        c->peer_done = true;
        (void)uv_read_stop(&c->outer.stream);
    } else {
        if (c->state == RELAY_HEAD && c->in.len == 0)
            c->deadline = uv_now(c->front->loop) + c->front->config.head_ms;
        if (buf_append(&c->in, p, (size_t)n) < 0) {
            relay_close(c); /* not reached: reading stops before */
            return;
        }
    }
    if (c->state == RELAY_HEAD || c->state == RELAY_BODY)
        relay_advance(c);
    else
        (void)uv_read_stop(&c->outer.stream); /* a pipelined request waits for its turn */
}

/* Somebody speaks HTTP where TLS is spoken: it can be told. */
static void relay_refuse_clear(struct front_conn *c)
{
    c->tls = tls_free(c->tls);
    relay_refuse(c, 400, "bad_request", "this address speaks https");
}

/* The same for bytes that still have TLS around them. Until the handshake is done nothing comes out
 * here, and the deadline of the first head holds. */
static void outer_tls(struct front_conn *c, const char *p, ssize_t n)
{
    int r = tls_feed(c->tls, p, (size_t)n);
    if (r == -EPROTONOSUPPORT) {
        relay_refuse_clear(c);
        return;
    }
    relay_flush_tls(c);
    ssize_t got = r;
    while (got >= 0 && c->state != RELAY_CLOSED &&
           (got = tls_read(c->tls, c->front->plain, FRONT_CHUNK)) > 0)
        outer_came(c, c->front->plain, got);
    if (c->state == RELAY_CLOSED || got == 0)
        return;
    if (got == -EPIPE) {
        outer_came(c, NULL, UV_EOF);
        return;
    }
    log_debug(NULL, "api: TLS of %s is broken", c->peer.address);
    relay_close(c);
}

static void outer_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    struct front_conn *c = s->data;
    if (n == 0 || c->state == RELAY_CLOSED)
        return;
    if (n < 0 && n != UV_EOF)
        relay_close(c);
    else if (n > 0 && c->tls)
        outer_tls(c, b->base, n);
    else
        outer_came(c, b->base, n);
}

/* When all of an answer has left, the next request may come. */
void relay_drained(struct front_conn *c)
{
    int left = 0;
    if (c->state != RELAY_DRAIN || c->writes > 0)
        return;
    uv_os_fd_t fd;
    if (uv_fileno((uv_handle_t *)&c->inner, &fd) == 0 && ioctl(fd, FIONREAD, &left) == 0 && left)
        return; /* relay_inner_read() comes */
    if (c->head.oversize) {
        relay_linger(c);
        return;
    }
    c->state = RELAY_HEAD;
    c->scan = (struct gate_scan){0};
    c->deadline =
        uv_now(c->front->loop) + (c->in.len ? c->front->config.head_ms : c->front->config.idle_ms);
    if (!c->peer_done)
        (void)uv_read_start(&c->outer.stream, relay_alloc, outer_read);
    relay_advance(c);
}

void front_taken(struct front_conn *c)
{
    if (c->state != RELAY_ANSWER)
        return;
    c->taken = true;
    c->deadline = 0;
}

void front_answered(struct front_conn *c)
{
    if (c->state != RELAY_ANSWER)
        return;
    c->state = RELAY_DRAIN;
    c->deadline = 0;
    relay_drained(c);
}

/* ---- streams ---- */

/* A peer that vanished without a word is found out by what it does not acknowledge. */
static void relay_stream_watch(const struct front_conn *c)
{
    uv_os_fd_t fd;
    unsigned ms = RELAY_UNACKNOWLEDGED_MS;
    if (!c->peer.is_unix && uv_fileno(&c->outer.handle, &fd) == 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &ms, sizeof(ms));
}

void relay_stream_begin(struct front_conn *c)
{
    c->state = RELAY_STREAM;
    c->taken = true;
    c->deadline = 0;
    buf_done(&c->in); /* what came early is not ours to answer */
    relay_close_inner(c);
    relay_uncount(c);
    list_remove(&c->link);
    list_append(&c->front->streams, &c->link);
    relay_stream_watch(c);
    (void)uv_read_start(&c->outer.stream, relay_alloc, outer_read); /* may run already */
}

int relay_stream_send(struct front_conn *c, const char *p, size_t n)
{
    if (c->state != RELAY_STREAM)
        return -EPIPE;
    uint64_t stall = c->writes > 0 ? c->stall : relay_stream_patience(c);
    relay_send(c, p, n);
    c->stall = stall;
    return c->state == RELAY_STREAM ? 0 : -EPIPE;
}

void relay_stream_end(struct front_conn *c)
{
    if (c->state != RELAY_STREAM)
        return;
    relay_linger(c);
    relay_stream_gone(c);
}

/* ---- its life ---- */

void relay_new(struct listener *l, int fd, const struct front_peer *peer)
{
    struct front *f = l->front;
    struct front_conn *c = mem_new(struct front_conn);
    c->front = f;
    c->listener = l;
    c->peer = *peer;
    c->peer.tls = !l->is_unix && f->tls;
    list_init(&c->in_line);
    buf_init(&c->in, RELAY_IN_MAX);
    c->tls = c->peer.tls ? tls_new(f->tls) : NULL;
    int r =
        l->is_unix ? uv_pipe_init(f->loop, &c->outer.pipe, 0) : uv_tcp_init(f->loop, &c->outer.tcp);
    if (c->peer.tls && !c->tls)
        r = -ENOMEM;
    if (r < 0) {
        (void)close(fd);
        tls_free(c->tls);
        free(c);
        return;
    }
    c->outer.handle.data = c;
    c->handles++;
    f->handles++;
    f->count++;
    l->count++;
    c->counted = true;
    list_append(&f->conns, &c->link);
    c->deadline = uv_now(f->loop) + f->config.head_ms;
    r = l->is_unix ? uv_pipe_open(&c->outer.pipe, fd) : uv_tcp_open(&c->outer.tcp, fd);
    if (r < 0)
        (void)close(fd);
    else if (!l->is_unix)
        (void)uv_tcp_nodelay(&c->outer.tcp, 1);
    if (r < 0 || uv_read_start(&c->outer.stream, relay_alloc, outer_read) < 0)
        relay_close(c);
}

void relay_sweep(struct front_conn *c, uint64_t now)
{
    if (c->stall && now >= c->stall) {
        relay_close(c);
        return;
    }
    if (!c->deadline || now < c->deadline)
        return;
    if (c->state == RELAY_BODY || (c->state == RELAY_HEAD && c->in.len > 0))
        relay_refuse(c, 408, "timeout", "the request did not arrive in time");
    else
        relay_close(c);
}
