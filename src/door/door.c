/* SPDX-License-Identifier: MIT */
/* The socket appears under its name only when it listens and has its mode and group: it is made
 * under another name and renamed. SO_PASSCRED is set before anybody can connect, so that there are
 * no bytes without a sender. */
#include "door/door.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "door/disposer.h"
#include "door/kernel.h"
#include "door/quota.h"
#include "door/room.h"
#include "door/session.h"
#include "door/turns.h"
#include "door/watch.h"
#include "wire/bytes.h"
#include "wire/v2.h"

#define BACKLOG 4096
#define ACCEPT_BATCH 64

struct door {
    struct room room;
    char *dir, *name; /* owned; of the socket */
    int dirfd;        /* owned */
    dev_t dev;        /* of the socket we made */
    ino_t ino;
    int fd;      /* owned; listens */
    int reserve; /* owned; given up for a moment when no descriptor is left */
    uv_poll_t poll;
    bool polling, accepting;
    uint64_t paused_until; /* monotonic ns */
};

void door_config_default(struct door_config *c)
{
    *c = (struct door_config){.mode = 0660,
                              .group = (gid_t)-1,
                              .request_deadline = 5 * CLOCK_NS_PER_SEC,
                              .connections_max = 12288,
                              .connections_max_peer = 1024,
                              .bytes_max = 256u << 20,
                              .bytes_max_peer = 64u << 20};
}

/* ---- the socket ---- */

/* Addresses are short and our paths may not be: the directory is named by its descriptor. */
static int address(const struct door *d, const char *name, struct sockaddr_un *ret)
{
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%s", d->dirfd, name);
    return n < 0 || (size_t)n >= sizeof(ret->sun_path) ? -ENAMETOOLONG : 0;
}

