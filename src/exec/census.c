/* SPDX-License-Identifier: MIT */
#include "exec/census.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/lineage.h"

#define CGROUPS_TEXT_MAX (64u << 10)
#define DOOR_HOMES_MAX 64  /* pid namespaces of one door: each costs a descriptor */
#define REFRESH_GAP_MS 250 /* whoever calls from nowhere cannot keep the engine busy */

#ifndef NS_GET_OWNER_UID
#define NS_GET_OWNER_UID 0xb704 /* linux/nsfs.h */
#endif

struct resident {
    struct container *c; /* a reference */
    char *cgroups;       /* owned; of its init; NULL: who is in its user namespace lives in it */
};

struct waiter {
    struct list link;
    void (*done)(void *arg);
    void *arg;
};

struct census_own {
    struct census port;
    uv_loop_t *loop;
    struct map *residents; /* id -> struct resident */
    const struct census_engine *engine;
    struct list next, asking; /* waiters of the next and of the running question */
    bool busy, timing;
    uint64_t asked_at; /* ms of the loop */
    uv_timer_t timer;
    struct list listeners;
};

static struct census_own *own(struct census *x)
{
    return container_of(x, struct census_own, port);
}

/* ---- /proc ---- */

static int read_cgroups(pid_t pid, struct buf *out)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd < 0 ? -ESRCH : fd_read_all(fd, out);
}

static bool alive(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return pidfd >= 0 && poll(&p, 1, 0) == 0;
}

static bool same_space(pid_t pid, pid_t other, const char *kind)
{
    char path[64];
    struct stat a, b;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    if (stat(path, &a) < 0)
        return false;
    if (other)
        (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)other, kind);
    else
        (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
    return stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/* ---- residents ---- */

static void resident_free(struct resident *r)
{
    container_unref(r->c);
    free(r->cgroups);
    free(r);
}

void census_remove(struct census *port, const char *id)
{
    struct resident *r = map_remove(own(port)->residents, id);
    if (r)
        resident_free(r);
}

static void tell_arrival(struct census_own *x, struct container *c)
{
    list_foreach(it, &x->listeners)
    {
        const struct census_listener *l = list_item(it, struct census_listener, link);
        if (l->arrived)
            l->arrived(l->arg, c);
    }
}

static int put(struct census_own *x, struct container *c, pid_t init, bool by_userns,
               struct err *err)
{
    _cleanup_(container_unrefp) struct container *mine = c;
    _cleanup_buf_ struct buf text = BUF_INIT(CGROUPS_TEXT_MAX);
    c->init = init;
    c->initfd = (int)syscall(SYS_pidfd_open, init, 0);
    if (c->initfd < 0 || read_cgroups(init, &text) < 0)
        return err_set(err, -ESRCH, "its first process %d is gone", (int)init);
    size_t depth;
    if (!by_userns && !lineage_below(buf_str(&text), buf_str(&text), &depth))
        return err_set(err, -EBADMSG, "it has no cgroup of its own, so nobody can be told from it");
    if (!alive(c->initfd))
        return err_set(err, -ESRCH, "its first process %d is gone", (int)init);
    struct resident *r = mem_new(struct resident);
    *r = (struct resident){.c = TAKE_PTR(mine),
                           .cgroups = by_userns ? NULL : mem_strdup(buf_str(&text))};
    struct resident *old = map_put(x->residents, c->id, r);
    bool known = old && old->c->init == init && container_alive(old->c);
    if (old) {
        c->governed = c->governed || old->c->governed;
        resident_free(old);
    }
    if (!known)
        tell_arrival(x, c);
    return 0;
}

int census_put(struct census *port, struct container *c, pid_t init, struct err *err)
{
    return put(own(port), c, init, false, err);
}

struct container *census_find(struct census *port, const char *name)
{
    const char *key;
    void *value;
    struct container *found = NULL;
    for (size_t i = 0; map_next(own(port)->residents, &i, &key, &value);) {
        struct container *c = ((struct resident *)value)->c;
        if (!container_alive(c))
            continue;
        if (str_eq(c->id, name) || str_eq(c->name, name))
            return c;
        if (strlen(name) >= 12 && str_starts(c->id, name))
            found = c;
    }
    return found;
}

void census_each(struct census *port, void (*fn)(void *arg, struct container *c), void *arg)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(own(port)->residents, &i, &key, &value);) {
        const struct resident *r = value;
        if (container_alive(r->c))
            fn(arg, r->c);
    }
}

