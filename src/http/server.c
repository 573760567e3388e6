/* SPDX-License-Identifier: MIT */
/* libmicrohttpd as a parser and writer of HTTP: it accepts nothing and waits for nothing. Its epoll
 * fd is one more fd of the loop; it runs after all other fds of the same turn. */
#include "http/server.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/bind.h"
#include "http/exchange_mhd.h"

#define SERVER_CONNECTION_MEMORY (32u << 10) /* more would be mapped and unmapped each time */
#define SERVER_RUNS_A_TURN 8

struct server {
    struct server_config config;
    struct front *front; /* NULL: it has gone */
    struct MHD_Daemon *daemon;
    struct list attached;
    struct list exchanges;
    uv_poll_t poll;
    uv_check_t check;
    uv_timer_t again;
    unsigned handles; /* and the front: until all are gone */
    bool due;
    void (*gone)(void *arg);
    void *gone_arg;
};

/* A connection that both sides know; it goes when both have let go of it. */
struct attached {
    struct list link;
    struct front_conn *conn; /* NULL: detached */
    int fd;                  /* the parser's */
    bool known;              /* the parser has told of it, and will tell when it has closed it */
    bool closed;             /* and has */
};

/* ---- running the parser ---- */

static void server_again(uv_timer_t *t);

static void server_run(struct server *s)
{
    MHD_UNSIGNED_LONG_LONG ms = 1;
    s->due = false;
    for (int i = 0; i < SERVER_RUNS_A_TURN; i++) {
        (void)MHD_run(s->daemon);
        if (MHD_get_timeout(s->daemon, &ms) != MHD_YES) {
            (void)uv_timer_stop(&s->again);
            return;
        }
        if (ms > 0)
            break;
    }
    (void)uv_timer_start(&s->again, server_again, ms, 0); /* it has more to do: the others first */
}

static void server_again(uv_timer_t *t)
{
    server_run(t->data);
}

/* Right behind the poll of a turn: whoever else had something to say was heard. */
static void server_check(uv_check_t *c)
{
    struct server *s = c->data;
    if (s->due)
        server_run(s);
}

static void server_readable(uv_poll_t *p, int status, int events)
{
    struct server *s = p->data;
    s->due = true;
}

/* ---- what the front tells ---- */

static void *server_attach(void *arg, struct front_conn *c, int fd)
{
    struct server *s = arg;
    struct attached *a = mem_new(struct attached);
    a->conn = c;
    a->fd = fd;
    list_append(&s->attached, &a->link);
    /* The address is not looked at: the front knows the peer. */
    struct sockaddr sa = {.sa_family = AF_UNIX};
    if (MHD_add_connection(s->daemon, fd, &sa, sizeof(sa)) == MHD_YES)
        return a;
    list_remove(&a->link); /* the fd was closed */
    free(a);
    return NULL;
}

static void server_detach(void *arg, void *attached)
{
    struct attached *a = attached;
    a->conn = NULL;
    if (a->closed)
        free(a);
}

/* An answer came late, from any place of the loop: the parser runs at the next turn. */
static void server_wake(void *arg)
{
    struct server *s = arg;
    (void)uv_timer_start(&s->again, server_again, 0, 0);
}

static void server_fed(void *arg)
{
    struct server *s = arg;
    s->due = true;
}

static bool server_peer_is_outside(void *arg, int fd)
{
    struct server *s = arg;
    return s->config.peer_is_outside && s->config.peer_is_outside(s->config.arg, fd);
}

/* ---- what the parser tells ---- */

static void server_connection(void *arg, struct MHD_Connection *mhd, void **context,
                              enum MHD_ConnectionNotificationCode code)
{
    struct server *s = arg;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        struct attached *a = *context;
        if (!a)
            return;
        list_remove(&a->link);
        a->closed = true; /* the front hears it by the end of the stream */
        if (!a->conn)
            free(a);
        return;
    }
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    list_foreach(it, &s->attached)
    {
        struct attached *a = list_item(it, struct attached, link);
        if (a->fd != fd || a->known)
            continue;
        a->known = true;
        *context = a;
    }
}