/* 0 when nobody listens under our name, whatever is there is a dead socket or nothing. */
static int check_name_free(const struct door *d, struct err *err)
{
    struct stat st;
    if (fstatat(d->dirfd, d->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : err_errno(err, -errno, "cannot look at the socket");
    if (!S_ISSOCK(st.st_mode))
        return err_set(err, -EEXIST, "there is something that is no socket; move it away");
    struct sockaddr_un a;
    int r = address(d, d->name, &a);
    if (r < 0)
        return err_errno(err, r, "the socket's name is too long");
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return err_errno(err, -errno, "cannot make a socket");
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0 && errno == ECONNREFUSED)
        return 0;
    return err_set(err, -EADDRINUSE,
                   "another warden listens there; stop it first, or choose "
                   "another --socket");
}

static int prepare_socket(struct door *d, struct err *err)
{
    int one = 1, zero = 0;
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (d->fd < 0)
        return err_errno(err, -errno, "cannot make a socket");
    if (setsockopt(d->fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) < 0)
        return err_errno(err, -errno, "cannot have the kernel name the senders");
    /* Accepted sockets inherit it. Before Linux 6.16 descriptors are received and disposed of. */
    d->room.rights_refused = !d->room.config.accept_rights &&
                             setsockopt(d->fd, SOL_SOCKET, SO_PASSRIGHTS, &zero, sizeof(zero)) == 0;
    return 0;
}

/* Makes it under `name`, complete with owner and mode. */
static int bind_socket(struct door *d, const char *name, struct err *err)
{
    struct sockaddr_un a;
    struct stat st;
    int r = address(d, name, &a);
    if (r < 0)
        return err_errno(err, r, "the socket's name is too long");
    mode_t old = umask(0177);
    r = bind(d->fd, (struct sockaddr *)&a, sizeof(a)) < 0 ? -errno : 0;
    (void)umask(old);
    if (r < 0)
        return err_errno(err, r, "cannot make the socket");
    if (d->room.config.group != (gid_t)-1 &&
        fchownat(d->dirfd, name, (uid_t)-1, d->room.config.group, AT_SYMLINK_NOFOLLOW) < 0)
        return err_errno(err, -errno, "cannot give the socket to group %u",
                         (unsigned)d->room.config.group);
    if (fchmodat(d->dirfd, name, d->room.config.mode, 0) < 0)
        return err_errno(err, -errno, "cannot set the socket's mode");
    if (fstatat(d->dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || listen(d->fd, BACKLOG) < 0)
        return err_errno(err, -errno, "cannot listen on the socket");
    d->dev = st.st_dev;
    d->ino = st.st_ino;
    return 0;
}

static int make_socket(struct door *d, struct err *err)
{
    char name[64];
    (void)snprintf(name, sizeof(name), ".clawrden-%d.sock", (int)getpid());
    (void)unlinkat(d->dirfd, name, 0); /* of a process with our number that died here */
    int r = prepare_socket(d, err);
    if (r == 0)
        r = bind_socket(d, name, err);
    if (r == 0 && renameat(d->dirfd, name, d->dirfd, d->name) < 0)
        r = err_errno(err, -errno, "cannot put the socket in its place");
    if (r < 0)
        (void)unlinkat(d->dirfd, name, 0);
    return r;
}

static int open_directory(struct door *d, const char *path, struct err *err)
{
    d->dir = path_dirname(path);
    d->name = mem_strdup(str_basename(path));
    if (d->name[0] == '\0')
        return err_set(err, -EINVAL, "the path ends with a slash");
    int r = path_mkdirs(d->dir, 0755, err);
    if (r < 0)
        return r;
    d->dirfd = open(d->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return d->dirfd < 0 ? err_errno(err, -errno, "cannot open '%s'", d->dir) : 0;
}

/* ---- accepting ---- */

/* Whatever protocol it speaks: a version 1 client takes the first byte for a refusal. */
static void say_why(int fd, const char *words)
{
    char text[ERR_TEXT_MAX + 64];
    uint8_t out[V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE + sizeof(text)];
    int n = snprintf(text, sizeof(text), "clawrden: refused: %s\n", words);
    v2_head_encode(V2_REFUSED, (uint32_t)(V2_REFUSED_HEAD_SIZE + n), out);
    bytes_put_u32(out + V2_HEAD_SIZE, 125);
    memcpy(out + V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE, text, (size_t)n);
    (void)send(fd, out, V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE + (size_t)n,
               MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Without the right to close it here, a connection that we do not want goes to the disposer. */
static void turn_away(struct room *m, int fd)
{
    if (m->rights_refused)
        close(fd);
    else
        disposer_put(m->disposer, fd);
}

/* No descriptor is left: who has waited longest without a request makes room for others. */
static void make_room(struct room *m)
{
    metrics_count_error(warden_metrics(m->warden), METRICS_ERROR_LIMIT);
    log_error(NULL, "no file descriptor is left (%u connections): turning callers away",
              m->connections);
    if (!list_empty(&m->half))
        session_evict(list_item(m->half.next, struct session, in_state));
}

static void welcome(struct door *d, int fd)
{
    struct room *m = &d->room;
    struct peer_creds who;
    struct err err;
    int r = peer_connected(fd, &who, &err);
    if (r == -EMFILE || r == -ENFILE) /* the connection took the last one */
        make_room(m);
    if (r < 0) {
        metrics_count_error(warden_metrics(m->warden), METRICS_ERROR_IDENTITY);
        log_warn(NULL, "turned a caller away: %s", err.text);
        say_why(fd, err.text);
        turn_away(m, fd);
        return;
    }
    struct quota *q = quota_of(m, who.uid);
    if (!quota_admit(m, q)) {
        metrics_count_error(warden_metrics(m->warden), METRICS_ERROR_LIMIT);
        log_warn(NULL,
                 "uid %u pid %d: turned away, too many connections (%u of this uid, %u in all)",
                 (unsigned)who.uid, (int)who.pid, q->connections, m->connections);
        peer_creds_done(&who);
        turn_away(m, fd);
        quota_release(m, q);
        return;
    }
    session_new(m, q, fd, &who);
}

/* The reserve lets one caller in to be turned away, so that the backlog does not keep the loop
 * awake. */
static void accept_on_reserve(struct door *d)
{
    struct room *m = &d->room;
    make_room(m);
    if (d->reserve < 0)
        return;
    close(d->reserve);
    int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        turn_away(m, fd);
    d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void start_ticking(struct door *d);
static void set_accepting(struct door *d, bool on);

static void door_ready(uv_poll_t *poll, int status, int events)
{
    struct door *d = poll->data;
    (void)events;
    if (status < 0) {
        log_error(NULL, "the listening socket failed: %s", uv_strerror(status));
        return;
    }
    for (int i = 0; i < ACCEPT_BATCH; i++) {
        int fd = accept4(d->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            welcome(d, fd);
            continue;
        }
        if (errno == EINTR || errno == ECONNABORTED)
            continue;
        if (errno == EMFILE || errno == ENFILE)
            accept_on_reserve(d);
        break;
    }
    start_ticking(d);
}

static void set_accepting(struct door *d, bool on)
{
    if (!d->polling || d->accepting == on)
        return;
    d->accepting = on;
    if (on)
        (void)uv_poll_start(&d->poll, UV_READABLE, door_ready);
    else
        (void)uv_poll_stop(&d->poll);
}

/* ---- what time brings; only while there is something to wait for ---- */

static void expire(struct list *l, uint64_t now)
{
    while (!list_empty(l)) {
        struct session *s = list_item(l->next, struct session, in_state);
        if (s->deadline > now)
            return;
        session_expired(s);
    }
}

static void door_tick(uv_timer_t *t)
{
    struct door *d = t->data;
    struct room *m = &d->room;
    uint64_t now = clock_monotonic();
    expire(&m->half, now);
    expire(&m->lingering, now);
    watch_turn(m);
    bool full = disposer_full(m->disposer);
    if (full && d->accepting)
        log_error(NULL,
                  "callers block the closing of what they sent: accepting nobody until it ends");
    set_accepting(d, !m->closing && !full && d->fd >= 0);
    quota_sweep(m);
    if (m->sessions == 0 && !full && map_count(m->quotas) == 0) {
        (void)uv_timer_stop(t);
        m->ticking = false;
    }
}

static void start_ticking(struct door *d)
{
    if (d->room.ticking || (d->room.sessions == 0 && map_count(d->room.quotas) == 0))
        return;
    d->room.ticking = true;
    (void)uv_timer_start(&d->room.timer, door_tick, WATCH_TURN_MS, WATCH_TURN_MS);
}

/* ---- life ---- */

static void on_event(void *arg, const struct event *e)
{
    struct room *m = arg;
    char key[32];
    if (e->kind != EVENT_ENDED || !e->r)
        return;
    (void)snprintf(key, sizeof(key), "%p", (const void *)e->r);
    struct session *s = map_get(m->asked, key);
    if (s)
        session_ended(s);
}

static struct door *door_alloc(uv_loop_t *loop, struct warden *w, const struct door_config *c)
{
    struct door *d = mem_new(struct door);
    struct room *m = &d->room;
    d->fd = d->dirfd = d->reserve = -1;
    m->loop = loop;
    m->warden = w;
    m->config = *c;
    m->quotas = map_new();
    m->asked = map_new();
    list_init(&m->all);
    list_init(&m->half);
    list_init(&m->lingering);
    list_init(&m->waiting);
    list_init(&m->to_parse);
    m->disposer = disposer_new();
    return d;
}

/* Of one that no loop knows. */
static void door_destroy(struct door *d)
{
    disposer_free(d->room.disposer);
    map_free(d->room.quotas);
    map_free(d->room.asked);
    if (d->fd >= 0)
        close(d->fd);
    if (d->dirfd >= 0)
        close(d->dirfd);
    if (d->reserve >= 0)
        close(d->reserve);
    free(d->dir);
    free(d->name);
    free(d);
}

int door_new(uv_loop_t *loop, struct warden *w, const struct door_config *c, struct door **ret,
             struct err *err)
{
    struct door *d = door_alloc(loop, w, c);
    int r = open_directory(d, c->path, err);
    if (r == 0)
        r = check_name_free(d, err);
    if (r == 0)
        r = make_socket(d, err);
    if (r < 0) {
        door_destroy(d);
        return err_prefix(err, r, "socket '%s'", c->path);
    }
    d->reserve = open("/dev/null", O_RDONLY | O_CLOEXEC);
    (void)uv_timer_init(loop, &d->room.timer);
    turns_init(&d->room);
    (void)uv_poll_init(loop, &d->poll, d->fd);
    d->room.timer.data = d->poll.data = d;
    d->polling = true;
    events_subscribe(warden_events(w), on_event, &d->room);
    *ret = d;
    return 0;
}

void door_start(struct door *d)
{
    set_accepting(d, true);
}

static void listener_closed(uv_handle_t *h)
{
    struct door *d = h->data;
    close(TAKE_FD(d->fd));
}

void door_shut(struct door *d)
{
    struct stat st;
    d->room.closing = true;
    if (!d->polling)
        return;
    set_accepting(d, false);
    d->polling = false;
    if (fstatat(d->dirfd, d->name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_dev == d->dev &&
        st.st_ino == d->ino)
        (void)unlinkat(d->dirfd, d->name, 0);
    uv_close((uv_handle_t *)&d->poll, listener_closed);
}

void door_close(struct door *d)
{
    struct room *m = &d->room;
    door_shut(d);
    list_foreach(it, &m->all) session_leave(list_item(it, struct session, in_all));
    turns_close(m);
    if (!uv_is_closing((uv_handle_t *)&m->timer))
        uv_close((uv_handle_t *)&m->timer, NULL);
}

struct door *door_free(struct door *d)
{
    if (!d)
        return NULL;
    list_foreach(it, &d->room.all) session_forget(list_item(it, struct session, in_all));
    quota_sweep(&d->room);
    door_destroy(d);
    return NULL;
}

size_t door_connections(const struct door *d)
{
    return d->room.connections;
}
