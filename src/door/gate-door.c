/* SPDX-License-Identifier: MIT */
/* A gate gains nothing by lying about programs of its tree: it may speak for what descends from it
 * only, uid and cgroup are asked of the kernel, and what it is allowed is what runs there already.
 * A record says who reported its arguments. */
#include "door/gate-door.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "door/gate-room.h"
#include "door/kernel.h"

#define GATES_MAX 256
#define HELLO_MS 5000
#define SOON_MS 100
#define WATCH_MS 2000 /* between two looks at what waits */

/* ---- bytes out ---- */

static void ready(uv_poll_t *poll, int status, int events);

static void arm(struct gate *g)
{
    if (g->closed)
        return;
    int events = UV_READABLE | (g->wire.out.len > 0 ? UV_WRITABLE : 0);
    if (events == g->polled)
        return; /* libuv would leave epoll and come back */
    g->polled = events;
    (void)uv_poll_start(&g->poll, events, ready);
}

void gate_door_post(struct gate *g, enum gatewire_type type, const void *body, size_t n)
{
    if (g->closed)
        return;
    if (n == 0 || gate_link_put(&g->wire, type, body, n) < 0 || gate_link_flush(&g->wire) < 0) {
        gate_door_lose(g, "the gate does not read what it is told");
        return;
    }
    arm(g);
}

void gate_door_flush(struct gate *g)
{
    if (gate_link_flush(&g->wire) < 0)
        gate_door_lose(g, "the gate does not read what it is told");
    else
        arm(g);
}

void gate_door_deny(struct gate *g, uint64_t job, int code, const char *text)
{
    const struct gatewire_deny m = {.job = job, .code = (uint32_t)code, .text = text};
    GATE_POST(g, GATEWIRE_DENY, gatewire_deny_encode, &m);
}

void gate_door_welcome(struct gate *g)
{
    struct gatewire_welcome m = {
        .version = GATEWIRE_VERSION,
        .search = {.list = policy_search_path(warden_policy(g->door->warden))}};
    _cleanup_buf_ struct buf path = BUF_INIT(1u << 20);
    while (m.search.list[m.search.count])
        (void)buf_printf(&path, "%s:", m.search.list[m.search.count++]);
    if (g->search && str_eq(g->search, buf_str(&path)))
        return;
    free(g->search);
    g->search = buf_steal(&path);
    if (m.search.count > GATEWIRE_SEARCH_MAX)
        m.search.count = GATEWIRE_SEARCH_MAX;
    GATE_POST(g, GATEWIRE_WELCOME, gatewire_welcome_encode, &m);
}

/* An inherited connection begins with the magic too. */
static int take_magic(struct gate *g)
{
    if (g->magic)
        return 1;
    if (g->wire.in.len < GATEWIRE_MAGIC_SIZE)
        return 0;
    if (memcmp(g->wire.in.data, GATEWIRE_MAGIC, GATEWIRE_MAGIC_SIZE) != 0)
        return -EBADMSG;
    buf_consume(&g->wire.in, GATEWIRE_MAGIC_SIZE);
    g->magic = true;
    return 1;
}

static void take_all(struct gate *g)
{
    struct gatewire_head h;
    const uint8_t *body;
    int r = take_magic(g);
    while (r > 0 && !g->closed && (r = gate_link_peek(&g->wire, &h, &body)) > 0) {
        gate_says(g, &h, body);
        if (!g->closed)
            gate_link_pop(&g->wire, &h);
    }
    if (r < 0 && !g->closed)
        gate_says_nonsense(g, "it does not speak the gate's protocol");
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct gate *g = poll->data;
    struct err err = {.text = ""};
    if (status < 0) {
        gate_door_lose(g, "the connection broke");
        return;
    }
    if ((events & UV_WRITABLE) && gate_link_flush(&g->wire) < 0) {
        gate_door_lose(g, "the connection broke");
        return;
    }
    if (events & UV_READABLE) {
        int r = gate_link_read(&g->wire, &err);
        if (r < 0) {
            gate_door_lose(g, err.text);
            return;
        }
        take_all(g);
    }
    arm(g);
}

static void tick(uv_timer_t *t)
{
    struct gate *g = t->data;
    if (!g->greeted) {
        gate_says_nonsense(g, "it did not say hello in time");
        return;
    }
    if (!g->settled) {
        if (!g->fitting)
            gate_says_again(g);
        return;
    }
    gate_door_welcome(g); /* after a reload */
    gate_command_look_after(g);
}

void gate_door_soon(struct gate *g)
{
    (void)uv_timer_start(&g->timer, tick, SOON_MS, WATCH_MS);
}

/* ---- life of one ---- */

static void gate_unused(struct gate *g)
{
    const char *key;
    void *value;
    if (!g->closed || g->handles > 0)
        return;
    for (size_t i = 0; map_next(g->programs, &i, &key, &value);)
        free(value);
    map_free(g->programs);
    map_free(g->jobs);
    map_free(g->by_pid);
    free(g->search);
    container_unref(g->in);
    free(g->container);
    free(g);
}

static void handle_closed(uv_handle_t *h)
{
    struct gate *g = h->data;
    g->handles--;
    gate_unused(g);
}

