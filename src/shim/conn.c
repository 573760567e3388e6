/* SPDX-License-Identifier: MIT */
#include "shim/conn.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "wire/bytes.h"

#define CONN_SEND_MS 30000 /* a peer that takes nothing for so long is dead */
#define CONN_IOV_MAX 64
#define CONN_FDS_MAX (4 + V2_FDS_MORE_MAX)

int conn_open(struct conn *c, const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    int r;

    c->fd = -1;
    c->start = c->end = 0;
    if (len >= sizeof(a.sun_path))
        return -ENAMETOOLONG;
    memcpy(a.sun_path, path, len);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (c->fd < 0)
        return -errno;
    if (connect(c->fd, (struct sockaddr *)&a, sizeof(a)) == 0)
        return 0;
    r = -errno;
    conn_close(c);
    return r;
}

void conn_close(struct conn *c)
{
    if (c->fd >= 0)
        (void)close(c->fd);
    c->fd = -1;
}

/* Sends all of the message; its control part goes with the first byte. The iov is used up. */
static int send_all(int fd, struct msghdr *m)
{
    while (m->msg_iovlen > 0) {
        ssize_t n = sendmsg(fd, m, MSG_NOSIGNAL);

        if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};

            if (poll(&p, 1, CONN_SEND_MS) == 0)
                return -ETIMEDOUT;
            continue;
        }
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        m->msg_control = NULL;
        m->msg_controllen = 0;
        while (m->msg_iovlen > 0 && (size_t)n >= m->msg_iov->iov_len) {
            n -= (ssize_t)m->msg_iov->iov_len;
            m->msg_iov++;
            m->msg_iovlen--;
        }
        if (m->msg_iovlen > 0) {
            m->msg_iov->iov_base = (char *)m->msg_iov->iov_base + n;
            m->msg_iov->iov_len -= (size_t)n;
        }
    }
    return 0;
}

/* Pieces on their way out; strings that lie one behind the other in memory, as the kernel lays out
 * arguments and environment, become one piece. */
struct pieces {
    int fd;
    unsigned n;
    struct iovec v[CONN_IOV_MAX];
};

static int pieces_flush(struct pieces *p)
{
    struct msghdr m = {.msg_iov = p->v, .msg_iovlen = p->n};

    p->n = 0;
    return send_all(p->fd, &m);
}

static int pieces_add(struct pieces *p, const void *base, size_t len)
{
    struct iovec *last = p->n > 0 ? &p->v[p->n - 1] : NULL;
    int r = 0;

    if (last && (const char *)last->iov_base + last->iov_len == (const char *)base) {
        last->iov_len += len;
        return 0;
    }
    if (p->n == CONN_IOV_MAX)
        r = pieces_flush(p);
    p->v[p->n++] = (struct iovec){.iov_base = (void *)base, .iov_len = len};
    return r;
}

static int pieces_add_strings(struct pieces *p, const char *const *s, uint32_t n)
{
    int r = 0;

    for (uint32_t i = 0; i < n && r == 0; i++)
        r = pieces_add(p, s[i], strlen(s[i]) + 1);
    return r;
}

int conn_send_request(struct conn *c, const struct conn_request *q)
{
    uint8_t front[V2_MAGIC_SIZE + V2_HEAD_SIZE + V2_REQUEST_HEAD_SIZE];
    struct pieces p = {.fd = c->fd};
    size_t size = v2_request_size(q->name, q->cwd, q->argv, q->head.argc, q->env, q->head.envc);
    int r;

    if (size == 0)
        return -E2BIG;
    memcpy(front, V2_MAGIC, V2_MAGIC_SIZE);
    v2_head_encode(V2_REQUEST, (uint32_t)size, front + V2_MAGIC_SIZE);
    v2_request_head_encode(&q->head, front + V2_MAGIC_SIZE + V2_HEAD_SIZE);
    if ((r = pieces_add(&p, front, sizeof(front))) < 0 ||
        (r = pieces_add(&p, q->name, strlen(q->name) + 1)) < 0 ||
        (r = pieces_add(&p, q->cwd, strlen(q->cwd) + 1)) < 0 ||
        (r = pieces_add_strings(&p, q->argv, q->head.argc)) < 0 ||
        (r = pieces_add_strings(&p, q->env, q->head.envc)) < 0)
        return r;
    return pieces_flush(&p);
}

int conn_send_u32(struct conn *c, uint8_t type, uint32_t value)
{
    uint8_t msg[V2_HEAD_SIZE + 4];
    struct iovec v = {.iov_base = msg, .iov_len = sizeof(msg)};
    struct msghdr m = {.msg_iov = &v, .msg_iovlen = 1};

    v2_head_encode(type, 4, msg);
    bytes_put_u32(msg + V2_HEAD_SIZE, value);
    return send_all(c->fd, &m);
}

int conn_send_fds(struct conn *c, const struct v2_fds *f, const int *fds)
{
    uint8_t msg[V2_HEAD_SIZE + V2_FDS_SIZE_MAX];
    uint32_t n = v2_fds_carried(f), size = v2_fds_encode(f, msg + V2_HEAD_SIZE);
    struct iovec v = {.iov_base = msg, .iov_len = V2_HEAD_SIZE + size};
    union {
        struct cmsghdr head;
        char bytes[CMSG_SPACE(CONN_FDS_MAX * sizeof(int))];
    } ctl;
    struct msghdr m = {.msg_iov = &v,
                       .msg_iovlen = 1,
                       .msg_control = ctl.bytes,
                       .msg_controllen = CMSG_SPACE(n * sizeof(int))};

    memset(&ctl, 0, sizeof(ctl));
    ctl.head.cmsg_level = SOL_SOCKET;
    ctl.head.cmsg_type = SCM_RIGHTS;
    ctl.head.cmsg_len = CMSG_LEN(n * sizeof(int));
    memcpy(CMSG_DATA(&ctl.head), fds, n * sizeof(int));
    v2_head_encode(V2_FDS, size, msg);
    return send_all(c->fd, &m);
}

/* 1: a whole message lies at the front of the buffer. */
static int message_whole(const struct conn *c, struct v2_head *ret)
{
    size_t have = c->end - c->start;

    if (have < V2_HEAD_SIZE)
        return 0;
    if (v2_head_decode(c->buf + c->start, CONN_BUF_SIZE - V2_HEAD_SIZE, ret) < 0)
        return -EBADMSG;
    return have >= V2_HEAD_SIZE + ret->len;
}

int conn_next(struct conn *c, struct v2_head *ret, uint8_t **ret_payload)
{
    int r = message_whole(c, ret);

    if (r == 0) {
        ssize_t n;

        memmove(c->buf, c->buf + c->start, c->end - c->start);
        c->end -= c->start;
        c->start = 0;
        n = recv(c->fd, c->buf + c->end, sizeof(c->buf) - c->end, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        if (n <= 0)
            return -EPIPE;
        c->end += (size_t)n;
        r = message_whole(c, ret);
    }
    if (r <= 0)
        return r;
    *ret_payload = c->buf + c->start + V2_HEAD_SIZE;
    c->start += V2_HEAD_SIZE + ret->len;
    return 1;
}
