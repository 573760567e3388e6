/* SPDX-License-Identifier: MIT */
/* The codec of the helper's protocol. One walker a message, written twice: put and get in the same
 * order, and docs/protocol-helper.md in that order too. */
#include "wire/helper.h"

#include <errno.h>
#include <string.h>

#include "wire/bytes.h"

/* Counts on past the end, so that one function both measures and writes. */
struct writer {
    uint8_t *p;
    size_t size, len;
    int bad;
};

struct reader {
    const uint8_t *p;
    size_t len, pos;
    int bad; /* 0 or a negative errno, sticky */
};

static void put_bytes(struct writer *w, const void *p, size_t n)
{
    if (n && w->len <= w->size && n <= w->size - w->len)
        memcpy(w->p + w->len, p, n);
    w->len += n;
}

static void put_u32(struct writer *w, uint32_t v)
{
    uint8_t b[4];
    bytes_put_u32(b, v);
    put_bytes(w, b, sizeof(b));
}

static void put_u64(struct writer *w, uint64_t v)
{
    uint8_t b[8];
    bytes_put_u64(b, v);
    put_bytes(w, b, sizeof(b));
}

static void put_string(struct writer *w, const char *s)
{
    if (!s)
        s = "";
    put_bytes(w, s, strlen(s) + 1);
}

/* u32 count, u32 bytes, the strings */
static void put_strings(struct writer *w, const struct helper_strings *s)
{
    size_t size = s->size;
    if (s->list) {
        size = 0;
        for (uint32_t i = 0; i < s->count; i++)
            size += strlen(s->list[i]) + 1;
    }
    if (size > HELPER_BODY_MAX) {
        w->bad = 1;
        return;
    }
    put_u32(w, s->count);
    put_u32(w, (uint32_t)size);
    if (!s->list) {
        put_bytes(w, s->packed, size);
        return;
    }
    for (uint32_t i = 0; i < s->count; i++)
        put_string(w, s->list[i]);
}

static void put_peer(struct writer *w, const struct helper_peer *p)
{
    put_u32(w, p->pid);
    put_u32(w, p->uid);
    put_u32(w, p->gid);
    put_u32(w, p->groups_count);
    if (p->groups_count > HELPER_GROUPS_MAX) {
        w->bad = 1;
        return;
    }
    for (uint32_t i = 0; i < p->groups_count; i++)
        put_u32(w, p->groups[i]);
}

static size_t put_done(const struct writer *w)
{
    return w->bad || w->len > HELPER_BODY_MAX ? 0 : w->len;
}

static const uint8_t *get_bytes(struct reader *r, size_t n)
{
    if (r->bad || n > r->len - r->pos) {
        if (!r->bad)
            r->bad = -EBADMSG;
        return NULL;
    }
    const uint8_t *p = r->p + r->pos;
    r->pos += n;
    return p;
}

static uint32_t get_u32(struct reader *r)
{
    const uint8_t *p = get_bytes(r, 4);
    return p ? bytes_get_u32(p) : 0;
}

static uint64_t get_u64(struct reader *r)
{
    const uint8_t *p = get_bytes(r, 8);
    return p ? bytes_get_u64(p) : 0;
}

static const char *get_string(struct reader *r)
{
    const uint8_t *end = r->bad ? NULL : memchr(r->p + r->pos, 0, r->len - r->pos);
    if (!end) {
        if (!r->bad)
            r->bad = -EBADMSG;
        return "";
    }
    return (const char *)get_bytes(r, (size_t)(end - (r->p + r->pos)) + 1);
}

static void get_strings(struct reader *r, uint32_t max, struct helper_strings *ret)
{
    uint32_t count = get_u32(r), size = get_u32(r), seen = 0;
    const char *p = (const char *)get_bytes(r, size);
    if (!r->bad && count > max)
        r->bad = -E2BIG;
    if (r->bad)
        return;
    for (uint32_t i = 0; i < size; i++)
        seen += p[i] == 0;
    if (seen != count || (size && p[size - 1] != 0))
        r->bad = -EBADMSG;
    *ret = (struct helper_strings){.packed = p, .size = size, .count = count};
}

static void get_peer(struct reader *r, struct helper_peer *ret)
{
    ret->pid = get_u32(r);
    ret->uid = get_u32(r);
    ret->gid = get_u32(r);
    ret->groups_count = get_u32(r);
    if (!r->bad && ret->groups_count > HELPER_GROUPS_MAX)
        r->bad = -E2BIG;
    ret->groups_raw = r->bad ? NULL : get_bytes(r, (size_t)ret->groups_count * 4);
    if (!r->bad && ret->pid == 0)
        r->bad = -EBADMSG;
}

static int get_done(const struct reader *r)
{
    if (r->bad)
        return r->bad;
    return r->pos == r->len ? 0 : -EBADMSG;
}

uint32_t helper_group(const struct helper_peer *p, uint32_t i)
{
    return p->groups_raw ? bytes_get_u32(p->groups_raw + (size_t)i * 4) : p->groups[i];
}

