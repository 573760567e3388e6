/* SPDX-License-Identifier: MIT */
/* With SO_PASSCRED the kernel joins no bytes of different senders in one recvmsg(2), so the one
 * SCM_CREDENTIALS is true of all that it returned. There is room for as many descriptors as a
 * message may carry: what has no room is closed by the kernel, on this thread. */
#include "door/receive.h"

#include <errno.h>
#include <string.h>

#define RIGHTS_MAX 253 /* SCM_MAX_FD in the kernel's include/net/scm.h */

struct controls {
    bool has_sender;
    struct ucred sender;
    size_t rights;
};

static void take_controls(struct msghdr *m, struct disposer *d, struct controls *ret)
{
    *ret = (struct controls){.has_sender = false};
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET)
            continue;
        size_t len = c->cmsg_len - CMSG_LEN(0);
        if (c->cmsg_type == SCM_CREDENTIALS && len == sizeof(ret->sender)) {
            memcpy(&ret->sender, CMSG_DATA(c), len);
            ret->has_sender = true;
        } else if (c->cmsg_type == SCM_RIGHTS) {
            for (size_t i = 0; i < len / sizeof(int); i++) {
                int fd;
                memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
                disposer_put(d, fd);
                ret->rights++;
            }
        }
    }
}

ssize_t receive_from(int fd, const struct peer_creds *who, void *p, size_t n, struct disposer *d,
                     struct err *err)
{
    union {
        char space[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(RIGHTS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = p, .iov_len = n};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    ssize_t got;
    do
        got = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    struct controls c;
    take_controls(&m, d, &c);
    if (c.rights > 0 || (m.msg_flags & MSG_CTRUNC))
        return err_set(err, -EPERM, "process %d sent descriptors", (int)who->pid);
    if (got == 0)
        return 0;
    if (!c.has_sender)
        return err_set(err, -EPERM, "the kernel did not say who sends");
    int r = peer_sender_check(who, &c.sender, err);
    return r < 0 ? r : got;
}