const char *census_cgroups(const struct census *port, const char *id)
{
    const struct census_own *x = container_of(port, const struct census_own, port);
    const struct resident *r = map_get(x->residents, id);
    return r ? r->cgroups : NULL;
}

void census_listen(struct census *port, struct census_listener *l)
{
    list_append(&own(port)->listeners, &l->link);
}

void census_unlisten(struct census_listener *l)
{
    if (l->link.next)
        list_remove(&l->link);
}

void census_removed(struct census *port, const char *id)
{
    struct census_own *x = own(port);
    census_remove(port, id);
    list_foreach(it, &x->listeners)
    {
        const struct census_listener *l = list_item(it, struct census_listener, link);
        if (l->removed)
            l->removed(l->arg, id);
    }
}

void census_returned(struct census *port)
{
    list_foreach(it, &own(port)->listeners)
    {
        const struct census_listener *l = list_item(it, struct census_listener, link);
        if (l->returned)
            l->returned(l->arg);
    }
}

size_t census_count(const struct census *port)
{
    return map_count(container_of(port, const struct census_own, port)->residents);
}

void census_sweep(struct census *port, bool (*keep)(void *arg, const struct container *c),
                  void *arg)
{
    const char *key;
    void *value;
    struct census_own *x = own(port);
    for (size_t i = 0; map_next(x->residents, &i, &key, &value);) {
        struct resident *r = value;
        if (keep(arg, r->c))
            continue;
        (void)map_remove(x->residents, r->c->id);
        resident_free(r);
    }
}

/* The deepest that it descends from: a container in a container is one of its own where the engine
 * knows it. */
static struct container *home_of(struct census_own *x, pid_t pid, const char *cgroups)
{
    const char *key;
    void *value;
    struct container *best = NULL;
    size_t best_depth = 0, depth;
    for (size_t i = 0; map_next(x->residents, &i, &key, &value);) {
        const struct resident *r = value;
        if (r->cgroups)
            depth = lineage_below(cgroups, r->cgroups, &depth) ? depth : 0;
        else
            depth = same_space(pid, r->c->init, "user");
        if (depth <= best_depth || !container_alive(r->c))
            continue;
        best = r->c;
        best_depth = depth;
    }
    return best;
}

/* ---- without an engine ---- */

/* The pid of the first process of `pid`'s pid namespace, as we see it; 0: there is none. */
static pid_t find_init(pid_t pid)
{
    DIR *d = opendir("/proc");
    pid_t found = 0;
    for (struct dirent *e; d && !found && (e = readdir(d));) {
        char path[64], text[4096];
        uint64_t n;
        if (str_parse_u64(e->d_name, INT32_MAX, &n) < 0 || !same_space((pid_t)n, pid, "pid"))
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/status", n);
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t k = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
        if (k <= 0)
            continue;
        text[k] = 0;
        /* NSpid: outer numbers first; the last one is its number in its own namespace. */
        const char *s = strstr(text, "\nNSpid:");
        const char *end = s ? strchr(s + 1, '\n') : NULL;
        if (end && end - s > 3 && end[-1] == '1' && end[-2] == '\t')
            found = (pid_t)n;
    }
    if (d)
        (void)closedir(d);
    return found;
}

static bool owned_by(pid_t pid, int64_t uid)
{
    char path[64];
    uid_t owner;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && !same_space(pid, 0, "user") && ioctl(fd, NS_GET_OWNER_UID, &owner) == 0 &&
           (int64_t)owner == uid;
}

static bool holds(const struct bond *b, pid_t pid, const char *cgroups)
{
    return (b->cgroup && lineage_in(cgroups, b->cgroup)) ||
           (b->userns_owner >= 0 && owned_by(pid, b->userns_owner));
}

