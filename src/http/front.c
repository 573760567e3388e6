/* SPDX-License-Identifier: MIT */
/* Listeners, who may come in, and the clock that closes what takes too long. */
#include "http/front.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "http/relay.h"

#define FRONT_SWEEP_MS 250
#define FRONT_CLOSE_MS 2000
/* Shims are served on the same loop: one of them waits for so many at most, however many
 * connections have something to say. */
#define FRONT_ACCEPTS_A_TURN 2
#define FRONT_REQUESTS_A_TURN 1

void front_config_default(struct front_config *c)
{
    *c = (struct front_config){.connections_max = 128,
                               .per_address_max = 64,
                               .head_ms = 10000,
                               .body_ms = 10000,
                               .idle_ms = 60000,
                               .stall_ms = 30000};
}

/* ---- going ---- */

void front_handle_gone(struct front *f)
{
    if (--f->handles > 0 || !f->closing)
        return;
    void (*gone)(void *) = f->gone;
    void *arg = f->gone_arg;
    tls_context_free(f->tls);
    free(f);
    if (gone)
        gone(arg);
}

/* ---- accepting ---- */

/* Who is at the other end. */
static int front_peer_read(int fd, bool is_unix, struct front_peer *ret)
{
    *ret = (struct front_peer){.is_unix = is_unix, .uid = (uid_t)-1};
    if (is_unix) {
        struct ucred cred;
        socklen_t len = sizeof(cred);
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
            return -errno;
        ret->pid = cred.pid;
        ret->uid = cred.uid;
        (void)snprintf(ret->address, sizeof(ret->address), "uid %u", (unsigned)cred.uid);
        return 0;
    }
    struct sockaddr_storage ss;
    socklen_t len = sizeof(ss);
    if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
        return -errno;
    int r = getnameinfo((struct sockaddr *)&ss, len, ret->address, sizeof(ret->address), NULL, 0,
                        NI_NUMERICHOST);
    return r == 0 ? 0 : -EINVAL;
}

/* Makes room: the connection that has said nothing complete for the longest time goes. */
static bool listener_evict(struct listener *l, const char *address)
{
    list_foreach(it, &l->front->conns)
    {
        struct front_conn *c = list_item(it, struct front_conn, link);
        if (c->listener != l || (c->state != RELAY_HEAD && c->state != RELAY_BODY))
            continue;
        if (address && !str_eq(c->peer.address, address))
            continue;
        relay_close(c);
        return true;
    }
    return false;
}

static bool listener_has_room(struct listener *l, const struct front_peer *peer)
{
    unsigned same = 0;
    list_foreach(it, &l->front->conns)
    {
        struct front_conn *c = list_item(it, struct front_conn, link);
        same += c->listener == l && str_eq(c->peer.address, peer->address);
    }
    const struct front_config *k = &l->front->config;
    if (same >= k->per_address_max)
        return listener_evict(l, peer->address);
    return l->count < k->connections_max || listener_evict(l, NULL);
}

static void front_sweep(uv_timer_t *t);

static void front_sweep_start(struct front *f)
{
    if (!uv_is_active((uv_handle_t *)&f->sweep))
        (void)uv_timer_start(&f->sweep, front_sweep, FRONT_SWEEP_MS, FRONT_SWEEP_MS);
}

static void listener_ready(uv_poll_t *p, int status, int events)
{
    struct listener *l = p->data;
    struct front *f = l->front;
    front_sweep_start(f);
    for (int i = 0; i < FRONT_ACCEPTS_A_TURN; i++) {
        int fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
            log_warn(NULL, "api: cannot accept: %s; trying again soon", strerror(errno));
            (void)uv_poll_stop(&l->poll); /* or the loop would spin */
            l->paused = true;
            return;
        }
        if (fd < 0)
            return; /* none is left, or one that has gone: the next turn looks again */
        struct front_peer peer;
        if (front_peer_read(fd, l->is_unix, &peer) < 0) {
            (void)close(fd);
            continue;
        }
        if (l->is_unix && f->config.peer_is_outside)
            peer.outside = f->config.peer_is_outside(f->config.arg, fd);
        if (listener_has_room(l, &peer))
            relay_new(l, fd, &peer);
        else
            (void)close(fd);
    }
}

static void listener_start(struct listener *l)
{
    l->paused = false;
    int r = uv_poll_start(&l->poll, UV_READABLE, listener_ready);
    if (r < 0)
        log_error(NULL, "api: cannot watch a listening socket: %s", uv_strerror(r));
}

