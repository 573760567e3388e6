/* SPDX-License-Identifier: MIT */
#include "exec/direct.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"

#define LOOK_MS 500 /* how often it is looked for those that do not answer */
#define LOOKUP_MS                                                                                  \
    1500 /* the helper ends a lookup that hangs before: here it is the worker that does */

struct line {
    struct list link;
    struct direct *l;
    int fd;          /* owned */
    pid_t init;      /* of its container */
    uint64_t job;    /* 0: free */
    uint64_t until;  /* ms of the loop: it has to be done with its lookup; 0: does none */
    uv_poll_t *poll; /* owned by the loop once closed */
};

struct direct {
    struct direct_config c;
    uv_timer_t *timer; /* owned by the loop once closed */
    struct list all;   /* the last that was free comes first: what it needs is in the caches */
};

static void handle_closed(uv_handle_t *h)
{
    free(h);
}

static void line_close(struct line *x)
{
    list_remove(&x->link);
    (void)uv_poll_stop(x->poll);
    x->poll->data = NULL;
    uv_close((uv_handle_t *)x->poll, handle_closed);
    close(x->fd);
    free(x);
}

static void lose(struct line *x)
{
    const struct direct *l = x->l;
    uint64_t job = x->job;
    line_close(x);
    if (job)
        l->c.lost(l->c.arg, job);
}

static struct line *find_late(const struct direct *l, bool *ret_waits)
{
    // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): line_close() took out what is freed
    list_foreach(it, &l->all)
    {
        struct line *x = list_item(it, struct line, link);
        if (x->until && x->until <= uv_now(l->c.loop))
            return x;
        *ret_waits = *ret_waits || x->until;
    }
    return NULL;
}

/* A worker that somebody stopped, say: the others are asked. */
static void on_timer(uv_timer_t *t)
{
    struct line *x;
    bool waits = false;
    while (t->data && (x = find_late(t->data, &waits)))
        lose(x);
    if (!waits)
        (void)uv_timer_stop(t);
}

static void on_line(uv_poll_t *poll, int status, int events)
{
    struct line *x;
    int r = 1;
    (void)events;
    /* What is said may close all of them. */
    for (int i = 0; i < 64 && r == 1 && (x = poll->data); i++)
        r = courier_receive(x->fd, x->l->c.room, x->l->c.got, x->l->c.arg);
    x = poll->data;
    if (!x || r == 1 || (r == -EAGAIN && status >= 0))
        return;
    lose(x);
}

void direct_add(struct direct *l, pid_t init, int fd)
{
    struct line *x = mem_new(struct line);
    *x = (struct line){.l = l, .fd = fd, .init = init, .poll = mem_new(uv_poll_t)};
    if (uv_poll_init(l->c.loop, x->poll, fd) < 0) {
        free(x->poll);
        free(x);
        close(fd);
        return;
    }
    x->poll->data = x;
    list_append(&l->all, &x->link);
    (void)uv_poll_start(x->poll, UV_READABLE, on_line);
}

static struct line *find(const struct direct *l, uint64_t job)
{
    list_foreach(it, &l->all)
    {
        struct line *x = list_item(it, struct line, link);
        if (job && x->job == job) /* a free one is nobody's */
            return x;
    }
    return NULL;
}

bool direct_claim(struct direct *l, pid_t init, uint64_t job)
{
    list_foreach(it, &l->all)
    {
        struct line *x = list_item(it, struct line, link);
        if (x->job || x->init != init)
            continue;
        x->job = job;
        x->until = uv_now(l->c.loop) + LOOKUP_MS;
        if (!uv_is_active((uv_handle_t *)l->timer))
            (void)uv_timer_start(l->timer, on_timer, LOOK_MS, LOOK_MS);
        return true;
    }
    return false;
}

bool direct_pass(struct direct *l, uint64_t job, uint64_t next)
{
    struct line *x = find(l, job);
    if (!x)
        return false;
    x->job = next;
    x->until = 0;
    if (!next) {
        list_remove(&x->link);
        list_append(l->all.next, &x->link); /* before the first */
    }
    return true;
}

int direct_fd(const struct direct *l, uint64_t job)
{
    const struct line *x = find(l, job);
    return x ? x->fd : -1;
}

struct direct *direct_new(const struct direct_config *c)
{
    struct direct *l = mem_new(struct direct);
    l->c = *c;
    list_init(&l->all);
    l->timer = mem_new(uv_timer_t);
    (void)uv_timer_init(c->loop, l->timer);
    uv_unref((uv_handle_t *)l->timer);
    l->timer->data = l;
    return l;
}

void direct_close(struct direct *l)
{
    while (!list_empty(&l->all))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
        line_close(list_item(l->all.next, struct line, link));
}

struct direct *direct_free(struct direct *l)
{
    if (!l)
        return NULL;
    direct_close(l);
    l->timer->data = NULL;
    uv_close((uv_handle_t *)l->timer, handle_closed);
    free(l);
    return NULL;
}
