/* SPDX-License-Identifier: MIT */
/* An audit log as somebody left it: lines of any bytes. Nothing crashes; what a line says it is, is
 * what it would be written as; what is shown of it acts on no terminal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/audit-show.h"
#include "store/chain.h"
#include "store/inflight.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void write_again(struct record_hasher *h, const char *line, size_t len,
                        const struct record *r)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1u << 20);
    char hash[RECORD_HASH_SIZE];
    must(r->members > line && r->members + r->members_len < line + len && r->hashed < len);
    must(record_build(&out, h, r->seq, r->prev, r->members, r->members_len, hash) == 0);
    must(out.len == len + 1 && memcmp(out.data, line, r->hashed) == 0);
    must(record_intact(h, line, r) == (memcmp(out.data, line, len) == 0));
}

static void read_members(const struct record *r)
{
    static const char *const keys[] = {"event", "id", "time", "seq", "open", "words"};
    const char *v;
    size_t n;
    char text[64];
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        bool there = record_field(r->members, r->members_len, keys[i], &v, &n);
        must(!there || (v >= r->members && v + n <= r->members + r->members_len));
        if (record_field_copy(r->members, r->members_len, keys[i], text, sizeof(text)))
            must(record_field_is(r->members, r->members_len, keys[i], text));
        (void)record_field_u64(r->members, r->members_len, keys[i], 7);
    }
}

static void show(const char *line, size_t len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(64u << 20);
    audit_show_line(line, len, &out);
    must(str_utf8_valid(buf_str(&out), out.len));
    for (size_t i = 0; i < out.len; i++)
        must((uint8_t)out.data[i] >= 0x20 && out.data[i] != 0x7f);
}

static void found(void *arg, const struct chain_problem *p)
{
    ++*(uint64_t *)arg;
    must(p->text[0] && strnlen(p->text, sizeof(p->text)) < sizeof(p->text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *s = (const char *)data, *end = s + size;
    uint64_t problems = 0;
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_(chain_freep) struct chain *c = chain_new(h, NULL, found, &problems);
    _cleanup_(inflight_freep) struct inflight *open = inflight_new();
    chain_file(c, "log");
    for (const char *nl; s < end && (nl = memchr(s, '\n', (size_t)(end - s))); s = nl + 1) {
        size_t len = (size_t)(nl - s);
        struct record r;
        if (chain_line(c, s, len, &r)) {
            write_again(h, s, len, &r);
            read_members(&r);
            inflight_note(open, r.members, r.members_len);
        }
        show(s, len);
    }
    if (s < end)
        chain_torn(c, (size_t)(end - s));
    chain_end(c, true);
    must(chain_result(c)->problems == problems);
    _cleanup_buf_ struct buf out = BUF_INIT(64u << 20);
    inflight_write(open, &out);
    return 0;
}
