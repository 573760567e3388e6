/* SPDX-License-Identifier: MIT */
/* Nothing is allocated for a length that was only announced: the body grows as it arrives. */
#include "door/intake.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "wire/gatewire.h"

#define V1_HEAD_SIZE 4

static size_t head_size(const struct session *s)
{
    return s->protocol == DOOR_SHIM_V1 ? V1_HEAD_SIZE : V2_MAGIC_SIZE + V2_HEAD_SIZE;
}

/* v2 begins with 'C'; a v1 length is at most 10 MiB and begins with 0. */
static int choose_protocol(struct session *s, uint8_t first, struct err *err)
{
    if (first != 'C' && first != 0)
        return err_set(err, -EBADMSG, "this is neither version 1 nor version 2 of the protocol");
    s->protocol = first == 'C' ? DOOR_SHIM_V2 : DOOR_SHIM_V1;
    s->protocol_known = true;
    return 0;
}

void intake_guess(struct session *s, uint8_t first)
{
    struct err err;
    if (!s->protocol_known && choose_protocol(s, first, &err) < 0)
        return; /* it will hear nothing */
}

static int decode_v1_head(struct session *s, struct err *err)
{
    int r = v1_length_decode(s->head, &s->body_len);
    if (r == -E2BIG)
        return err_set(err, r, "a request of more than %u bytes", V1_REQUEST_BYTES_MAX);
    return r < 0 ? err_set(err, r, "an empty request") : 0;
}

static int decode_v2_head(struct session *s, struct err *err)
{
    struct v2_head h;
    if (memcmp(s->head, GATEWIRE_MAGIC, GATEWIRE_MAGIC_SIZE) == 0) {
        s->protocol = DOOR_GATE; /* the rest is its own door's */
        return 0;
    }
    if (memcmp(s->head, V2_MAGIC, V2_MAGIC_SIZE) != 0)
        return err_set(err, -EBADMSG, "an unknown version of the protocol");
    int r = v2_head_decode(s->head + V2_MAGIC_SIZE, V2_REQUEST_BYTES_MAX, &h);
    if (r == -E2BIG)
        return err_set(err, r, "a request of more than %u bytes", V2_REQUEST_BYTES_MAX);
    if (r < 0 || h.type != V2_REQUEST || h.len < V2_REQUEST_HEAD_SIZE)
        return err_set(err, -EBADMSG, "the first message is not a request");
    s->body_len = h.len;
    return 0;
}

int intake_head(struct session *s, const uint8_t *p, size_t n, size_t *ret_used, struct err *err)
{
    *ret_used = 0;
    if (n == 0)
        return 0;
    int r = s->protocol_known ? 0 : choose_protocol(s, p[0], err);
    if (r < 0)
        return r;
    size_t want = head_size(s) - s->head_len, take = n < want ? n : want;
    memcpy(s->head + s->head_len, p, take);
    s->head_len += take;
    *ret_used = take;
    if (take < want)
        return 0;
    r = s->protocol == DOOR_SHIM_V1 ? decode_v1_head(s, err) : decode_v2_head(s, err);
    if (r < 0)
        return r;
    buf_init(&s->in, s->body_len);
    return 1;
}

static const char **list_strings(const char *first, size_t n)
{
    const char **v = mem_new_array(const char *, n + 1);
    for (size_t i = 0; i < n; i++) {
        v[i] = first;
        first = v2_next_string(first);
    }
    return v;
}

int intake_v2(char *payload, size_t len, struct ask *ret, struct err *err)
{
    struct v2_request q;
    int r = v2_request_decode((const uint8_t *)payload, len, &q);
    if (r < 0) {
        free(payload);
        return err_set(
            err, r, r == -E2BIG ? "a limit of the request is passed" : "the request is malformed");
    }
    *ret = (struct ask){.door = DOOR_SHIM_V2,
                        .blob = payload,
                        .name = q.name,
                        .cwd = q.cwd,
                        .argv = list_strings(q.argv, q.argc),
                        .argc = q.argc,
                        .env = list_strings(q.env, q.envc),
                        .envc = q.envc,
                        .umask = q.umask,
                        .flags = q.flags & (V2_REQ_TTY0 | V2_REQ_TTY1 | V2_REQ_TTY2),
                        .has_claim = (q.flags & V2_REQ_CLAIM) != 0};
    memcpy(ret->claim, q.claim, sizeof(ret->claim));
    return 0;
}

void intake_ask_done(struct ask *a)
{
    free(a->blob);
    free(a->argv);
    free(a->env);
    *a = (struct ask){.door = a->door};
}