static struct attached *server_attached(struct MHD_Connection *mhd)
{
    return MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static struct front_conn *server_conn(void *attached)
{
    return ((struct attached *)attached)->conn;
}

static enum MHD_Result server_answer(struct server *s, struct exchange *x,
                                     struct MHD_Connection *mhd)
{
    if (!x->dispatched) {
        x->dispatched = true;
        s->config.handle(s->config.arg, x);
    }
    if (x->response)
        return MHD_queue_response(mhd, x->status, x->response);
    if (x->given_up)
        return MHD_NO; /* the front has the connection, this end of it only closes */
    if (x->oversize)
        return MHD_NO; /* a handler must refuse it at once */
    x->suspended = true;
    MHD_suspend_connection(mhd);
    return MHD_YES;
}

/* A proxy of ours speaks for somebody else, whose address it tells. */
static void server_look_behind_proxy(const struct server *s, struct exchange *x)
{
    const struct forwarded *proxies = s->config.proxies;
    _cleanup_buf_ struct buf headers = BUF_INIT(FORWARDED_MAX);
    char peer[sizeof(x->peer.address)];
    if (x->peer.is_unix || !forwarded_trusts(proxies, x->peer.address) ||
        !exchange_joined_header(x, "X-Forwarded-For", &headers))
        return;
    memcpy(peer, x->peer.address, sizeof(peer));
    forwarded_client(proxies, peer, buf_str(&headers), x->peer.address);
}

static enum MHD_Result server_access(void *arg, struct MHD_Connection *mhd, const char *url,
                                     const char *method, const char *version, const char *upload,
                                     size_t *upload_size, void **context)
{
    struct server *s = arg;
    struct exchange *x = *context;
    if (x && *upload_size > 0) {
        if (buf_append(&x->body, upload, *upload_size) < 0)
            return MHD_NO; /* not reached: the gate has looked at the size */
        *upload_size = 0;
        return MHD_YES;
    }
    if (x)
        return server_answer(s, x, mhd);
    struct attached *a = server_attached(mhd);
    if (!a || !a->conn)
        return MHD_NO;
    front_taken(a->conn);
    x = exchange_new(mhd, method, url, front_peer(a->conn), front_oversize(a->conn));
    server_look_behind_proxy(s, x);
    x->attached = a;
    x->conn = server_conn;
    x->takes_chunks = strcmp(version, "HTTP/1.1") == 0;
    x->wake = server_wake;
    x->wake_arg = s;
    list_append(&s->exchanges, &x->link);
    *context = x;
    return x->oversize ? server_answer(s, x, mhd) : MHD_YES;
}

static void server_completed(void *arg, struct MHD_Connection *mhd, void **context,
                             enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *context;
    *context = NULL;
    if (!x)
        return;
    struct attached *a = x->attached;
    list_remove(&x->link);
    x->mhd = NULL;
    x->suspended = false;
    (void)exchange_unref(x);
    if (a->conn && code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
        front_answered(a->conn);
}

/* Paths stay as they were sent; the router decodes what it needs (http/router.h). */
static size_t server_unescape(void *arg, struct MHD_Connection *mhd, char *s)
{
    return strlen(s);
}

__attribute__((format(printf, 2, 0))) static void server_log(void *arg, const char *fmt, va_list ap)
{
    char text[512];
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    text[strcspn(text, "\n")] = '\0';
    log_debug(NULL, "api: libmicrohttpd: %s", text);
}

/* ---- the whole ---- */

static struct MHD_Daemon *server_daemon(struct server *s)
{
    unsigned flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME |
                     MHD_ALLOW_UPGRADE | MHD_USE_ERROR_LOG;
    const struct front_config *f = &s->config.front;
    return MHD_start_daemon(
        flags, 0, NULL, NULL, server_access, s, MHD_OPTION_EXTERNAL_LOGGER, server_log, s,
        MHD_OPTION_NOTIFY_COMPLETED, server_completed, s, MHD_OPTION_NOTIFY_CONNECTION,
        server_connection, s, MHD_OPTION_UNESCAPE_CALLBACK, server_unescape, s,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)SERVER_CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_LIMIT, f->connections_max * 4 + 8, MHD_OPTION_STRICT_FOR_CLIENT, 1,
        MHD_OPTION_CONNECTION_TIMEOUT, 0u, MHD_OPTION_END);
}

static void server_handles_init(struct server *s, uv_loop_t *loop)
{
    (void)uv_check_init(loop, &s->check); /* these two cannot fail */
    (void)uv_timer_init(loop, &s->again);
    s->poll.data = s->check.data = s->again.data = s;
    (void)uv_check_start(&s->check, server_check);
    uv_unref((uv_handle_t *)&s->check);
    s->handles += 2;
}

int server_new(uv_loop_t *loop, const struct server_config *c, struct server **ret, struct err *err)
{
    struct server *s = mem_new(struct server);
    (void)signal(SIGPIPE, SIG_IGN); /* or a peer that goes would end the program */
    s->config = *c;
    list_init(&s->attached);
    list_init(&s->exchanges);
    s->daemon = server_daemon(s);
    const union MHD_DaemonInfo *info =
        s->daemon ? MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD) : NULL;
    int r = info ? uv_poll_init(loop, &s->poll, info->epoll_fd) : -EIO;
    if (r < 0) {
        if (s->daemon)
            MHD_stop_daemon(s->daemon);
        free(s);
        return err_set(err, r, "cannot start the HTTP server");
    }
    server_handles_init(s, loop);
    s->handles++;
    (void)uv_poll_start(&s->poll, UV_READABLE, server_readable);
    struct front_config f = c->front;
    f.arg = s;
    f.attach = server_attach;
    f.detach = server_detach;
    f.fed = server_fed;
    f.peer_is_outside = server_peer_is_outside;
    s->front = front_new(loop, &f);
    s->handles++;
    *ret = s;
    return 0;
}

