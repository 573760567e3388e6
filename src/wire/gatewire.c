/* SPDX-License-Identifier: MIT */
/* One walker a message, written twice: put and get in the same order, and docs/protocol-gate.md in
 * that order too. */
#include "wire/gatewire.h"

#include <errno.h>
#include <string.h>

#include "wire/bytes.h"

#define DIGEST_LEN 64

static struct pack_writer writer(uint8_t *out, size_t size)
{
    return (struct pack_writer){.p = out, .size = size};
}

static struct pack_reader reader(const uint8_t *in, size_t len)
{
    return (struct pack_reader){.p = in, .len = len};
}

static size_t done(const struct pack_writer *w)
{
    return pack_put_done(w, GATEWIRE_BODY_MAX);
}

static void bad(struct pack_reader *r, int lies)
{
    if (lies && !r->bad)
        r->bad = -EBADMSG;
}

static uint64_t get_job(struct pack_reader *r)
{
    uint64_t job = pack_get_u64(r);
    bad(r, job == 0);
    return job;
}

static void put_list(struct pack_writer *w, const struct pack_strings *s)
{
    pack_put_strings(w, s, GATEWIRE_STRINGS_MAX);
}

void gatewire_head_encode(uint8_t type, uint32_t len, uint8_t out[GATEWIRE_HEAD_SIZE])
{
    out[0] = type;
    out[1] = out[2] = out[3] = 0;
    bytes_put_u32(out + 4, len);
}

int gatewire_head_decode(const uint8_t in[GATEWIRE_HEAD_SIZE], struct gatewire_head *ret)
{
    uint32_t len = bytes_get_u32(in + 4);
    if (in[1] | in[2] | in[3])
        return -EBADMSG;
    if (len > GATEWIRE_BODY_MAX)
        return -E2BIG;
    *ret = (struct gatewire_head){.type = in[0], .len = len};
    return 0;
}

size_t gatewire_hello_encode(const struct gatewire_hello *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u32(&w, m->version);
    pack_put_u32(&w, m->flags);
    pack_put_string(&w, m->words);
    return done(&w);
}

int gatewire_hello_decode(const uint8_t *in, size_t len, struct gatewire_hello *ret)
{
    struct pack_reader r = reader(in, len);
    ret->version = pack_get_u32(&r);
    ret->flags = pack_get_u32(&r);
    ret->words = pack_get_string(&r, GATEWIRE_TEXT_MAX);
    bad(&r, ret->flags & ~GATEWIRE_HELLO_ALL);
    return pack_get_done(&r);
}

size_t gatewire_welcome_encode(const struct gatewire_welcome *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u32(&w, m->version);
    put_list(&w, &m->search);
    return done(&w);
}

int gatewire_welcome_decode(const uint8_t *in, size_t len, struct gatewire_welcome *ret)
{
    struct pack_reader r = reader(in, len);
    ret->version = pack_get_u32(&r);
    pack_get_strings(&r, GATEWIRE_SEARCH_MAX, GATEWIRE_PATH_MAX, &ret->search);
    return pack_get_done(&r);
}

size_t gatewire_cover_encode(const struct gatewire_cover *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->mount);
    pack_put_string(&w, m->path);
    return pack_put_done(&w, GATEWIRE_COVER_SIZE_MAX);
}

int gatewire_cover_decode(const uint8_t *in, size_t len, struct gatewire_cover *ret)
{
    struct pack_reader r = reader(in, len);
    ret->mount = pack_get_u64(&r);
    ret->path = pack_get_string(&r, GATEWIRE_PATH_MAX - 1);
    bad(&r, ret->path[0] != '/');
    return pack_get_done(&r);
}

static void put_facts(struct pack_writer *w, const struct gatewire_facts *f)
{
    pack_put_u32(w, f->error);
    pack_put_string(w, f->words);
    pack_put_string(w, f->cwd);
    pack_put_u64(w, f->cwd_dev);
    pack_put_u64(w, f->cwd_ino);
    pack_put_u32(w, f->trust);
    pack_put_u32(w, f->script_trust);
    pack_put_u32(w, f->script_arg);
    pack_put_string(w, f->path);
    pack_put_u64(w, f->dev);
    pack_put_u64(w, f->ino);
    pack_put_string(w, f->why_unknown);
    put_list(w, &f->names);
    pack_put_string(w, f->script);
    pack_put_string(w, f->interpreter);
    pack_put_string(w, f->digest);
    put_list(w, &f->operands);
}

