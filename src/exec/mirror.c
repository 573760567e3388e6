/* SPDX-License-Identifier: MIT */
#include "exec/mirror.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"
#include "exec/courier.h"
#include "exec/direct.h"

#define BINARY_MAX (16u << 20)
#define QUEUE_MAX 4096  /* messages that the socket did not take */
#define AGAIN_MIN_MS 50 /* before a new helper, doubled with each that dies young */
#define AGAIN_MAX_MS 5000
#define YOUNG_MS 10000
#define LOST UINT64_MAX /* no job: nobody gets this line again */

struct outgoing {
    struct list link;
    uint8_t *packet; /* owned */
    size_t len;
    int fds[HELPER_FDS_MAX]; /* owned */
    unsigned fds_count;
};

struct mirror {
    uv_loop_t *loop;
    int image;       /* owned: the sealed copy */
    int sock;        /* owned; -1: no helper */
    int answers;     /* owned; what workers say to us directly; its end means nothing */
    pid_t pid;       /* 0: none; kept until it is reaped */
    uv_poll_t *poll; /* owned by the loop once closed */
    uv_poll_t *answers_poll;
    uv_timer_t again;
    bool closing, hello;
    uint64_t born, wait_ms, next_job;
    uint32_t features;
    char words[512], cgroup[512], outside[256];
    struct direct *direct; /* owned */
    struct mirror_offer {
        const void *owner;
        uint64_t job;
    } offer; /* the worker that looked for somebody just now */
    struct list listeners;
    struct list queue;
    size_t queued;
    uint8_t *buf; /* owned: HELPER_HEAD_SIZE + HELPER_INLINE_MAX */
};

/* ---- the image ---- */

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U /* linux/memfd.h, 6.3 */
#endif

/* A copy that nobody can change, whatever happens to the file. */
static int make_image(const char *binary, int *ret, struct err *err)
{
    _cleanup_buf_ struct buf content = BUF_INIT(BINARY_MAX);
    int r = fd_read_file(binary, BINARY_MAX, &content, err);
    if (r < 0)
        return err_prefix(err, r, "the helper '%s'", binary);
    _cleanup_close_ int fd =
        memfd_create("clawrden-mirror", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_EXEC);
    if (fd < 0 && errno == EINVAL)
        fd = memfd_create("clawrden-mirror", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_errno(err, -errno, "no memory file for the helper");
    r = fd_write_all(fd, content.data, content.len);
    if (r == 0 && fchmod(fd, 0500) < 0)
        r = -errno;
    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        r = -errno;
    if (r < 0)
        return err_errno(err, r, "the helper cannot be copied");
    *ret = TAKE_FD(fd);
    return 0;
}

/* posix_spawn() borrows our memory as vfork does: a fork of a big warden would take long. */
static int spawn(const struct mirror *m, int sock, int answers, pid_t *ret)
{
    static char *const argv[] = {(char *)"clawrden-mirror", (char *)"--serve", NULL};
    static char *const env[] = {NULL};
    char path[40];
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t set;
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", m->image);
    int r = posix_spawn_file_actions_init(&actions);
    if (r != 0)
        return -r;
    r = posix_spawnattr_init(&attr);
    if (r != 0) {
        (void)posix_spawn_file_actions_destroy(&actions);
        return -r;
    }
    sigfillset(&set);
    (void)posix_spawnattr_setsigdefault(&attr, &set);
    (void)posix_spawnattr_setsigmask(&attr, &set); /* it takes what it wants by signalfd */
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    r = posix_spawn_file_actions_adddup2(&actions, sock, HELPER_FD_CONTROL);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, answers, HELPER_FD_ANSWERS);
    if (r == 0)
        r = posix_spawn(ret, path, &actions, &attr, argv, env);
    (void)posix_spawnattr_destroy(&attr);
    (void)posix_spawn_file_actions_destroy(&actions);
    return -r;
}

/* ---- sending ---- */

static void outgoing_free(struct mirror *m, struct outgoing *o)
{
    list_remove(&o->link);
    m->queued--;
    for (unsigned i = 0; i < o->fds_count; i++)
        close(o->fds[i]);
    free(o->packet);
    free(o);
}