void gate_door_lose(struct gate *g, const char *why)
{
    struct gate_door *d = g->door;
    if (g->closed)
        return;
    g->closed = true;
    if (g->census)
        g->census->forget(g->census, g);
    if (g->fitting && d->fitter)
        d->fitter->forget(d->fitter, g);
    if (why)
        log_warn(NULL, "gate of pid %d: lost: %s", (int)g->pid, why);
    list_remove(&g->link);
    d->count--;
    int unheard = gate_link_flush(&g->wire); /* last words */
    (void)unheard;
    uv_close((uv_handle_t *)&g->poll, handle_closed);
    uv_close((uv_handle_t *)&g->timer, handle_closed);
    const char *key;
    void *value;
    struct map *jobs = g->jobs;
    g->jobs = map_new();
    for (size_t i = 0; map_next(jobs, &i, &key, &value);) {
        struct gate_command *c = value;
        gate_command_end(c, why ? why : "its gate is gone");
    }
    if (!d->closing)
        warden_forget_tree(d->warden, g->tree);
    map_free(jobs);
    map_free(g->by_pid);
    g->by_pid = map_new();
    gate_link_done(&g->wire);
}

static struct gate *gate_new(struct gate_door *d, int fd)
{
    int one = 1;
    struct gate *g = mem_new(struct gate);
    g->door = d;
    g->pid = -1;
    g->tree = ++d->last_tree;
    gate_link_init(&g->wire, fd, d->disposer);
    g->jobs = map_new();
    g->by_pid = map_new();
    g->programs = map_new();
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &one, sizeof(one));
    g->poll.data = g->timer.data = g;
    if (uv_poll_init(d->loop, &g->poll, fd) < 0)
        abort(); /* only for a descriptor that is no socket or already polled: ours is fresh */
    (void)uv_timer_init(d->loop, &g->timer);
    g->handles = 2;
    (void)uv_timer_start(&g->timer, tick, HELLO_MS, WATCH_MS);
    list_append(&d->gates, &g->link);
    d->count++;
    return g;
}

void gate_door_accept(struct gate_door *d, int fd, struct peer_creds *who, struct census *census,
                      const struct bond *bond, const void *p, size_t n)
{
    struct gate *g = gate_new(d, fd);
    g->census = census;
    g->bond = bond;
    g->wire.who = *who;
    who->pidfd = -1;
    g->magic = true;
    if (d->exclusive || d->closing || d->count > GATES_MAX) {
        gate_says_refused(g, d->exclusive
                                 ? "this warden serves the one gate that it was started with"
                                 : "too many gates");
        return;
    }
    (void)buf_append(&g->wire.in, p, n);
    take_all(g);
    arm(g);
}

int gate_door_inherit(struct gate_door *d, int fd, struct err *err)
{
    int type = 0, domain = 0;
    socklen_t n = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 || type != SOCK_STREAM ||
        domain != AF_UNIX)
        return err_set(err, -EINVAL, "gate-fd: %d is not a unix stream socket", fd);
    int r = fd_set_nonblock(fd);
    if (r < 0)
        return err_errno(err, r, "gate-fd");
    d->exclusive = true;
    struct gate *g = gate_new(d, fd);
    /* The agent's start may take its time: the warden's own does too. */
    (void)uv_timer_start(&g->timer, tick, 12 * HELLO_MS, WATCH_MS);
    arm(g);
    return 0;
}

/* ---- the door ---- */

static void on_event(void *arg, const struct event *e)
{
    struct gate_door *d = arg;
    if (e->kind == EVENT_ENDED && e->r)
        gate_command_done(d, e->r);
}

struct gate_door *gate_door_new(uv_loop_t *loop, struct resolver *next)
{
    struct gate_door *d = mem_new(struct gate_door);
    d->loop = loop;
    d->next = next;
    d->resolver = gate_command_resolver;
    d->inplace = gate_command_inplace;
    d->redirect = gate_command_redirect;
    d->disposer = disposer_new();
    d->by_request = map_new();
    list_init(&d->gates);
    return d;
}

void gate_door_set_warden(struct gate_door *d, struct warden *w)
{
    d->warden = w;
    events_subscribe(warden_events(w), on_event, d);
}

struct resolver *gate_door_resolver(struct gate_door *d)
{
    return &d->resolver;
}

struct executor *gate_door_inplace(struct gate_door *d)
{
    return &d->inplace;
}

struct executor *gate_door_redirect(struct gate_door *d, const char *shim)
{
    free(d->shim);
    d->shim = mem_strdup(shim);
    return &d->redirect;
}

void gate_door_set_fitter(struct gate_door *d, struct fitter *f)
{
    d->fitter = f;
}

void gate_door_refit(struct gate_door *d, const char *container)
{
    list_foreach(it, &d->gates)
    {
        struct gate *g = list_item(it, struct gate, link);
        if (g->settled && !g->fitting && g->in && str_eq(g->in->id, container))
            gate_says_refit(g);
    }
}

bool gate_door_governs(const struct gate_door *d, pid_t pid)
{
    for (const struct list *it = d->gates.next; it != &d->gates; it = it->next) {
        const struct gate *g = list_item(it, struct gate, link);
        if (g->pid > 0 && peer_descends(pid, g->pid) != 0)
            return true;
    }
    return false;
}

void gate_door_close(struct gate_door *d)
{
    d->closing = true;
    list_foreach(it, &d->gates) gate_door_lose(list_item(it, struct gate, link), NULL);
}

struct gate_door *gate_door_free(struct gate_door *d)
{
    if (!d)
        return NULL;
    const char *key;
    void *value;
    for (size_t i = 0; map_next(d->by_request, &i, &key, &value);) {
        struct gate_command *c = value;
        gate_ask_free(c->ask);
        free(c);
    }
    map_free(d->by_request);
    disposer_free(d->disposer);
    free(d->shim);
    free(d);
    return NULL;
}
