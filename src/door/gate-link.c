/* SPDX-License-Identifier: MIT */
#include "door/gate-link.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/list.h"

#define CHUNK (256u << 10)
#define CHUNK_FIRST (16u << 10) /* most messages are small, and room is zeroed */
#define OUT_MAX (16u << 20)
#define RIGHTS_MAX 253 /* SCM_MAX_FD in the kernel's include/net/scm.h */

void gate_link_init(struct gate_link *l, int fd, struct disposer *d)
{
    *l = (struct gate_link){.fd = fd,
                            .who = {.pidfd = -1},
                            .disposer = d,
                            .out_fd = -1,
                            .in = BUF_INIT(GATEWIRE_HEAD_SIZE + GATEWIRE_BODY_MAX + CHUNK),
                            .out = BUF_INIT(OUT_MAX)};
}

void gate_link_done(struct gate_link *l)
{
    for (size_t i = 0; i < l->fds_count; i++)
        disposer_put(l->disposer, l->fds[i]);
    l->fds_count = 0;
    if (l->out_fd >= 0)
        disposer_put(l->disposer, TAKE_FD(l->out_fd));
    if (l->fd >= 0)
        disposer_put(l->disposer, TAKE_FD(l->fd)); /* something may lie in it */
    peer_creds_done(&l->who);
    buf_done(&l->in);
    buf_done(&l->out);
}

/* An inherited connection has no connect(2): its first sender is the gate. */
static int pin_sender(struct gate_link *l, const struct ucred *u, struct err *err)
{
    if (u->pid <= 0)
        return err_set(err, -EPERM,
                       "the kernel did not say who sends: set SO_PASSCRED on the warden's end "
                       "before the gate starts, and run both in sight of one /proc");
    int pidfd = (int)syscall(SYS_pidfd_open, u->pid, 0);
    if (pidfd < 0)
        return err_errno(err, -errno, "cannot pin process %d", (int)u->pid);
    l->who = (struct peer_creds){.pid = u->pid, .uid = u->uid, .gid = u->gid, .pidfd = pidfd};
    return 0;
}

static int take_controls(struct gate_link *l, struct msghdr *m, struct err *err)
{
    bool sender = false, surplus = (m->msg_flags & MSG_CTRUNC) != 0;
    struct ucred u = {.pid = 0};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        size_t len = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && len == sizeof(u)) {
            memcpy(&u, CMSG_DATA(c), len);
            sender = true;
        }
        for (size_t i = 0;
             c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && i < len / sizeof(int);
             i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (l->fds_count < GATE_LINK_FDS_MAX)
                l->fds[l->fds_count++] = fd;
            else
                disposer_put(l->disposer, fd), surplus = true;
        }
    }
    if (!sender)
        u = (struct ucred){.pid = 0};
    if (surplus)
        return err_set(err, -EPERM, "the gate sent more descriptors than requests");
    return l->who.pid == 0 ? pin_sender(l, &u, err) : peer_sender_check(&l->who, &u, err);
}

int gate_link_read(struct gate_link *l, struct err *err)
{
    union {
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    size_t room = l->in.len < CHUNK_FIRST ? CHUNK_FIRST : CHUNK;
    char *p = buf_reserve(&l->in, room);
    if (!p)
        return err_set(err, -EBADMSG, "the gate sends more than a message may have");
    struct iovec iov = {.iov_base = p, .iov_len = room};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t n;
    do
        n = recvmsg(l->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == EAGAIN ? 0 : err_errno(err, -errno, "the connection broke");
    if (n == 0)
        return err_set(err, -EPIPE, "the gate hung up");
    l->in.len += (size_t)n;
    int r = take_controls(l, &m, err);
    return r < 0 ? r : 1;
}

int gate_link_peek(const struct gate_link *l, struct gatewire_head *ret, const uint8_t **ret_body)
{
    const uint8_t *p = (const uint8_t *)l->in.data;
    if (l->in.len < GATEWIRE_HEAD_SIZE)
        return 0;
    if (gatewire_head_decode(p, ret) < 0)
        return -EBADMSG;
    if (l->in.len - GATEWIRE_HEAD_SIZE < ret->len)
        return 0;
    *ret_body = p + GATEWIRE_HEAD_SIZE;
    return 1;
}

void gate_link_pop(struct gate_link *l, const struct gatewire_head *h)
{
    buf_consume(&l->in, GATEWIRE_HEAD_SIZE + h->len);
}

int gate_link_take_fd(struct gate_link *l)
{
    if (l->fds_count == 0)
        return -1;
    int fd = l->fds[0];
    memmove(l->fds, l->fds + 1, --l->fds_count * sizeof(int));
    return fd;
}

int gate_link_put(struct gate_link *l, enum gatewire_type type, const void *body, size_t n)
{
    uint8_t head[GATEWIRE_HEAD_SIZE];
    gatewire_head_encode((uint8_t)type, (uint32_t)n, head);
    (void)buf_append(&l->out, head, sizeof(head));
    return buf_append(&l->out, body, n);
}

int gate_link_put_fd(struct gate_link *l, enum gatewire_type type, int fd)
{
    if (l->out_fd >= 0) {
        disposer_put(l->disposer, fd);
        return -EBUSY;
    }
    l->out_fd = fd;
    l->out_fd_at = l->out.len;
    return gate_link_put(l, type, NULL, 0);
}

/* The descriptor goes with its own message's first byte. */
static ssize_t send_some(struct gate_link *l)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.space = {0}};
    bool with = l->out_fd >= 0 && l->out_fd_at == 0;
    struct iovec iov = {.iov_base = l->out.data,
                        .iov_len = l->out_fd >= 0 && !with ? l->out_fd_at : l->out.len};
    struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
    if (with) {
        m.msg_control = &control;
        m.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &l->out_fd, sizeof(int));
    }
    ssize_t n = sendmsg(l->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0 && with)
        disposer_put(l->disposer, TAKE_FD(l->out_fd));
    else if (n > 0 && l->out_fd >= 0)
        l->out_fd_at -= (size_t)n;
    return n;
}

int gate_link_flush(struct gate_link *l)
{
    while (l->out.len > 0) {
        ssize_t n = send_some(l);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN ? 0 : -errno;
        buf_consume(&l->out, (size_t)n);
    }
    return l->out.failed;
}