void server_set_tls(struct server *s, struct tls_context *tls)
{
    front_set_tls(s->front, tls);
}

int server_listen_unix(struct server *s, const char *path, struct err *err)
{
    int fd = bind_unix(path, err);
    if (fd < 0)
        return fd;
    front_listen(s->front, fd, true);
    return 0;
}

int server_listen_tcp(struct server *s, const char *address, char **ret_url, struct err *err)
{
    int fd = bind_tcp(address, front_has_tls(s->front), s->config.anywhere, ret_url, err);
    if (fd < 0)
        return fd;
    front_listen(s->front, fd, false);
    return 0;
}

static void server_part_gone(struct server *s)
{
    if (--s->handles > 0)
        return;
    void (*gone)(void *) = s->gone;
    void *arg = s->gone_arg;
    free(s);
    if (gone)
        gone(arg);
}

static void server_handle_closed(uv_handle_t *h)
{
    server_part_gone(h->data);
}

static void server_front_gone(void *arg)
{
    server_part_gone(arg);
}

static void server_refuse_open(struct server *s)
{
    list_foreach(it, &s->exchanges)
    {
        struct exchange *x = list_item(it, struct exchange, link);
        struct buf body = BUF_INIT(256);
        (void)buf_printf(&body,
                         "{\"error\":{\"code\":\"stopping\",\"message\":\"the warden is "
                         "stopping\",\"request_id\":\"%s\"}}\n",
                         exchange_id(x));
        exchange_reply(x, 503, "application/json", &body);
        buf_done(&body);
    }
}

void server_close(struct server *s, void (*gone)(void *arg), void *arg)
{
    s->gone = gone;
    s->gone_arg = arg;
    front_stop_listening(s->front);
    /* libmicrohttpd aborts the program when it is stopped with a suspended connection. */
    server_refuse_open(s);
    server_run(s);
    (void)uv_poll_stop(&s->poll);
    MHD_stop_daemon(TAKE_PTR(s->daemon));
    s->due = false;
    uv_close((uv_handle_t *)&s->poll, server_handle_closed);
    uv_close((uv_handle_t *)&s->check, server_handle_closed);
    uv_close((uv_handle_t *)&s->again, server_handle_closed);
    front_close(TAKE_PTR(s->front), server_front_gone, s);
}
