/* SPDX-License-Identifier: MIT */
/* v1 has no message for a reason: it is shown as the stderr of a command that was allowed
 * (V1_ACK_ALLOWED) and ended with the code. V1_ACK_DENIED stands only where there are no words. */
#include "door/answer.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/str.h"
#include "wire/bytes.h"

/* Bytes of `text` that fit in `max`: whole lines, or if not even one fits, whole characters. */
static size_t fitting(const char *text, size_t max)
{
    size_t n = strlen(text);
    if (n <= max)
        return n;
    const char *nl = memrchr(text, '\n', max);
    if (nl)
        return (size_t)(nl - text) + 1;
    for (n = max; n > 0 && (text[n] & 0xc0) == 0x80;)
        n--;
    return n;
}

static void put_u32(struct buf *out, uint32_t v)
{
    uint8_t b[4];
    bytes_put_u32(b, v);
    (void)buf_append(out, b, sizeof(b));
}

static void put_v2_head(struct buf *out, enum v2_type type, size_t len)
{
    uint8_t head[V2_HEAD_SIZE];
    v2_head_encode((uint8_t)type, (uint32_t)len, head);
    (void)buf_append(out, head, sizeof(head));
}

static void put_v1_frame(struct buf *out, enum v1_frame type, const void *p, size_t n)
{
    uint8_t head[V1_FRAME_HEAD_SIZE];
    v1_frame_encode(type, (uint32_t)n, head);
    (void)buf_append(out, head, sizeof(head));
    (void)buf_append(out, p, n);
}

static uint32_t seconds_left(const struct request *r)
{
    uint64_t now = clock_monotonic();
    if (r->deadline <= now)
        return 1;
    uint64_t s = (r->deadline - now + CLOCK_NS_PER_SEC - 1) / CLOCK_NS_PER_SEC;
    return s > UINT32_MAX ? UINT32_MAX : (uint32_t)s;
}

static void put_v2_waiting(struct session *s, const struct request *r)
{
    char left[48], text[512];
    uint32_t seconds = r->paused ? 0 : seconds_left(r); /* 0: without an end */
    if (r->paused)
        (void)snprintf(
            text, sizeof(text),
            "clawrden: paused by an operator, waiting until it is resumed (request %s)\n",
            r->id_text);
    else
        (void)snprintf(text, sizeof(text),
                       "clawrden: waiting for a person to approve this (at most %s, request %s)\n",
                       str_format_duration(seconds * CLOCK_NS_PER_SEC, left), r->id_text);
    put_v2_head(&s->out, V2_WAITING, V2_WAITING_HEAD_SIZE + strlen(text));
    (void)buf_append(&s->out, r->id, sizeof(r->id));
    put_u32(&s->out, seconds);
    (void)buf_append_str(&s->out, text);
}

void answer_waiting(struct session *s, const struct request *r)
{
    if (s->protocol == DOOR_SHIM_V2) {
        put_v2_waiting(s, r);
    } else if (!s->acked) {
        (void)buf_append_char(&s->out, V1_ACK_PENDING);
        s->acked = true;
    }
}

static void put_v1_refused(struct session *s, int code, const char *text)
{
    if (text[0] == '\0') {
        (void)buf_append_char(&s->out, V1_ACK_DENIED);
        return;
    }
    uint8_t exit_code = (uint8_t)code;
    (void)buf_append_char(&s->out, V1_ACK_ALLOWED);
    put_v1_frame(&s->out, V1_STDERR, text, fitting(text, V2_TEXT_MAX));
    put_v1_frame(&s->out, V1_EXIT, &exit_code, 1);
}

void answer_refused(struct session *s, int code, const char *text)
{
    if (s->protocol == DOOR_SHIM_V1) {
        put_v1_refused(s, code, text);
        return;
    }
    size_t n = fitting(text, V2_TEXT_MAX);
    put_v2_head(&s->out, V2_REFUSED, V2_REFUSED_HEAD_SIZE + n);
    put_u32(&s->out, (uint32_t)code);
    (void)buf_append(&s->out, text, n);
}

int answer_flush(struct session *s)
{
    if (s->out.failed)
        return s->out.failed;
    while (s->out.len > 0) {
        ssize_t n = send(s->fd, s->out.data, s->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -errno;
        buf_consume(&s->out, (size_t)n);
    }
    return 0;
}