static int enqueue(struct mirror *m, const uint8_t *p, size_t n, const int *fds, unsigned count)
{
    if (m->queued >= QUEUE_MAX)
        return -ENOBUFS;
    struct outgoing *o = mem_new(struct outgoing);
    list_append(&m->queue, &o->link);
    m->queued++;
    o->packet = mem_dup(p, n);
    o->len = n;
    for (; o->fds_count < count; o->fds_count++) {
        o->fds[o->fds_count] = fcntl(fds[o->fds_count], F_DUPFD_CLOEXEC, 3);
        if (o->fds[o->fds_count] < 0) {
            int err = errno;
            outgoing_free(m, o);
            return -err;
        }
    }
    return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void watch(struct mirror *m)
{
    int events = UV_READABLE | (list_empty(&m->queue) ? 0 : UV_WRITABLE);
    (void)uv_poll_start(m->poll, events, on_poll);
}

static void flush(struct mirror *m)
{
    while (!list_empty(&m->queue)) {
        struct outgoing *o = list_item(m->queue.next, struct outgoing, link);
        int r = courier_send(m->sock, o->packet, o->len, o->fds, o->fds_count);
        if (r == -EAGAIN || r == -ENOBUFS || r == -ETOOMANYREFS)
            return;
        outgoing_free(m, o); /* sent, or the other side is gone and its end is about to be seen */
    }
}

static int deliver(struct mirror *m, const uint8_t *packet, size_t n, const int *fds,
                   unsigned count)
{
    int r = list_empty(&m->queue) ? courier_send(m->sock, packet, n, fds, count) : -EAGAIN;
    if (r != -EAGAIN && r != -ENOBUFS && r != -ETOOMANYREFS)
        return r;
    r = enqueue(m, packet, n, fds, count);
    if (r == 0)
        watch(m);
    return r;
}

/* By its own socket when a worker was lent for the job, else to the dispatcher; a worker may hang,
 * so the order to kill goes to both, and cgroups are the dispatcher's. */
static int route(struct mirror *m, const struct courier_letter *l, enum helper_type type,
                 uint64_t job, const uint8_t *body, size_t len)
{
    uint32_t signo = 0;
    int fd = type == HELPER_FREEZE ? -1 : direct_fd(m->direct, job);
    int r = fd < 0 ? -ENOENT : courier_send(fd, l->packet, l->len, l->fds, l->fds_count);
    if (r < 0 && fd >= 0 && (type == HELPER_RESOLVE || type == HELPER_START))
        (void)direct_pass(m->direct, job, LOST); /* the worker has gone; others may do it */
    else if (fd >= 0 && !(type == HELPER_KILL && helper_kill_decode(body, len, &signo) == 0 &&
                          signo == SIGKILL))
        return r;
    return deliver(m, l->packet, l->len, l->fds, l->fds_count);
}

int mirror_send(struct mirror *m, enum helper_type type, uint64_t job, const uint8_t *body,
                size_t len, const int *fds, unsigned fds_count, struct err *err)
{
    struct courier_letter l;
    if (m->sock < 0)
        return err_set(err, -ENOTCONN, "the helper does not run just now");
    int r = courier_write(&l, m->buf, type, job, body, len, fds, fds_count);
    if (r == 0)
        r = route(m, &l, type, job, body, len);
    courier_done(&l);
    if (r == -E2BIG)
        return err_set(err, r, "the message to the helper is too long");
    return r < 0 ? err_errno(err, r, "the helper cannot be told") : 0;
}

/* ---- receiving ---- */

static void lose(struct mirror *m, const char *words);

static void on_hello(struct mirror *m, const uint8_t *body, size_t len)
{
    struct helper_hello h;
    if (helper_hello_decode(body, len, &h) < 0 || h.version != HELPER_VERSION) {
        lose(m, "the helper speaks another version");
        return;
    }
    m->hello = true;
    m->features = h.features;
    (void)snprintf(m->words, sizeof(m->words), "%s", h.words);
    (void)snprintf(m->cgroup, sizeof(m->cgroup), "%s", h.cgroup);
    (void)snprintf(m->outside, sizeof(m->outside), "%s", h.outside);
}

static void on_line(struct mirror *m, const uint8_t *body, size_t len, int *fd)
{
    struct helper_started h;
    if (*fd >= 0 && helper_started_decode(body, len, &h) == 0 && h.pid)
        direct_add(m->direct, (pid_t)h.pid, TAKE_FD(*fd));
}

static void hear(void *arg, const struct helper_head *h, const uint8_t *body, int *fd)
{
    struct mirror *m = arg;
    if (h->type == HELPER_HELLO) {
        on_hello(m, body, h->len);
        return;
    }
    if (h->type == HELPER_LINE) {
        on_line(m, body, h->len, fd);
        return;
    }
    if (h->type == HELPER_IDLE) {
        (void)direct_pass(m->direct, h->job, 0);
        return;
    }
    list_foreach(it, &m->listeners)
    {
        struct mirror_listener *l = list_item(it, struct mirror_listener, link);
        if (l->message(l->arg, h, body))
            return;
    }
}

static int receive(struct mirror *m, int sock)
{
    return courier_receive(sock, m->buf, hear, m);
}

/* The dispatcher may have said why, before it killed the worker. */
static void on_line_lost(void *arg, uint64_t job)
{
    struct mirror *m = arg;
    for (int i = 0; i < 64 && m->sock >= 0 && receive(m, m->sock) == 1; i++)
        ;
    list_foreach(it, &m->listeners)
    {
        struct mirror_listener *l = list_item(it, struct mirror_listener, link);
        if (l->line_lost && l->line_lost(l->arg, job))
            return;
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct mirror *m = poll->data;
    if (events & UV_WRITABLE) {
        flush(m);
        if (list_empty(&m->queue))
            watch(m);
    }
    if (status < 0 || (events & UV_READABLE)) {
        int r = 1;
        for (int i = 0; i < 64 && r == 1 && m->poll == poll; i++)
            r = receive(m, m->sock);
        if (m->poll == poll && r != 1 && r != -EAGAIN)
            lose(m, r == 0 ? "the helper died" : "the helper spoke nonsense");
    }
}

/* When all that could answer are gone, the helper is too: its own socket tells. */
static void on_answers(uv_poll_t *poll, int status, int events)
{
    struct mirror *m = poll->data;
    int r = 1;
    (void)events;
    for (int i = 0; i < 64 && r == 1 && m->answers_poll == poll; i++)
        r = receive(m, m->answers);
    if (m->answers_poll != poll || r == 1 || r == -EAGAIN)
        return;
    if (r == 0 || status < 0)
        (void)uv_poll_stop(poll);
    else
        lose(m, "the helper spoke nonsense");
}

/* ---- life ---- */

static void poll_closed(uv_handle_t *h)
{
    free(h);
}

/* Two ends, and theirs with a number that is none of those that it gets in the helper. */
static int make_pair(int *ret_ours, int *ret_theirs)
{
    int sv[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
        return -errno;
    *ret_ours = sv[0];
    *ret_theirs = fcntl(sv[1], F_DUPFD_CLOEXEC, HELPER_FD_ANSWERS + 1);
    int r = *ret_theirs < 0 ? -errno : 0;
    close(sv[1]);
    return r;
}

static int watch_socket(struct mirror *m, int fd, uv_poll_t **ret, struct err *err)
{
    uv_poll_t *poll = mem_new(uv_poll_t);
    poll->data = m;
    int r = uv_poll_init(m->loop, poll, fd);
    if (r < 0) {
        free(poll);
        return err_set(err, r, "the helper cannot be watched: %s", uv_strerror(r));
    }
    *ret = poll;
    return 0;
}

static void stop_watching(uv_poll_t *poll)
{
    if (!poll)
        return;
    (void)uv_poll_stop(poll);
    uv_close((uv_handle_t *)poll, poll_closed);
}

static int start(struct mirror *m, struct err *err)
{
    _cleanup_close_ int ours = -1, theirs = -1, answers = -1, their_answers = -1;
    pid_t pid = 0;
    int r = make_pair(&ours, &theirs);
    if (r == 0)
        r = make_pair(&answers, &their_answers);
    if (r < 0)
        return err_errno(err, r, "no socket for the helper");
    r = spawn(m, theirs, their_answers, &pid);
    if (r < 0)
        return err_errno(err, r, "the helper cannot be started");
    m->pid = pid;
    r = watch_socket(m, ours, &m->poll, err);
    if (r == 0)
        r = watch_socket(m, answers, &m->answers_poll, err);
    if (r < 0) {
        stop_watching(TAKE_PTR(m->poll));
        return r;
    }
    m->sock = TAKE_FD(ours);
    m->answers = TAKE_FD(answers);
    m->born = uv_now(m->loop);
    m->hello = false;
    watch(m);
    (void)uv_poll_start(m->answers_poll, UV_READABLE, on_answers);
    return 0;
}

static void on_again(uv_timer_t *t)
{
    struct mirror *m = t->data;
    struct err err = {0};
    int status;
    /* It was killed; where it cannot die yet, the next one has to wait. */
    if (m->pid && waitpid(m->pid, &status, WNOHANG) == 0) {
        (void)uv_timer_start(t, on_again, 50, 0);
        return;
    }
    m->pid = 0;
    if (m->closing)
        return;
    if (start(m, &err) < 0)
        (void)uv_timer_start(t, on_again, AGAIN_MAX_MS, 0);
}

static void disconnect(struct mirror *m)
{
    direct_close(m->direct);
    stop_watching(TAKE_PTR(m->poll));
    stop_watching(TAKE_PTR(m->answers_poll));
    if (m->sock >= 0)
        close(TAKE_FD(m->sock));
    if (m->answers >= 0)
        close(TAKE_FD(m->answers));
    while (!list_empty(&m->queue))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
        outgoing_free(m, list_item(m->queue.next, struct outgoing, link));
    m->hello = false;
}

static void lose(struct mirror *m, const char *words)
{
    uint64_t age = uv_now(m->loop) - m->born;
    disconnect(m);
    if (m->pid)
        (void)kill(m->pid, SIGKILL);
    m->wait_ms = age > YOUNG_MS ? AGAIN_MIN_MS : m->wait_ms * 2;
    if (m->wait_ms < AGAIN_MIN_MS)
        m->wait_ms = AGAIN_MIN_MS;
    if (m->wait_ms > AGAIN_MAX_MS)
        m->wait_ms = AGAIN_MAX_MS;
    (void)uv_timer_start(&m->again, on_again, m->wait_ms, 0);
    list_foreach(it, &m->listeners)
    {
        struct mirror_listener *l = list_item(it, struct mirror_listener, link);
        l->lost(l->arg, words);
    }
}

int mirror_new(uv_loop_t *loop, const char *binary, struct mirror **ret, struct err *err)
{
    _cleanup_close_ int image = -1;
    int r = make_image(binary, &image, err);
    if (r < 0)
        return r;
    struct mirror *m = mem_new(struct mirror);
    m->loop = loop;
    m->image = image;
    m->sock = m->answers = -1;
    m->next_job = 1;
    m->buf = mem_zalloc(COURIER_PACKET_MAX);
    m->direct = direct_new(&(struct direct_config){
        .loop = loop, .room = m->buf, .got = hear, .lost = on_line_lost, .arg = m});
    list_init(&m->listeners);
    list_init(&m->queue);
    r = start(m, err);
    if (r < 0) {
        if (m->pid)
            (void)kill(m->pid, SIGKILL);
        direct_free(m->direct);
        free(m->buf);
        free(m);
        return r;
    }
    (void)uv_timer_init(loop, &m->again);
    m->again.data = m;
    TAKE_FD(image);
    *ret = m;
    return 0;
}

static void again_closed(uv_handle_t *h)
{
    struct mirror *m = h->data;
    close(m->image);
    direct_free(m->direct);
    free(m->buf);
    free(m);
}

void mirror_close(struct mirror *m)
{
    int status;
    if (!m || m->closing)
        return;
    m->closing = true;
    disconnect(m);
    /* It kills what runs, cleans up and goes, in less than 200 ms; we do not go before it. */
    for (int i = 0; i < 100 && m->pid && waitpid(m->pid, &status, WNOHANG) == 0; i++)
        (void)usleep(5000);
    uv_close((uv_handle_t *)&m->again, again_closed);
}

void mirror_listen(struct mirror *m, struct mirror_listener *l)
{
    list_append(&m->listeners, &l->link);
}

uint64_t mirror_job(struct mirror *m)
{
    return m->next_job++;
}

bool mirror_claim(struct mirror *m, pid_t init, uint64_t job)
{
    return m->sock >= 0 && direct_claim(m->direct, init, job);
}

void mirror_offer(struct mirror *m, uint64_t job, const void *owner)
{
    m->offer = (struct mirror_offer){owner, job};
}

void mirror_accept(struct mirror *m, const void *owner, uint64_t job)
{
    if (m->offer.owner == owner && owner)
        (void)direct_pass(m->direct, m->offer.job, job);
}

bool mirror_withdraw(struct mirror *m, uint64_t job)
{
    m->offer = (struct mirror_offer){0};
    if (direct_fd(m->direct, job) < 0)
        return false;
    (void)mirror_send(m, HELPER_CANCEL, job, NULL, 0, NULL, 0, NULL);
    return direct_pass(m->direct, job, 0);
}

const char *mirror_words(const struct mirror *m)
{
    return m->words;
}

const char *mirror_outside(const struct mirror *m)
{
    return m->outside;
}

bool mirror_is_root(const struct mirror *m)
{
    return m->features & HELPER_IS_ROOT;
}

const char *mirror_cgroup(const struct mirror *m)
{
    return m->cgroup;
}

bool mirror_ready(const struct mirror *m)
{
    return m->hello;
}

pid_t mirror_pid(const struct mirror *m)
{
    return m->sock >= 0 ? m->pid : 0;
}
