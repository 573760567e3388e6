/* SPDX-License-Identifier: MIT */
#include "mirror/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

union control {
    char buf[CMSG_SPACE(sizeof(int) * HELPER_FDS_MAX)];
    struct cmsghdr align;
};

static void take_fds(struct msghdr *m, struct packet *p)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned n = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < n && p->fds_count < HELPER_FDS_MAX; i++)
            memcpy(&p->fds[p->fds_count++], CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

int packet_receive(int sock, uint8_t *buf, size_t size, bool wait, struct packet *ret)
{
    union control control;
    struct iovec iov = {buf, size};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof(control.buf)};
    struct packet p = {.raw = buf, .fds = {-1, -1, -1, -1, -1}};
    ssize_t n;
    do {
        n = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | (wait ? 0 : MSG_DONTWAIT));
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return errno == ECONNRESET ? 0 : -errno;
    if (n == 0)
        return 0;
    take_fds(&m, &p);
    p.raw_len = (size_t)n;
    if (n < HELPER_HEAD_SIZE || (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) ||
        helper_head_decode(buf, &p.head) < 0)
        goto bad;
    if (p.head.flags & HELPER_ATTACHED) {
        if (p.fds_count == 0 || n != HELPER_HEAD_SIZE)
            goto bad;
    } else {
        if (p.head.len != (size_t)n - HELPER_HEAD_SIZE)
            goto bad;
        p.body = buf + HELPER_HEAD_SIZE;
    }
    *ret = p;
    return 1;
bad:
    packet_done(&p);
    return -EBADMSG;
}

int packet_map(struct packet *p)
{
    struct stat st;
    if (p->body)
        return 0;
    int fd = p->fds[p->fds_count - 1];
    if (fstat(fd, &st) < 0 || (uint64_t)st.st_size < p->head.len || p->head.len == 0)
        return -EBADMSG;
    void *m = mmap(NULL, p->head.len, PROT_READ, MAP_PRIVATE, fd, 0);
    if (m == MAP_FAILED)
        return -errno;
    p->mapped = m;
    p->body = m;
    return 0;
}

void packet_done(struct packet *p)
{
    if (p->mapped)
        munmap(p->mapped, p->head.len);
    p->mapped = NULL;
    for (unsigned i = 0; i < p->fds_count; i++) {
        if (p->fds[i] >= 0)
            close(p->fds[i]);
        p->fds[i] = -1;
    }
    p->fds_count = 0;
}

static int transmit(int sock, struct iovec *iov, int iovlen, const int *fds, unsigned n, bool wait)
{
    union control control;
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = (size_t)iovlen};
    memset(&control, 0, sizeof(control));
    if (n) {
        m.msg_control = control.buf;
        m.msg_controllen = CMSG_SPACE(sizeof(int) * n);
        struct cmsghdr *c = &control.align;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * n);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * n);
    }
    ssize_t r;
    do {
        r = sendmsg(sock, &m, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT));
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

int packet_forward(int sock, const struct packet *p, bool wait)
{
    uint8_t head[HELPER_HEAD_SIZE];
    helper_head_encode(&p->head, head);
    struct iovec iov[2] = {{head, sizeof(head)}, {NULL, 0}};
    if (!(p->head.flags & HELPER_ATTACHED))
        iov[1] = (struct iovec){p->raw + HELPER_HEAD_SIZE, p->raw_len - HELPER_HEAD_SIZE};
    return transmit(sock, iov, 2, p->fds, p->fds_count, wait);
}

static int send_one(int sock, uint8_t type, uint64_t job, const void *body, size_t len,
                    const int *fds, unsigned fds_count, bool wait)
{
    uint8_t head[HELPER_HEAD_SIZE];
    struct helper_head h = {.type = type, .len = (uint32_t)len, .job = job};
    if (len > HELPER_INLINE_MAX)
        return -EMSGSIZE;
    helper_head_encode(&h, head);
    struct iovec iov[2] = {{head, sizeof(head)}, {(void *)body, len}};
    return transmit(sock, iov, 2, fds, fds_count, wait);
}

int packet_send(int sock, uint8_t type, uint64_t job, const void *body, size_t len, bool wait)
{
    return send_one(sock, type, job, body, len, NULL, 0, wait);
}

int packet_send_with(int sock, uint8_t type, const void *body, size_t len, const int *fds,
                     unsigned fds_count)
{
    return send_one(sock, type, 0, body, len, fds, fds_count, true);
}

int packet_send_long(int sock, uint8_t type, uint64_t job, const void *body, size_t len)
{
    if (len <= HELPER_INLINE_MAX)
        return packet_send(sock, type, job, body, len, true);
    uint8_t head[HELPER_HEAD_SIZE];
    struct helper_head h = {
        .type = type, .flags = HELPER_ATTACHED, .len = (uint32_t)len, .job = job};
    int fd = memfd_create("clawrden-message", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    int r = 0;
    for (size_t done = 0; done < len && r == 0;) {
        ssize_t n = write(fd, (const uint8_t *)body + done, len - done);
        if (n < 0 && errno != EINTR)
            r = -errno;
        if (n > 0)
            done += (size_t)n;
    }
    if (r == 0 &&
        fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        r = -errno;
    if (r == 0) {
        struct iovec iov = {head, sizeof(head)};
        helper_head_encode(&h, head);
        r = transmit(sock, &iov, 1, &fd, 1, true);
    }
    close(fd);
    return r;
}
