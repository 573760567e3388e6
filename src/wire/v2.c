/* SPDX-License-Identifier: MIT */
#include "wire/v2.h"

#include <errno.h>
#include <string.h>

#include "wire/bytes.h"

/* What is left of a payload while its strings are walked. */
struct span {
    const char *p;
    size_t len;
};

/* Takes one string with its NUL off the front. -E2BIG: longer than `max` bytes, the NUL included.
 */
static int span_string(struct span *s, size_t max, const char **ret)
{
    const char *end = memchr(s->p, 0, s->len < max ? s->len : max);

    if (!end)
        return s->len > max ? -E2BIG : -EBADMSG;
    if (ret)
        *ret = s->p;
    s->len -= (size_t)(end - s->p) + 1;
    s->p = end + 1;
    return 0;
}

static int span_strings(struct span *s, uint32_t n, const char **ret)
{
    int r = 0;

    *ret = s->p;
    while (r == 0 && n-- > 0)
        r = span_string(s, V2_STRING_MAX, NULL);
    return r;
}

const char *v2_next_string(const char *s)
{
    return s + strlen(s) + 1;
}

/* A name stands in messages and is looked up in tables: one path component, nothing else. */
static int name_ok(const char *name)
{
    return name[0] != 0 && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

/* Empty: the shim could not tell. */
static int cwd_ok(const char *cwd)
{
    return cwd[0] == 0 || cwd[0] == '/';
}

/* Adds the strings' sizes to *size; false when one of them or the sum is over its limit. */
static int strings_add(const char *const *v, uint32_t n, size_t *size)
{
    for (uint32_t i = 0; i < n; i++) {
        size_t len = strlen(v[i]) + 1;

        if (len > V2_STRING_MAX || len > V2_REQUEST_BYTES_MAX - *size)
            return 0;
        *size += len;
    }
    return 1;
}

size_t v2_request_size(const char *name, const char *cwd, const char *const *argv, uint32_t argc,
                       const char *const *env, uint32_t envc)
{
    size_t name_len = strlen(name), cwd_len = strlen(cwd);
    size_t size = V2_REQUEST_HEAD_SIZE;

    if (!name_ok(name) || name_len > V2_NAME_MAX || !cwd_ok(cwd) || cwd_len >= V2_PATH_MAX)
        return 0;
    if (argc < 1 || argc > V2_ARGS_MAX || envc > V2_ENV_MAX)
        return 0;
    size += name_len + 1 + cwd_len + 1;
    if (!strings_add(argv, argc, &size) || !strings_add(env, envc, &size))
        return 0;
    return size;
}

void v2_request_head_encode(const struct v2_request *r, uint8_t out[V2_REQUEST_HEAD_SIZE])
{
    bytes_put_u32(out, r->flags);
    bytes_put_u32(out + 4, r->umask);
    bytes_put_u32(out + 8, r->argc);
    bytes_put_u32(out + 12, r->envc);
    memcpy(out + 16, r->claim, sizeof(r->claim));
}

static int request_head_decode(const uint8_t *in, struct v2_request *q)
{
    static const uint8_t none[sizeof(q->claim)];

    q->flags = bytes_get_u32(in);
    q->umask = bytes_get_u32(in + 4);
    q->argc = bytes_get_u32(in + 8);
    q->envc = bytes_get_u32(in + 12);
    memcpy(q->claim, in + 16, sizeof(q->claim));
    if (q->flags & ~(uint32_t)V2_REQ_FLAGS_ALL || q->umask > 0777 || q->argc < 1)
        return -EBADMSG;
    /* One request has one spelling: no claim, no bytes; a claim, an id. */
    if (!(q->flags & V2_REQ_CLAIM) != !memcmp(q->claim, none, sizeof(none)))
        return -EBADMSG;
    if (q->argc > V2_ARGS_MAX || q->envc > V2_ENV_MAX)
        return -E2BIG;
    return 0;
}

int v2_request_decode(const uint8_t *payload, size_t len, struct v2_request *ret)
{
    struct v2_request q;
    struct span s;
    int r;

    if (len < V2_REQUEST_HEAD_SIZE)
        return -EBADMSG;
    if (len > V2_REQUEST_BYTES_MAX)
        return -E2BIG;
    r = request_head_decode(payload, &q);
    if (r < 0)
        return r;
    s.p = (const char *)payload + V2_REQUEST_HEAD_SIZE;
    s.len = len - V2_REQUEST_HEAD_SIZE;
    if ((r = span_string(&s, V2_NAME_MAX + 1, &q.name)) < 0 ||
        (r = span_string(&s, V2_PATH_MAX, &q.cwd)) < 0 ||
        (r = span_strings(&s, q.argc, &q.argv)) < 0 || (r = span_strings(&s, q.envc, &q.env)) < 0)
        return r;
    if (s.len != 0 || !name_ok(q.name) || !cwd_ok(q.cwd))
        return -EBADMSG;
    *ret = q;
    return 0;
}

void v2_head_encode(uint8_t type, uint32_t len, uint8_t out[V2_HEAD_SIZE])
{
    out[0] = type;
    out[1] = out[2] = out[3] = 0;
    bytes_put_u32(out + 4, len);
}

int v2_head_decode(const uint8_t in[V2_HEAD_SIZE], uint32_t max, struct v2_head *ret)
{
    uint32_t len = bytes_get_u32(in + 4);

    if (in[1] | in[2] | in[3])
        return -EBADMSG;
    if (len > max)
        return -E2BIG;
    ret->type = in[0];
    ret->len = len;
    return 0;
}

uint32_t v2_fds_carried(const struct v2_fds *f)
{
    return (f->flags & V2_FDS_PTY ? 4 : 3) + f->more;
}

uint32_t v2_fds_encode(const struct v2_fds *f, uint8_t out[V2_FDS_SIZE_MAX])
{
    bytes_put_u32(out, f->flags);
    for (uint32_t i = 0; i < f->more; i++)
        bytes_put_u32(out + V2_FDS_SIZE + 4 * i, f->number[i]);
    return V2_FDS_SIZE + 4 * f->more;
}

int v2_fds_decode(const uint8_t *payload, size_t len, struct v2_fds *ret)
{
    uint32_t last = 2;

    if (len < V2_FDS_SIZE || len % 4 != 0)
        return -EBADMSG;
    if (len > V2_FDS_SIZE_MAX)
        return -E2BIG;
    ret->flags = bytes_get_u32(payload);
    ret->more = (uint32_t)(len - V2_FDS_SIZE) / 4;
    if (ret->flags & ~(uint32_t)V2_FDS_FLAGS_ALL)
        return -EBADMSG;
    for (uint32_t i = 0; i < ret->more; i++) {
        uint32_t number = bytes_get_u32(payload + V2_FDS_SIZE + 4 * i);

        if (number <= last)
            return -EBADMSG;
        if (number > V2_FDS_NUMBER_MAX)
            return -E2BIG;
        ret->number[i] = (uint16_t)number;
        last = number;
    }
    return 0;
}

/* By number, because the layer includes no signal.h; Linux numbers are the same on all
 * architectures that we build for (x86-64, arm64). */
int v2_signal_ok(uint32_t signo)
{
    enum { HUP = 1, INT = 2, QUIT = 3, USR1 = 10, USR2 = 12, ALRM = 14, TERM = 15 };
    enum { CONT = 18, TSTP = 20, WINCH = 28 };
    const uint32_t set = 1u << HUP | 1u << INT | 1u << QUIT | 1u << USR1 | 1u << USR2 | 1u << ALRM |
                         1u << TERM | 1u << CONT | 1u << TSTP | 1u << WINCH;

    return signo < 32 && (set >> signo & 1);
}