const char *helper_next(const char *s)
{
    return s + strlen(s) + 1;
}

void helper_head_encode(const struct helper_head *h, uint8_t out[HELPER_HEAD_SIZE])
{
    out[0] = h->type;
    out[1] = h->flags;
    out[2] = out[3] = 0;
    bytes_put_u32(out + 4, h->len);
    bytes_put_u64(out + 8, h->job);
}

int helper_head_decode(const uint8_t in[HELPER_HEAD_SIZE], struct helper_head *ret)
{
    struct helper_head h = {
        .type = in[0], .flags = in[1], .len = bytes_get_u32(in + 4), .job = bytes_get_u64(in + 8)};
    if ((h.flags & ~(HELPER_ATTACHED | HELPER_CGROUP | HELPER_SEAT)) || in[2] || in[3] ||
        h.len > HELPER_BODY_MAX)
        return -EBADMSG;
    *ret = h;
    return 0;
}

size_t helper_resolve_encode(const struct helper_resolve *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->init);
    put_peer(&w, &m->peer);
    put_u32(&w, m->flags);
    put_string(&w, m->name);
    put_string(&w, m->cwd);
    put_strings(&w, &m->search);
    put_strings(&w, &m->args);
    put_strings(&w, &m->paths);
    return put_done(&w);
}

int helper_resolve_decode(const uint8_t *in, size_t len, struct helper_resolve *ret)
{
    struct reader r = {.p = in, .len = len};
    struct helper_resolve m = {0};
    m.init = get_u32(&r);
    get_peer(&r, &m.peer);
    m.flags = get_u32(&r);
    m.name = get_string(&r);
    m.cwd = get_string(&r);
    get_strings(&r, 64, &m.search);
    get_strings(&r, HELPER_ARGS_MAX, &m.args);
    get_strings(&r, HELPER_PATHS_MAX, &m.paths);
    if (!r.bad && (m.flags & ~(HELPER_PEER_V1 | HELPER_ARGS_CUT | HELPER_BY_ENGINE | HELPER_COVER |
                               HELPER_BELOW) ||
                   ((m.flags & HELPER_BELOW) && !(m.flags & HELPER_COVER)) || !m.name[0]))
        r.bad = -EBADMSG;
    *ret = m;
    return get_done(&r);
}

size_t helper_resolved_encode(const struct helper_resolved *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->error);
    put_string(&w, m->words);
    put_string(&w, m->cwd);
    put_u64(&w, m->cwd_dev);
    put_u64(&w, m->cwd_ino);
    put_u64(&w, m->cwd_mnt);
    put_u32(&w, m->trust);
    put_string(&w, m->exec_path);
    put_string(&w, m->path);
    put_u64(&w, m->dev);
    put_u64(&w, m->ino);
    put_string(&w, m->why_unknown);
    put_strings(&w, &m->names);
    put_string(&w, m->script);
    put_u32(&w, m->script_trust);
    put_string(&w, m->interpreter);
    put_string(&w, m->digest);
    put_strings(&w, &m->paths);
    return put_done(&w);
}

int helper_resolved_decode(const uint8_t *in, size_t len, struct helper_resolved *ret)
{
    struct reader r = {.p = in, .len = len};
    struct helper_resolved m = {0};
    m.error = get_u32(&r);
    m.words = get_string(&r);
    m.cwd = get_string(&r);
    m.cwd_dev = get_u64(&r);
    m.cwd_ino = get_u64(&r);
    m.cwd_mnt = get_u64(&r);
    m.trust = get_u32(&r);
    m.exec_path = get_string(&r);
    m.path = get_string(&r);
    m.dev = get_u64(&r);
    m.ino = get_u64(&r);
    m.why_unknown = get_string(&r);
    get_strings(&r, HELPER_NAMES_MAX, &m.names);
    m.script = get_string(&r);
    m.script_trust = get_u32(&r);
    m.interpreter = get_string(&r);
    m.digest = get_string(&r);
    get_strings(&r, HELPER_PATHS_MAX, &m.paths);
    if (!r.bad && (m.trust > HELPER_TRUST_TRUSTED || m.script_trust > HELPER_TRUST_TRUSTED))
        r.bad = -EBADMSG;
    *ret = m;
    return get_done(&r);
}

size_t helper_start_encode(const struct helper_start *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->init);
    put_peer(&w, &m->peer);
    put_u32(&w, m->flags);
    put_u32(&w, m->umask);
    put_bytes(&w, m->id, sizeof(m->id));
    put_u64(&w, m->exec_dev);
    put_u64(&w, m->exec_ino);
    put_u64(&w, m->cwd_dev);
    put_u64(&w, m->cwd_ino);
    put_u64(&w, m->cwd_mnt);
    put_u32(&w, m->trust);
    put_string(&w, m->name);
    put_string(&w, m->exec_path);
    put_string(&w, m->cwd);
    put_string(&w, m->script);
    put_string(&w, m->digest);
    put_strings(&w, &m->argv);
    put_strings(&w, &m->env);
    return put_done(&w);
}