struct homes {
    const char *door;
    size_t count; /* alive */
};

/* Nobody else says when one of a door has ended. */
static bool is_inhabited(void *arg, const struct container *c)
{
    struct homes *h = arg;
    if (!str_starts(c->id, "door:"))
        return true;
    bool alive = container_alive(c);
    h->count += alive && str_eq(c->name, h->door);
    return alive;
}

/* A caller that the door's bond knows by its cgroup or user namespace makes its container known. */
static struct container *adopt(struct census_own *x, const struct peer *p, const char *cgroups,
                               const struct bond *b, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(CGROUPS_TEXT_MAX);
    if (!holds(b, p->pid, cgroups))
        return NULL;
    pid_t init = find_init(p->pid);
    _cleanup_free_ char *id = mem_printf("door:%s:%d", b->name, (int)init);
    if (init == 0) {
        (void)err_set(err, -EPERM, "the first process of its pid namespace is not to be seen");
        return NULL;
    }
    /* Who shares the host's pid namespace would make its first process, and all that is like it,
     * the container. */
    if (read_cgroups(init, &text) < 0 || !holds(b, init, buf_str(&text))) {
        (void)err_set(err, -EPERM,
                      "the first process of its pid namespace, %d, is not what '%s' is bound to; "
                      "give it a pid namespace of its own",
                      (int)init, b->name);
        return NULL;
    }
    struct homes h = {.door = b->name};
    census_sweep(&x->port, is_inhabited, &h);
    if (h.count >= DOOR_HOMES_MAX && !map_get(x->residents, id)) {
        (void)err_set(err, -EDQUOT, "'%s' has callers in %zu pid namespaces, and may have no more",
                      b->name, h.count);
        return NULL;
    }
    if (put(x, container_new(id, b->name), init, !b->cgroup, err) < 0)
        return NULL;
    return ((struct resident *)map_get(x->residents, id))->c;
}

/* ---- questions to the engine ---- */

static void answer_all(struct list *l)
{
    struct list now = LIST_INIT(now);
    while (!list_empty(l)) {
        struct list *it = l->next;
        list_remove(it);
        list_append(&now, it);
    }
    while (!list_empty(&now)) {
        struct waiter *w = list_item(now.next, struct waiter, link);
        void (*done)(void *) = w->done;
        void *arg = w->arg;
        list_remove(&w->link);
        free(w);
        done(arg);
    }
}

static void on_gap(uv_timer_t *t);

static void ask(struct census_own *x)
{
    uint64_t now = uv_now(x->loop);
    if (x->busy || x->timing || list_empty(&x->next))
        return;
    if (now < x->asked_at + REFRESH_GAP_MS) {
        x->timing = true;
        (void)uv_timer_start(&x->timer, on_gap, x->asked_at + REFRESH_GAP_MS - now, 0);
        return;
    }
    while (!list_empty(&x->next)) {
        struct list *it = x->next.next;
        list_remove(it);
        list_append(&x->asking, it);
    }
    x->busy = true;
    x->asked_at = now;
    x->engine->refresh(x->engine->arg);
}

static void on_gap(uv_timer_t *t)
{
    struct census_own *x = t->data;
    x->timing = false;
    ask(x);
}

void census_answered(struct census *port)
{
    struct census_own *x = own(port);
    x->busy = false;
    answer_all(&x->asking);
    ask(x);
}

static void forget_in(struct list *l, const void *arg)
{
    list_foreach(it, l)
    {
        struct waiter *w = list_item(it, struct waiter, link);
        if (arg && w->arg != arg)
            continue;
        list_remove(&w->link);
        free(w);
    }
}

static void forget(struct census *port, void *arg)
{
    forget_in(&own(port)->next, arg);
    forget_in(&own(port)->asking, arg);
}

/* ---- finding ---- */

bool census_belongs(const struct bond *b, const struct container *c)
{
    if (b->container)
        return str_eq(c->name, b->container) || str_eq(c->id, b->container);
    if (b->label_key) {
        const char *value = container_label(c, b->label_key);
        return value && (!b->label_value || str_eq(value, b->label_value));
    }
    if (b->cgroup || b->userns_owner >= 0)
        return str_eq(c->name, b->name) && str_starts(c->id, "door:");
    return str_eq(c->name, b->name);
}

