/* SPDX-License-Identifier: MIT */
#include "mirror/handover.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mirror/compat.h"
#include "mirror/sender.h"
#include "wire/bytes.h"
#include "wire/v2.h"

#define FDS_WAIT_MS 30000 /* the shim may be stopped just now */

static bool is_pty_slave(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) &&
           major(st.st_rdev) >= COMPAT_PTS_MAJOR_FIRST &&
           major(st.st_rdev) <= COMPAT_PTS_MAJOR_LAST;
}

/* The bytes of V2_FDS, which stay where they are, and so do its descriptors. */
static bool peek_bytes(struct job *j)
{
    union {
        char buf[SENDER_SPACE];
        struct cmsghdr align;
    } control;
    uint8_t bytes[V2_HEAD_SIZE + V2_FDS_SIZE_MAX];
    struct iovec iov = {bytes, sizeof(bytes)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof(control.buf)};
    struct v2_head head;
    ssize_t n = recvmsg(j->conn, &m, MSG_PEEK | MSG_DONTWAIT);
    return n >= V2_HEAD_SIZE && sender_is(&m, &j->start.peer) &&
           v2_head_decode(bytes, V2_FDS_SIZE_MAX, &head) == 0 && head.type == V2_FDS &&
           n == (ssize_t)(V2_HEAD_SIZE + head.len) &&
           v2_fds_decode(bytes + V2_HEAD_SIZE, head.len, &j->plan.handover) == 0;
}

/* The pty is needed here. The queue keeps references of its own, so closing what was looked at
 * never closes a hostile file for the last time. */
static bool peek_pty(struct job *j)
{
    union {
        char buf[SENDER_SPACE + CMSG_SPACE(sizeof(int) * 4)];
        struct cmsghdr align;
    } control;
    uint8_t byte;
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof(control.buf)};
    ssize_t n = recvmsg(j->conn, &m, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    unsigned have = 0;
    for (struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL; c; c = CMSG_NXTHDR(&m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < count; i++, have++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (have == 3 && is_pty_slave(fd))
                j->slave = fd;
            else
                close(fd);
        }
    }
    return j->slave >= 0;
}

static bool peek_fds(struct job *j)
{
    if (peek_bytes(j) && (!(j->plan.handover.flags & V2_FDS_PTY) || peek_pty(j)))
        return true;
    job_fail(j, 125, "stdin, stdout and stderr were not handed over as they should", 0);
    j->reuse = false;
    return false;
}

/* We lead the session of the shim's pty, the command is a group in it, as below a shell. */
bool handover_take_terminal(struct job *j)
{
    if (j->slave < 0)
        return true;
    j->reuse = false;
    if (ioctl(j->slave, TIOCSCTTY, 0) < 0) {
        job_fail(j, 125, "the terminal could not be taken", errno);
        return false;
    }
    if (j->plan.handover.flags & V2_FDS_FOREGROUND)
        j->plan.slave = j->slave;
    return true;
}

bool handover_say_go(struct job *j)
{
    uint8_t out[V2_HEAD_SIZE + V2_GO_SIZE];
    v2_head_encode(V2_GO, V2_GO_SIZE, out);
    memcpy(out + V2_HEAD_SIZE, j->start.id, V2_GO_SIZE);
    if (send(j->conn, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)sizeof(out))
        return true;
    job_fail(j, 125, "its caller is gone", 0);
    j->caller_gone = true;
    return false;
}

bool handover_await(struct job *j)
{
    uint64_t end = job_now() + FDS_WAIT_MS;
    for (;;) {
        uint64_t now = job_now();
        struct pollfd p[2] = {{.fd = j->conn, .events = POLLIN}, {.fd = j->boss, .events = POLLIN}};
        int n = now >= end ? 0 : poll(p, 2, (int)(end - now));
        if (n == 0) {
            job_fail(j, 125, "its caller did not hand over stdin, stdout and stderr", 0);
            return false;
        }
        if (p[1].revents)
            (void)job_command(j);
        if (j->killed) {
            j->reuse = false; /* its descriptors may lie there: closing may block */
            job_fail(j, 125, "was killed before it started", 0);
            return false;
        }
        if (p[0].revents & POLLIN) {
            uint8_t byte;
            if (recv(j->conn, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0)
                return peek_fds(j);
        }
        if (p[0].revents) {
            job_fail(j, 125, "its caller is gone", 0);
            j->caller_gone = true;
            return false;
        }
    }
}
