/* SPDX-License-Identifier: MIT */
#include "exec/fitting.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"

#define SEARCH_MAX 64

struct fitting {
    struct mirror *mirror;
    struct mirror_listener listener;
    struct list orders;
};

struct order {
    struct list link;
    uint64_t job;        /* 0: it waits for another of the same container */
    struct container *c; /* owned reference */
    uint8_t *body;       /* owned, until it is sent */
    size_t body_size;
    int shim, below; /* owned, until it is sent; below -1: none */
    fitting_done *done;
    void *arg;
};

static void order_sent(struct order *o)
{
    if (o->shim >= 0)
        close(TAKE_FD(o->shim));
    if (o->below >= 0)
        close(TAKE_FD(o->below));
    free(TAKE_PTR(o->body));
}

static void order_free(struct order *o)
{
    order_sent(o);
    container_unref(o->c);
    free(o);
}

/* Field 22 of /proc/PID/stat, behind the name, which may have anything in it. */
static uint64_t age_of(pid_t pid)
{
    char path[64];
    _cleanup_buf_ struct buf text = BUF_INIT(4096);
    struct timespec now;
    (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fd_read_all(fd, &text) < 0)
        return 0;
    const char *p = strrchr(buf_str(&text), ')');
    for (int field = 2; p && field < 22; field++)
        p = strchr(p + 1, ' ');
    uint64_t ticks = p ? strtoull(p + 1, NULL, 10) : 0, per = (uint64_t)sysconf(_SC_CLK_TCK);
    (void)clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)now.tv_nsec;
    uint64_t start = ticks * (CLOCK_NS_PER_SEC / per);
    return ticks && ns > start ? ns - start : 0;
}

static void send_next(struct fitting *f, const struct container *c);

static void end(struct fitting *f, struct order *o, int result, const struct helper_resolved *m,
                const char *words)
{
    list_remove(&o->link);
    send_next(f, o->c);
    o->done(o->arg, o->c->id, result, m ? m->names.packed : "", m ? m->names.count : 0, words,
            result == 0 ? age_of(o->c->init) : 0);
    order_free(o);
}

static int send_order(struct fitting *f, struct order *o, struct err *err)
{
    const int fds[] = {o->c->initfd, o->c->initfd, o->shim, o->below};
    o->job = mirror_job(f->mirror);
    int r = mirror_send(f->mirror, HELPER_RESOLVE, o->job, o->body, o->body_size, fds,
                        o->below >= 0 ? 4 : 3, err);
    order_sent(o);
    return r;
}

/* Two at once would both find a tool uncovered. */
static void send_next(struct fitting *f, const struct container *c)
{
    list_foreach(it, &f->orders)
    {
        struct order *o = list_item(it, struct order, link);
        struct err err = {""};
        if (!str_eq(o->c->id, c->id))
            continue;
        if (o->job == 0) {
            int r = send_order(f, o, &err);
            if (r < 0)
                end(f, o, r, NULL, err.text);
        }
        return;
    }
}

static bool on_message(void *arg, const struct helper_head *h, const uint8_t *body)
{
    struct fitting *f = arg;
    struct helper_resolved m;
    struct order *o = NULL;
    list_foreach(it, &f->orders)
    {
        struct order *x = list_item(it, struct order, link);
        if (x->job == h->job)
            o = x;
    }
    if (h->type != HELPER_RESOLVED || !o)
        return false;
    if (helper_resolved_decode(body, h->len, &m) < 0)
        end(f, o, -EBADMSG, NULL, "the helper's answer makes no sense");
    else
        end(f, o, -(int)m.error, &m, m.words);
    return true;
}

static void on_lost(void *arg, const char *words)
{
    struct fitting *f = arg;
    while (!list_empty(&f->orders))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
        end(f, list_item(f->orders.next, struct order, link), -EIO, NULL, words);
}

static bool is_busy(const struct fitting *f, const struct container *c)
{
    list_foreach(
        it, &f->orders) if (str_eq(list_item(it, struct order, link)->c->id, c->id)) return true;
    return false;
}

int fitting_cover(struct fitting *f, struct container *c, const char *const *search,
                  const char *const *commands, size_t count, const char *shim, int below,
                  fitting_done *done, void *arg, struct err *err)
{
    struct helper_resolve m = {.init = (uint32_t)c->init,
                               .peer = {.pid = (uint32_t)c->init},
                               .flags = HELPER_COVER | (below >= 0 ? HELPER_BELOW : 0),
                               .name = "cover",
                               .cwd = "",
                               .search = {.list = search},
                               .paths = {.list = commands, .count = (uint32_t)count}};
    struct order *o = mem_new(struct order);
    *o =
        (struct order){.c = container_ref(c), .shim = -1, .below = below, .done = done, .arg = arg};
    while (m.search.count < SEARCH_MAX && search[m.search.count])
        m.search.count++;
    int r =
        count > HELPER_PATHS_MAX ? err_set(err, -E2BIG, "more than %u tools", HELPER_PATHS_MAX) : 0;
    if (r == 0 && (o->shim = open(shim, O_PATH | O_NOFOLLOW | O_CLOEXEC)) < 0)
        r = err_errno(err, -errno, "'%s'", shim);
    o->body_size = helper_resolve_encode(&m, NULL, 0);
    o->body = mem_zalloc(o->body_size ? o->body_size : 1);
    (void)helper_resolve_encode(&m, o->body, o->body_size);
    if (r == 0 && !o->body_size)
        r = err_set(err, -E2BIG, "the names are too long");
    if (r == 0 && !is_busy(f, c))
        r = send_order(f, o, err);
    if (r < 0) {
        order_free(o);
        return r;
    }
    list_append(&f->orders, &o->link);
    return 0;
}

struct fitting *fitting_new(struct mirror *m)
{
    struct fitting *f = mem_new(struct fitting);
    f->mirror = m;
    list_init(&f->orders);
    f->listener = (struct mirror_listener){.message = on_message, .lost = on_lost, .arg = f};
    mirror_listen(m, &f->listener);
    return f;
}

void fitting_forget(struct fitting *f)
{
    list_foreach(it, &f->orders)
    {
        list_remove(it);
        order_free(list_item(it, struct order, link));
    }
}

struct fitting *fitting_free(struct fitting *f)
{
    if (!f)
        return NULL;
    list_remove(&f->listener.link);
    fitting_forget(f);
    free(f);
    return NULL;
}