static int unknown(struct census *port, const char *id, const char *engine, struct err *err)
{
    bool has_engine = own(port)->engine != NULL;
    if (engine && census_find(port, id))
        return err_set(err, -EPERM,
                       "its cgroup is named like that of container %.12s and is not below it", id);
    if (!has_engine)
        return err_set(err, -EPERM,
                       "the caller is in a container and no engine is there to name it; start the "
                       "warden with --engine SOCKET, or bind a --door to its cgroup");
    if (engine)
        return err_set(err, -EPERM, "the engine knows no running container %.12s (%s)", id, engine);
    return err_set(err, -EPERM,
                   "the caller is in namespaces of its own, and in no container that the engine "
                   "knows");
}

static int settle(struct peer *p, struct container *c, const struct bond *b, struct err *err)
{
    if (b && !(c && census_belongs(b, c)))
        return err_set(err, -EPERM, "this socket belongs to '%s', and the caller is %s%s", b->name,
                       c ? "in container " : "on the host", c ? c->name : "");
    if (c) {
        c->governed = true;
        p->in = container_ref(c);
        p->container = mem_strdup(c->name);
    }
    return 0;
}

static int find(struct census *port, struct peer *p, const struct bond *bond,
                void (*done)(void *arg), void *arg, struct err *err)
{
    struct census_own *x = own(port);
    _cleanup_buf_ struct buf text = BUF_INIT(CGROUPS_TEXT_MAX);
    char id[LINEAGE_ID_SIZE] = "";
    const char *engine = NULL;
    int r = read_cgroups(p->pid, &text);
    struct container *c = r == 0 ? home_of(x, p->pid, buf_str(&text)) : NULL;
    bool foreign = !c && (!same_space(p->pid, 0, "pid") || !same_space(p->pid, 0, "mnt"));
    bool hinted = r == 0 && !c && lineage_hint(buf_str(&text), id, &engine);
    /* Behind the reading: all of it was about this process. */
    if (r < 0 || (p->pidfd >= 0 && !alive(p->pidfd)))
        return err_set(err, -EPERM, "process %d went away while it was asked about", (int)p->pid);
    err->text[0] = '\0';
    if (!c && bond)
        c = adopt(x, p, buf_str(&text), bond, err);
    if (!c && err->text[0])
        return -EPERM;
    if (c || (!foreign && !hinted))
        return settle(p, c, bond, err);
    if (x->engine && done) {
        struct waiter *w = mem_new(struct waiter);
        *w = (struct waiter){.done = done, .arg = arg};
        list_append(&x->next, &w->link);
        ask(x);
        return -EINPROGRESS;
    }
    /* Without an engine the walls of `local` refuse it, and that is on record. */
    if (!x->engine && !bond)
        return 0;
    return unknown(port, id, engine, err);
}

/* ---- life ---- */

struct census *census_new(uv_loop_t *loop)
{
    struct census_own *x = mem_new(struct census_own);
    *x = (struct census_own){.port = {.find = find, .forget = forget}, .loop = loop};
    x->residents = map_new();
    list_init(&x->listeners);
    list_init(&x->next);
    list_init(&x->asking);
    (void)uv_timer_init(loop, &x->timer);
    x->timer.data = x;
    return &x->port;
}

void census_set_engine(struct census *port, const struct census_engine *e)
{
    own(port)->engine = e;
}

void census_close(struct census *port)
{
    if (port)
        uv_close((uv_handle_t *)&own(port)->timer, NULL);
}

struct census *census_free(struct census *port)
{
    if (!port)
        return NULL;
    struct census_own *x = own(port);
    const char *key;
    void *value;
    for (size_t i = 0; map_next(x->residents, &i, &key, &value);)
        resident_free(value);
    map_free(x->residents);
    forget_in(&x->next, NULL);
    forget_in(&x->asking, NULL);
    free(x);
    return NULL;
}