static void front_sweep(uv_timer_t *t)
{
    struct front *f = t->data;
    list_foreach(it, &f->conns)
        relay_sweep(list_item(it, struct front_conn, link), uv_now(f->loop));
    list_foreach(it, &f->streams)
        relay_sweep(list_item(it, struct front_conn, link), uv_now(f->loop));
    bool paused = false;
    for (size_t i = 0; i < f->listeners_count; i++) {
        paused |= f->listeners[i].paused;
        if (f->listeners[i].paused)
            listener_start(&f->listeners[i]);
    }
    if (f->count == 0 && !paused && !f->closing)
        (void)uv_timer_stop(t); /* an idle warden does not wake up */
}

/* ---- turns ---- */

static void front_awake(uv_idle_t *i)
{
    (void)i; /* the loop does not wait while somebody stands in line */
}

static void front_turn(uv_check_t *check)
{
    struct front *f = check->data;
    for (int i = 0; i < FRONT_REQUESTS_A_TURN && !list_empty(&f->ready); i++)
        relay_pass(list_item(f->ready.next, struct front_conn, in_line));
    if (list_empty(&f->ready))
        (void)uv_idle_stop(&f->awake);
    else
        (void)uv_idle_start(&f->awake, front_awake);
}

static void front_turns_init(struct front *f)
{
    list_init(&f->ready);
    (void)uv_check_init(f->loop, &f->turn); /* none of these can fail */
    (void)uv_idle_init(f->loop, &f->awake);
    f->turn.data = f->awake.data = f;
    (void)uv_check_start(&f->turn, front_turn);
    uv_unref((uv_handle_t *)&f->turn);
    f->handles += 2;
}

/* ---- the whole ---- */

struct front *front_new(uv_loop_t *loop, const struct front_config *c)
{
    struct front *f = mem_new(struct front);
    f->loop = loop;
    f->config = *c;
    list_init(&f->conns);
    list_init(&f->streams);
    (void)uv_timer_init(loop, &f->sweep); /* cannot fail */
    f->sweep.data = f;
    f->handles = 1;
    front_turns_init(f);
    return f;
}

void front_listen(struct front *f, int fd, bool is_unix)
{
    struct listener *l = &f->listeners[f->listeners_count];
    if (f->listeners_count == FRONT_LISTENERS_MAX || uv_poll_init(f->loop, &l->poll, fd) < 0) {
        log_error(NULL, "api: cannot watch one more listening socket");
        (void)close(fd);
        return;
    }
    l->front = f;
    l->fd = fd;
    l->is_unix = is_unix;
    f->listeners_count++;
    f->handles++;
    l->poll.data = l;
    listener_start(l);
}

static void listener_closed(uv_handle_t *h)
{
    struct listener *l = h->data;
    (void)close(l->fd);
    front_handle_gone(l->front);
}

void front_set_tls(struct front *f, struct tls_context *tls)
{
    tls_context_free(f->tls);
    f->tls = tls;
}

bool front_has_tls(const struct front *f)
{
    return f->tls != NULL;
}

void front_stop_listening(struct front *f)
{
    for (size_t i = 0; i < f->listeners_count; i++) {
        uv_handle_t *h = (uv_handle_t *)&f->listeners[i].poll;
        f->listeners[i].paused = false;
        if (!uv_is_closing(h))
            uv_close(h, listener_closed);
    }
}

static void own_handle_closed(uv_handle_t *h)
{
    front_handle_gone(h->data);
}

void front_emptied(struct front *f)
{
    uv_handle_t *own[] = {(uv_handle_t *)&f->sweep, (uv_handle_t *)&f->turn,
                          (uv_handle_t *)&f->awake};
    for (size_t i = 0; f->closing && i < ARRAY_LEN(own); i++)
        if (!uv_is_closing(own[i]))
            uv_close(own[i], own_handle_closed);
}

void front_close(struct front *f, void (*gone)(void *arg), void *arg)
{
    f->gone = gone;
    f->gone_arg = arg;
    f->closing = true;
    f->close_at = uv_now(f->loop) + FRONT_CLOSE_MS;
    front_stop_listening(f);
    list_foreach(it, &f->conns)
    {
        struct front_conn *c = list_item(it, struct front_conn, link);
        if (c->state == RELAY_HEAD || c->state == RELAY_BODY || c->state == RELAY_READY)
            relay_close(c);
    }
    list_foreach(it, &f->streams) relay_stream_end(list_item(it, struct front_conn, link));
    if (f->count == 0)
        front_emptied(f);
}

const struct front_peer *front_peer(const struct front_conn *c)
{
    return &c->peer;
}

bool front_oversize(const struct front_conn *c)
{
    return c->head.oversize;
}

unsigned front_count(const struct front *f)
{
    return f->count;
}
