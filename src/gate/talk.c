/* SPDX-License-Identifier: MIT */
#include "gate/talk.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/uapi.h"

#define PENDING_MAX (64u << 20)
#define LATE_ROOM 4096u
#define ROOM (GATEWIRE_HEAD_SIZE + GATEWIRE_BODY_MAX)

/* A message that the socket did not take at once. */
struct pending {
    struct pending *next;
    size_t mapped, size, sent;
    int fd; /* owned; -1 none, or sent */
    uint8_t bytes[];
};

static int sock = -1;
static struct pending *first, **last = &first;
static size_t pending_bytes;
static uint8_t room[LATE_ROOM + ROOM];        /* pages are touched as messages need them */
static uint8_t *const out = room + LATE_ROOM; /* what is late is put in front of it */
static uint8_t late[LATE_ROOM];
static size_t late_len;
static uint64_t late_due;
static uint8_t in[ROOM + 65536];
static size_t in_len, in_at;
static int in_fd = -1; /* that came last */

int talk_connect(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(path);
    if (n >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    memcpy(a.sun_path, path, n);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int talk_init(int fd)
{
    int type = 0, size = 1 << 20;
    socklen_t n = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_STREAM ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
        return -ENOTSOCK;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    sock = fd;
    return 0;
}

static void drop_first(void)
{
    struct pending *k = first;
    first = k->next;
    if (!first)
        last = &first;
    pending_bytes -= k->size - k->sent;
    if (k->fd >= 0)
        close(k->fd);
    munmap(k, k->mapped);
}

void talk_close(void)
{
    while (first)
        drop_first();
    if (sock >= 0)
        close(sock);
    sock = -1;
    if (in_fd >= 0)
        close(talk_take_fd());
    in_len = in_at = late_len = 0;
}

int talk_fd(void)
{
    return sock;
}

bool talk_wants_to_write(void)
{
    return first != NULL;
}

bool talk_is_full(void)
{
    return pending_bytes > PENDING_MAX / 2;
}

uint8_t *talk_body(size_t *ret_size)
{
    *ret_size = GATEWIRE_BODY_MAX;
    return out + GATEWIRE_HEAD_SIZE;
}

ssize_t talk_sendmsg(int to, const void *p, size_t n, int fd, int flags)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.space = {0}};
    struct iovec iov = {.iov_base = (void *)p, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (fd >= 0) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    ssize_t r;
    do
        r = sendmsg(to, &m, MSG_NOSIGNAL | flags);
    while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r;
}

static ssize_t send_some(const uint8_t *p, size_t n, int fd)
{
    return talk_sendmsg(sock, p, n, fd, MSG_DONTWAIT);
}

static int keep(const uint8_t *p, size_t n, int fd)
{
    size_t mapped = (sizeof(struct pending) + n + 4095) & ~4095ul;
    if (pending_bytes + n > PENDING_MAX)
        return -EMSGSIZE;
    struct pending *k =
        mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (k == MAP_FAILED)
        return -ENOMEM;
    *k = (struct pending){.mapped = mapped, .size = n, .fd = -1};
    if (fd >= 0) {
        k->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (k->fd < 0) {
            munmap(k, mapped);
            return -EMFILE;
        }
    }
    memcpy(k->bytes, p, n);
    *last = k;
    last = &k->next;
    pending_bytes += n;
    return 0;
}

static int send_bytes(const uint8_t *p, size_t n, int fd)
{
    ssize_t r = 0;
    if (sock < 0)
        return -EPIPE;
    if (!first) {
        r = send_some(p, n, fd);
        if (r < 0 && r != -EAGAIN)
            return (int)r;
        if (r == (ssize_t)n)
            return 0;
        if (r > 0)
            fd = -1; /* it went with the first byte */
        if (r < 0)
            r = 0;
    }
    return keep(p + r, n - (size_t)r, fd);
}

int talk_send(enum gatewire_type type, size_t len, int fd)
{
    if (len > GATEWIRE_BODY_MAX)
        return -E2BIG;
    gatewire_head_encode((uint8_t)type, (uint32_t)len, out);
    size_t before = late_len;
    memcpy(out - before, late, before);
    late_len = 0;
    return send_bytes(out - before, before + GATEWIRE_HEAD_SIZE + len, fd);
}

int talk_send_late(enum gatewire_type type, size_t len)
{
    size_t n = GATEWIRE_HEAD_SIZE + len;
    if (n > TALK_LATE_SIZE)
        return talk_send(type, len, -1);
    if (sock < 0)
        return -EPIPE;
    int r = late_len + n > sizeof(late) ? talk_flush_late() : 0;
    gatewire_head_encode((uint8_t)type, (uint32_t)len, out);
    if (late_len == 0)
        late_due = clock_ms() + TALK_LATE_MS;
    memcpy(late + late_len, out, n);
    late_len += n;
    return r;
}

uint64_t talk_late_due(void)
{
    return late_len > 0 ? late_due : UINT64_MAX;
}

int talk_flush_late(void)
{
    size_t n = late_len;
    late_len = 0;
    return n > 0 ? send_bytes(late, n, -1) : 0;
}

int talk_magic(void)
{
    return send_bytes((const uint8_t *)GATEWIRE_MAGIC, GATEWIRE_MAGIC_SIZE, -1);
}

int talk_flush(void)
{
    while (first) {
        struct pending *k = first;
        ssize_t r = send_some(k->bytes + k->sent, k->size - k->sent, k->fd);
        if (r == -EAGAIN)
            return 0;
        if (r < 0)
            return (int)r;
        if (k->fd >= 0) {
            close(k->fd);
            k->fd = -1;
        }
        k->sent += (size_t)r;
        pending_bytes -= (size_t)r;
        if (k->sent < k->size)
            continue;
        drop_first();
    }
    return 0;
}

int talk_take_fd(void)
{
    int fd = in_fd;
    in_fd = -1;
    return fd;
}

/* There is room for one descriptor; the kernel drops others. */
static ssize_t receive(uint8_t *p, size_t n)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = p, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t r = recvmsg(sock, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = r < 0 ? NULL : CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        if (in_fd >= 0)
            close(in_fd);
        memcpy(&in_fd, CMSG_DATA(c), sizeof(in_fd));
    }
    return r;
}

int talk_read(void)
{
    if (in_at > 0) {
        memmove(in, in + in_at, in_len - in_at);
        in_len -= in_at;
        in_at = 0;
    }
    if (sock < 0 || in_len == sizeof(in))
        return 0;
    ssize_t n = receive(in + in_len, sizeof(in) - in_len);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : -errno;
    if (n == 0)
        return -EPIPE;
    in_len += (size_t)n;
    struct gatewire_head h;
    return in_len >= GATEWIRE_HEAD_SIZE && gatewire_head_decode(in, &h) < 0 ? -EBADMSG : 0;
}

bool talk_next(struct gatewire_head *ret, const uint8_t **ret_body)
{
    if (in_len - in_at < GATEWIRE_HEAD_SIZE)
        return false;
    if (gatewire_head_decode(in + in_at, ret) < 0) {
        *ret = (struct gatewire_head){.type = 0}; /* which nobody expects */
        *ret_body = in;
        return true;
    }
    if (in_len - in_at - GATEWIRE_HEAD_SIZE < ret->len)
        return false;
    *ret_body = in + in_at + GATEWIRE_HEAD_SIZE;
    in_at += GATEWIRE_HEAD_SIZE + ret->len;
    return true;
}
