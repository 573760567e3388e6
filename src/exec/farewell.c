/* SPDX-License-Identifier: MIT */
#include "exec/farewell.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "wire/bytes.h"
#include "wire/v1.h"
#include "wire/v2.h"

#define EXIT_CANNOT 125
#define TEXT_MAX 2048

static void say_v1(struct buf *out, const struct buf *text)
{
    uint8_t head[V1_FRAME_HEAD_SIZE];
    (void)buf_append_char(out, V1_ACK_ALLOWED);
    v1_frame_encode(V1_STDERR, (uint32_t)text->len, head);
    (void)buf_append(out, head, sizeof(head));
    (void)buf_append(out, text->data, text->len);
    v1_frame_encode(V1_EXIT, 1, head);
    (void)buf_append(out, head, sizeof(head));
    (void)buf_append_char(out, EXIT_CANNOT);
}

static void say_v2(struct buf *out, const struct buf *text)
{
    uint8_t head[V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE];
    v2_head_encode(V2_REFUSED, (uint32_t)(V2_REFUSED_HEAD_SIZE + text->len), head);
    bytes_put_u32(head + V2_HEAD_SIZE, EXIT_CANNOT);
    (void)buf_append(out, head, sizeof(head));
    (void)buf_append(out, text->data, text->len);
}

/* Nothing can be added after the shutdown; then what is there is looked at before it is taken:
 * closing a socket with somebody's descriptors in it closes those too, which may block. */
static bool drained(int conn)
{
    char bytes[4096];
    (void)shutdown(conn, SHUT_RD);
    for (int i = 0; i < 256; i++) {
        struct iovec iov = {bytes, sizeof(bytes)};
        struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
        ssize_t n = recvmsg(conn, &m, MSG_PEEK | MSG_DONTWAIT);
        if (m.msg_flags & MSG_CTRUNC)
            return false;
        if (n <= 0)
            return true;
        if (recv(conn, bytes, (size_t)n, MSG_DONTWAIT) != n)
            return false;
    }
    return false;
}

static void *close_it(void *arg)
{
    close(*(int *)arg);
    free(arg);
    return NULL;
}

void farewell(int conn, bool v1, const char *name, const char *words)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX), out = BUF_INIT(2 * TEXT_MAX);
    (void)buf_append_str(&text, "clawrden: ");
    (void)str_escape(&text, name, strnlen(name, 256));
    (void)buf_printf(&text, ": %s\n", words[0] ? words : "cannot be run");
    if (v1)
        say_v1(&out, &text);
    else
        say_v2(&out, &text);
    (void)send(conn, out.data, out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (drained(conn)) {
        close(conn);
        return;
    }
    pthread_t t;
    int *arg = mem_dup(&conn, sizeof(conn));
    if (pthread_create(&t, NULL, close_it, arg) == 0)
        (void)pthread_detach(t);
    else
        free(arg); /* it stays open: better than a warden that hangs */
}
