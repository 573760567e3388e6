/* SPDX-License-Identifier: MIT */
#include "exec/courier.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/mem.h"

union control {
    char buf[CMSG_SPACE(sizeof(int) * HELPER_FDS_MAX)];
    struct cmsghdr align;
};

int courier_send(int sock, const uint8_t *packet, size_t len, const int *fds, unsigned fds_count)
{
    union control control;
    struct iovec iov = {(void *)packet, len};
    struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1};
    memset(&control, 0, sizeof(control));
    if (fds_count) {
        h.msg_control = control.buf;
        h.msg_controllen = CMSG_SPACE(sizeof(int) * fds_count);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        if (!c)
            return -EINVAL; /* not reached: there is room for one */
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * fds_count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * fds_count);
    }
    ssize_t r;
    do {
        r = sendmsg(sock, &h, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* A body too long for a packet lies in a file that nobody can change. */
static int attach(const uint8_t *body, size_t len, int *ret)
{
    _cleanup_close_ int fd = memfd_create("clawrden-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = fd_write_all(fd, body, len);
    if (r < 0)
        return r;
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return -errno;
    *ret = TAKE_FD(fd);
    return 0;
}

int courier_write(struct courier_letter *l, uint8_t *room, enum helper_type type, uint64_t job,
                  const uint8_t *body, size_t len, const int *fds, unsigned fds_count)
{
    struct helper_head h = {.type = (uint8_t)type, .len = (uint32_t)len, .job = job};
    *l = (struct courier_letter){.packet = room, .len = HELPER_HEAD_SIZE, .attached = -1};
    if (len > HELPER_BODY_MAX || fds_count >= HELPER_FDS_MAX)
        return -E2BIG;
    for (; l->fds_count < fds_count; l->fds_count++)
        l->fds[l->fds_count] = fds[l->fds_count];
    if (len > HELPER_INLINE_MAX) {
        int r = attach(body, len, &l->attached);
        if (r < 0)
            return r;
        h.flags = HELPER_ATTACHED;
        l->fds[l->fds_count++] = l->attached;
    } else if (len) {
        memcpy(room + HELPER_HEAD_SIZE, body, len);
        l->len += len;
    }
    helper_head_encode(&h, room);
    return 0;
}

void courier_done(struct courier_letter *l)
{
    if (l->attached >= 0)
        close(l->attached);
    l->attached = -1;
}

static int hand_on_attached(const struct helper_head *h, int fd, courier_got *got, void *arg)
{
    int none = -1;
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size < (off_t)h->len || h->len == 0)
        return -EBADMSG;
    void *p = mmap(NULL, h->len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED)
        return -errno;
    got(arg, h, p, &none);
    (void)munmap(p, h->len);
    return 1;
}

int courier_receive(int sock, uint8_t *room, courier_got *got, void *arg)
{
    union control control;
    struct iovec iov = {room, COURIER_PACKET_MAX};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.buf,
                         .msg_controllen = CMSG_SPACE(sizeof(int))};
    struct helper_head h;
    _cleanup_close_ int fd = -1;
    ssize_t n = recvmsg(sock, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR ? -EAGAIN : -errno;
    if (n == 0)
        return 0;
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    if (n < HELPER_HEAD_SIZE || (msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        helper_head_decode(room, &h) < 0)
        return -EBADMSG;
    if (h.flags & HELPER_ATTACHED)
        return hand_on_attached(&h, fd, got, arg);
    if (h.len != (size_t)n - HELPER_HEAD_SIZE)
        return -EBADMSG;
    /* Whoever hears of it may send, which uses the room: a copy of what they read. */
    _cleanup_free_ uint8_t *body = mem_dup(room + HELPER_HEAD_SIZE, h.len);
    got(arg, &h, body, &fd);
    return 1;
}
