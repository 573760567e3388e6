/* SPDX-License-Identifier: MIT */
/* A sound log, and then one who changes it without its key: whatever the change, it is found, with
 * the head file at the latest. The input: how many records, what is in them, what is done. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "store/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RECORDS_MAX 12

struct input {
    const uint8_t *p, *end;
};

static unsigned take(struct input *in, unsigned n)
{
    return in->p < in->end ? *in->p++ % n : 0;
}

struct log {
    struct buf text;
    size_t count;
    size_t from[RECORDS_MAX + 1]; /* of each line; the last: the end */
    struct head head;
};

static void put_record(struct log *l, struct record_hasher *h, struct input *in, const char *prev)
{
    static const char *const events[] = {"decision", "end", "start", "policy", "repair"};
    _cleanup_buf_ struct buf m = BUF_INIT(4096);
    (void)buf_printf(&m, "\"event\":\"%s\",\"x\":\"", events[take(in, 5)]);
    for (unsigned n = take(in, 40); n > 0; n--)
        (void)buf_append_char(&m, (char)('a' + take(in, 26)));
    (void)buf_append_str(&m, "\"");
    l->from[l->count++] = l->text.len;
    if (record_build(&l->text, h, l->count, prev, m.data, m.len, l->head.hash) < 0)
        abort();
    l->head.seq = l->count;
}

static void make(struct log *l, struct record_hasher *h, struct input *in)
{
    char prev[RECORD_HASH_SIZE];
    memcpy(prev, record_hash_none, sizeof(prev));
    for (unsigned n = 1 + take(in, RECORDS_MAX); n > 0; n--) {
        put_record(l, h, in, prev);
        memcpy(prev, l->head.hash, sizeof(prev));
    }
    l->from[l->count] = l->text.len;
}

static void add_lines(struct buf *out, const struct log *l, size_t from, size_t to)
{
    (void)buf_append(out, l->text.data + l->from[from], l->from[to] - l->from[from]);
}

/* False: nothing was changed. */
static bool attack(const struct log *l, struct input *in, struct buf *out)
{
    size_t a = take(in, (unsigned)l->count), b = take(in, (unsigned)l->count);
    switch (take(in, 6)) {
    case 0: { /* bytes, whichever */
        add_lines(out, l, 0, l->count);
        for (unsigned n = 1 + take(in, 3); n > 0; n--)
            out->data[(take(in, 256) * 256u + take(in, 256)) % out->len] = (char)take(in, 256);
        return memcmp(out->data, l->text.data, out->len) != 0;
    }
    case 1: /* a line is taken out */
        add_lines(out, l, 0, a);
        add_lines(out, l, a + 1, l->count);
        return true;
    case 2: /* two lines change places */
        if (a >= b)
            return false;
        add_lines(out, l, 0, a);
        add_lines(out, l, b, b + 1);
        add_lines(out, l, a + 1, b);
        add_lines(out, l, a, a + 1);
        add_lines(out, l, b + 1, l->count);
        return true;
    case 3: /* a line stands there twice */
        add_lines(out, l, 0, a + 1);
        add_lines(out, l, b, b + 1);
        add_lines(out, l, a + 1, l->count);
        return true;
    case 4: /* the end is cut off */
        (void)buf_append(out, l->text.data, (take(in, 256) * 256u + take(in, 256)) % l->text.len);
        return true;
    default: /* the end is zeros */
        add_lines(out, l, 0, l->count);
        memset(out->data + l->from[a], 0, out->len - l->from[a]);
        return true;
    }
}

static uint64_t problems(struct record_hasher *h, const struct log *l, const struct buf *text)
{
    _cleanup_(chain_freep) struct chain *c = chain_new(h, &l->head, NULL, NULL);
    const char *s = buf_str(text), *end = s + text->len;
    struct record r;
    chain_file(c, "log");
    for (const char *nl; s < end && (nl = memchr(s, '\n', (size_t)(end - s))); s = nl + 1)
        (void)chain_line(c, s, (size_t)(nl - s), &r);
    if (s < end)
        chain_torn(c, (size_t)(end - s));
    chain_end(c, true);
    return chain_result(c)->problems;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    struct log l = {.text = BUF_INIT(1u << 20)};
    _cleanup_buf_ struct buf changed = BUF_INIT(1u << 20);
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    make(&l, h, &in);
    if (problems(h, &l, &l.text) != 0)
        abort();
    if (attack(&l, &in, &changed) && problems(h, &l, &changed) == 0)
        abort();
    buf_done(&l.text);
    return 0;
}