static int digest_ok(const char *s)
{
    size_t n = strlen(s);
    return n == 0 || (n == DIGEST_LEN && strspn(s, "0123456789abcdef") == DIGEST_LEN);
}

static int path_ok(const char *s)
{
    return s[0] == 0 || s[0] == '/';
}

static void get_facts(struct pack_reader *r, struct gatewire_facts *f)
{
    f->error = pack_get_u32(r);
    f->words = pack_get_string(r, GATEWIRE_TEXT_MAX);
    f->cwd = pack_get_string(r, GATEWIRE_PATH_MAX);
    f->cwd_dev = pack_get_u64(r);
    f->cwd_ino = pack_get_u64(r);
    f->trust = pack_get_u32(r);
    f->script_trust = pack_get_u32(r);
    f->script_arg = pack_get_u32(r);
    f->path = pack_get_string(r, GATEWIRE_PATH_MAX);
    f->dev = pack_get_u64(r);
    f->ino = pack_get_u64(r);
    f->why_unknown = pack_get_string(r, GATEWIRE_TEXT_MAX);
    pack_get_strings(r, GATEWIRE_NAMES_MAX, 255, &f->names);
    f->script = pack_get_string(r, GATEWIRE_PATH_MAX);
    f->interpreter = pack_get_string(r, GATEWIRE_PATH_MAX);
    f->digest = pack_get_string(r, DIGEST_LEN);
    pack_get_strings(r, GATEWIRE_OPERANDS_MAX, GATEWIRE_PATH_MAX, &f->operands);
    bad(r, f->trust > GATEWIRE_TRUSTED || f->script_trust > GATEWIRE_TRUSTED);
    bad(r, !digest_ok(f->digest) || !path_ok(f->cwd) || !path_ok(f->path));
    /* What is known has a path, and what is trusted is known. */
    bad(r, !f->error && f->path[0] == 0);
    bad(r, f->script_trust == GATEWIRE_TRUSTED && f->script[0] != '/');
    /* A tool by its script's name is one that both can be trusted for. */
    bad(r, f->script_arg > GATEWIRE_SCRIPT_ARG_MAX ||
               (f->script_arg && (f->script_trust != GATEWIRE_TRUSTED ||
                                  f->trust != GATEWIRE_TRUSTED || !f->interpreter[0])));
}

size_t gatewire_facts_encode(const struct gatewire_facts *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    put_facts(&w, m);
    return done(&w);
}

int gatewire_facts_decode(const uint8_t *in, size_t len, struct gatewire_facts *ret)
{
    struct pack_reader r = reader(in, len);
    get_facts(&r, ret);
    return pack_get_done(&r);
}

size_t gatewire_request_encode(const struct gatewire_request *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_u32(&w, 0); /* was its umask, which nothing is decided by */
    pack_put_string(&w, m->execfn);
    put_list(&w, &m->argv);
    put_list(&w, &m->env);
    put_list(&w, &m->parents);
    put_facts(&w, &m->facts);
    return done(&w);
}

int gatewire_request_decode(const uint8_t *in, size_t len, struct gatewire_request *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    uint32_t umask = pack_get_u32(&r);
    ret->execfn = pack_get_string(&r, GATEWIRE_STRING_MAX);
    pack_get_strings(&r, GATEWIRE_ARGS_MAX, GATEWIRE_STRING_MAX, &ret->argv);
    pack_get_strings(&r, GATEWIRE_ARGS_MAX, GATEWIRE_STRING_MAX, &ret->env);
    pack_get_strings(&r, GATEWIRE_PARENTS_MAX, 320, &ret->parents);
    get_facts(&r, &ret->facts);
    bad(&r, umask > 0777 || ret->argv.count == 0);
    return pack_get_done(&r);
}

size_t gatewire_look_encode(const struct gatewire_look *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    put_list(&w, &m->operands);
    return done(&w);
}

int gatewire_look_decode(const uint8_t *in, size_t len, struct gatewire_look *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    pack_get_strings(&r, GATEWIRE_OPERANDS_MAX, GATEWIRE_PATH_MAX, &ret->operands);
    return pack_get_done(&r);
}

