/* SPDX-License-Identifier: MIT */
#include "mirror/sender.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

void sender_ask(int conn)
{
    int one = 1;
    (void)setsockopt(conn, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
}

bool sender_is(struct msghdr *m, const struct helper_peer *who)
{
    struct ucred u;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
            c->cmsg_len != CMSG_LEN(sizeof(u)))
            continue;
        memcpy(&u, CMSG_DATA(c), sizeof(u));
        return u.pid > 0 && (uint32_t)u.pid == who->pid && u.uid == who->uid && u.gid == who->gid;
    }
    return false;
}

ssize_t sender_peek(int conn, const struct helper_peer *who, void *p, size_t n)
{
    /* No more than this: the kernel then says that there are descriptors, and does not close them
     * while we only look. */
    union {
        char buf[SENDER_SPACE];
        struct cmsghdr align;
    } control;
    struct iovec iov = {p, n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof(control.buf)};
    ssize_t got = recvmsg(conn, &m, MSG_PEEK | MSG_DONTWAIT);
    if (got < 0)
        return errno == EINTR || errno == EWOULDBLOCK ? -EAGAIN : -errno;
    if (got > 0 && ((m.msg_flags & MSG_CTRUNC) || !sender_is(&m, who)))
        return -EPERM;
    return got;
}