int helper_start_decode(const uint8_t *in, size_t len, struct helper_start *ret)
{
    struct reader r = {.p = in, .len = len};
    struct helper_start m = {0};
    m.init = get_u32(&r);
    get_peer(&r, &m.peer);
    m.flags = get_u32(&r);
    m.umask = get_u32(&r);
    const uint8_t *id = get_bytes(&r, sizeof(m.id));
    if (id)
        memcpy(m.id, id, sizeof(m.id));
    m.exec_dev = get_u64(&r);
    m.exec_ino = get_u64(&r);
    m.cwd_dev = get_u64(&r);
    m.cwd_ino = get_u64(&r);
    m.cwd_mnt = get_u64(&r);
    m.trust = get_u32(&r);
    m.name = get_string(&r);
    m.exec_path = get_string(&r);
    m.cwd = get_string(&r);
    m.script = get_string(&r);
    m.digest = get_string(&r);
    get_strings(&r, HELPER_BODY_MAX, &m.argv);
    get_strings(&r, HELPER_BODY_MAX, &m.env);
    if (!r.bad && ((m.flags & ~(HELPER_PEER_V1 | HELPER_BY_ENGINE)) || m.umask > 0777 ||
                   m.trust > HELPER_TRUST_TRUSTED || m.exec_path[0] != '/' || m.argv.count == 0))
        r.bad = -EBADMSG;
    *ret = m;
    return get_done(&r);
}

size_t helper_started_encode(const struct helper_started *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->pid);
    put_string(&w, m->cgroup);
    return put_done(&w);
}

int helper_started_decode(const uint8_t *in, size_t len, struct helper_started *ret)
{
    struct reader r = {.p = in, .len = len};
    ret->pid = get_u32(&r);
    ret->cgroup = get_string(&r);
    return get_done(&r);
}

size_t helper_end_encode(const struct helper_end *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->kind);
    put_u32(&w, m->value);
    put_u32(&w, m->flags);
    put_string(&w, m->text);
    return put_done(&w);
}

int helper_end_decode(const uint8_t *in, size_t len, struct helper_end *ret)
{
    struct reader r = {.p = in, .len = len};
    struct helper_end m = {0};
    m.kind = get_u32(&r);
    m.value = get_u32(&r);
    m.flags = get_u32(&r);
    m.text = get_string(&r);
    if (!r.bad && (m.kind > HELPER_END_FAILED || m.value > 255 ||
                   (m.flags & ~(HELPER_END_CALLER_GONE | HELPER_END_CGROUP_SPENT |
                                HELPER_END_ASK_ENGINE | HELPER_END_SEAT))))
        r.bad = -EBADMSG;
    if (!r.bad && strlen(m.text) > 8192)
        r.bad = -E2BIG;
    *ret = m;
    return get_done(&r);
}

size_t helper_hello_encode(const struct helper_hello *m, uint8_t *out, size_t size)
{
    struct writer w = {.p = out, .size = size};
    put_u32(&w, m->version);
    put_u32(&w, m->features);
    put_string(&w, m->cgroup);
    put_string(&w, m->words);
    put_string(&w, m->outside);
    return put_done(&w);
}

int helper_hello_decode(const uint8_t *in, size_t len, struct helper_hello *ret)
{
    struct reader r = {.p = in, .len = len};
    ret->version = get_u32(&r);
    ret->features = get_u32(&r);
    ret->cgroup = get_string(&r);
    ret->words = get_string(&r);
    ret->outside = get_string(&r);
    return get_done(&r);
}

void helper_kill_encode(uint32_t signo, uint8_t out[HELPER_KILL_SIZE])
{
    bytes_put_u32(out, signo);
}

int helper_kill_decode(const uint8_t *in, size_t len, uint32_t *ret_signo)
{
    if (len != HELPER_KILL_SIZE)
        return -EBADMSG;
    uint32_t signo = bytes_get_u32(in);
    if (signo < 1 || signo > 64)
        return -EBADMSG;
    *ret_signo = signo;
    return 0;
}

size_t helper_numbers_encode(const uint32_t *v, size_t count, uint8_t *out)
{
    for (size_t i = 0; i < count; i++)
        bytes_put_u32(out + 4 * i, v[i]);
    return 4 * count;
}

int helper_numbers_decode(const uint8_t *in, size_t len, size_t count, uint32_t *ret)
{
    if (len != 4 * count)
        return -EBADMSG;
    for (size_t i = 0; i < count; i++)
        ret[i] = bytes_get_u32(in + 4 * i);
    return 0;
}

void helper_freeze_encode(uint32_t on, uint8_t out[HELPER_FREEZE_SIZE])
{
    bytes_put_u32(out, on);
}

int helper_freeze_decode(const uint8_t *in, size_t len, uint32_t *ret_on)
{
    uint32_t on = len == HELPER_FREEZE_SIZE ? bytes_get_u32(in) : 2;
    if (on > 1)
        return -EBADMSG;
    *ret_on = on;
    return 0;
}