size_t gatewire_found_encode(const struct gatewire_found *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    put_facts(&w, &m->facts);
    return done(&w);
}

int gatewire_found_decode(const uint8_t *in, size_t len, struct gatewire_found *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    get_facts(&r, &ret->facts);
    return pack_get_done(&r);
}

size_t gatewire_waiting_encode(const struct gatewire_waiting *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_bytes(&w, m->id, sizeof(m->id));
    return done(&w);
}

int gatewire_waiting_decode(const uint8_t *in, size_t len, struct gatewire_waiting *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    const uint8_t *id = pack_get_bytes(&r, sizeof(ret->id));
    if (id)
        memcpy(ret->id, id, sizeof(ret->id));
    return pack_get_done(&r);
}

size_t gatewire_allow_encode(const struct gatewire_allow *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_u32(&w, m->flags);
    put_list(&w, &m->scrub);
    pack_put_string(&w, m->shim);
    pack_put_string(&w, m->command);
    pack_put_u32(&w, m->skip);
    return done(&w);
}

int gatewire_allow_decode(const uint8_t *in, size_t len, struct gatewire_allow *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    ret->flags = pack_get_u32(&r);
    bad(&r, (ret->flags & ~GATEWIRE_ALLOW_LIMITED) != 0);
    pack_get_strings(&r, GATEWIRE_SCRUB_MAX, GATEWIRE_STRING_MAX, &ret->scrub);
    ret->shim = pack_get_string(&r, GATEWIRE_PATH_MAX);
    bad(&r, !path_ok(ret->shim));
    ret->command = pack_get_string(&r, GATEWIRE_PATH_MAX);
    ret->skip = pack_get_u32(&r);
    return pack_get_done(&r);
}

size_t gatewire_deny_encode(const struct gatewire_deny *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_u32(&w, m->code);
    pack_put_string(&w, m->text);
    return done(&w);
}

int gatewire_deny_decode(const uint8_t *in, size_t len, struct gatewire_deny *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    ret->code = pack_get_u32(&r);
    ret->text = pack_get_string(&r, GATEWIRE_TEXT_MAX);
    bad(&r, ret->code < 1 || ret->code > 255);
    return pack_get_done(&r);
}

size_t gatewire_withdraw_encode(const struct gatewire_withdraw *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_string(&w, m->why);
    return done(&w);
}

int gatewire_withdraw_decode(const uint8_t *in, size_t len, struct gatewire_withdraw *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    ret->why = pack_get_string(&r, GATEWIRE_TEXT_MAX);
    return pack_get_done(&r);
}

size_t gatewire_end_encode(const struct gatewire_end *m, uint8_t *out, size_t size)
{
    struct pack_writer w = writer(out, size);
    pack_put_u64(&w, m->job);
    pack_put_u32(&w, m->kind);
    pack_put_u32(&w, m->value);
    pack_put_string(&w, m->text);
    return done(&w);
}

int gatewire_end_decode(const uint8_t *in, size_t len, struct gatewire_end *ret)
{
    struct pack_reader r = reader(in, len);
    ret->job = get_job(&r);
    ret->kind = pack_get_u32(&r);
    ret->value = pack_get_u32(&r);
    ret->text = pack_get_string(&r, GATEWIRE_TEXT_MAX);
    bad(&r, ret->kind > GATEWIRE_FAILED || ret->value > 255);
    return pack_get_done(&r);
}

int gatewire_started_decode(const uint8_t *in, size_t len, uint64_t *ret_job)
{
    struct pack_reader r = reader(in, len);
    *ret_job = get_job(&r);
    return pack_get_done(&r);
}

int gatewire_kill_decode(const uint8_t *in, size_t len, uint64_t *ret_job, uint32_t *ret_signo)
{
    struct pack_reader r = reader(in, len);
    *ret_job = get_job(&r);
    *ret_signo = pack_get_u32(&r);
    bad(&r, *ret_signo < 1 || *ret_signo > 64);
    return pack_get_done(&r);
}

int gatewire_freeze_decode(const uint8_t *in, size_t len, uint64_t *ret_job, uint32_t *ret_on)
{
    struct pack_reader r = reader(in, len);
    *ret_job = get_job(&r);
    *ret_on = pack_get_u32(&r);
    bad(&r, *ret_on > 1);
    return pack_get_done(&r);
}
