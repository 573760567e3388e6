/* SPDX-License-Identifier: MIT */
/* Follows the chain. After a problem it goes on from what stands there, so that one fault is told
 * once and later faults are still found. */
#include "store/chain.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define GAPS_MAX 64 /* remembered, to tell a moved record from one that is there twice */

struct gap {
    uint64_t from, to; /* missing, inclusive */
};

struct chain {
    struct record_hasher *h;
    const struct head *head;
    chain_fn *fn;
    void *arg;
    const char *file;
    uint64_t line;
    bool any;        /* a record was seen: last_* are set */
    uint64_t unread; /* malformed lines since */
    char first_prev[RECORD_HASH_SIZE];
    bool first_opens_file; /* the first record is one that begins a file */
    bool last_was_stop;
    struct gap gaps[GAPS_MAX];
    size_t gaps_count;
    uint64_t pruned_to;
    char pruned_hash[RECORD_HASH_SIZE];
    struct chain_result result;
};

const char *chain_kind_name(enum chain_kind k)
{
    switch (k) {
    case CHAIN_MALFORMED:
        return "malformed";
    case CHAIN_CHANGED:
        return "changed";
    case CHAIN_LINK:
        return "unlinked";
    case CHAIN_LOST:
        return "lost";
    case CHAIN_REORDERED:
        return "reordered";
    case CHAIN_DUPLICATE:
        return "duplicated";
    case CHAIN_TORN:
        return "torn";
    case CHAIN_CUT:
        return "cut";
    case CHAIN_HEAD:
        return "head";
    case CHAIN_BREAK:
        return "break";
    }
    return "unknown";
}

struct chain *chain_new(struct record_hasher *h, const struct head *head, chain_fn *fn, void *arg)
{
    struct chain *c = mem_new(struct chain);
    c->h = h;
    c->head = head;
    c->fn = fn;
    c->arg = arg;
    memcpy(c->result.last_hash, record_hash_none, RECORD_HASH_SIZE);
    return c;
}

struct chain *chain_free(struct chain *c)
{
    free(c);
    return NULL;
}

const struct chain_result *chain_result(const struct chain *c)
{
    return &c->result;
}

static void PRINTF_LIKE(5, 6)
    say(struct chain *c, enum chain_kind kind, uint64_t line, uint64_t seq, const char *fmt, ...)
{
    struct chain_problem p = {.kind = kind, .file = c->file, .line = line, .seq = seq};
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(p.text, sizeof(p.text), fmt, ap);
    va_end(ap);
    c->result.problems++;
    if (c->fn)
        c->fn(c->arg, &p);
}

void chain_file(struct chain *c, const char *name)
{
    c->file = name;
    c->line = 0;
    c->result.files++;
}

/* ---- sequence ---- */

static void say_lost(struct chain *c, uint64_t from, uint64_t to)
{
    if (c->gaps_count < GAPS_MAX)
        c->gaps[c->gaps_count++] = (struct gap){from, to};
    if (from == to)
        say(c, CHAIN_LOST, c->line, from, "record %" PRIu64 " is missing before this line", from);
    else
        say(c, CHAIN_LOST, c->line, from,
            "records %" PRIu64 " to %" PRIu64 " are missing before this line", from, to);
}

static bool in_gap(const struct chain *c, uint64_t seq)
{
    for (size_t i = 0; i < c->gaps_count; i++)
        if (seq >= c->gaps[i].from && seq <= c->gaps[i].to)
            return true;
    return false;
}

/* A record whose sequence number was passed already. */
static void say_again(struct chain *c, const struct record *r)
{
    if (in_gap(c, r->seq))
        say(c, CHAIN_REORDERED, c->line, r->seq,
            "record %" PRIu64 " stands out of order, behind record %" PRIu64, r->seq,
            c->result.last_seq);
    else
        say(c, CHAIN_DUPLICATE, c->line, r->seq,
            "record %" PRIu64 " is there again, behind record %" PRIu64, r->seq,
            c->result.last_seq);
}

static void first_record(struct chain *c, const struct record *r)
{
    c->result.first_seq = r->seq;
    memcpy(c->first_prev, r->prev, RECORD_HASH_SIZE);
    c->first_opens_file = r->seq == 1 ||
                          record_field_is(r->members, r->members_len, "event", "rotate") ||
                          record_field_is(r->members, r->members_len, "event", "chain-break");
    if (c->unread > 0)
        return;
    if (r->seq == 1 && strcmp(r->prev, record_hash_none) != 0)
        say(c, CHAIN_LINK, c->line, r->seq, "record 1 says that another record came before it");
    if (!c->first_opens_file)
        say(c, CHAIN_LOST, c->line, r->seq,
            "the file begins with record %" PRIu64 ", which does not begin a file: what came "
            "before it was removed",
            r->seq);
}

/* Whether `r` goes on from the last record; says what is wrong. */
static bool next_record(struct chain *c, const struct record *r)
{
    uint64_t expected = c->result.last_seq + 1;
    if (r->seq < expected) {
        say_again(c, r);
        return false;
    }
    if (r->seq > expected + c->unread)
        say_lost(c, expected + c->unread, r->seq - 1);
    else if (r->seq == expected && strcmp(r->prev, c->result.last_hash) != 0)
        say(c, CHAIN_LINK, c->line, r->seq,
            "record %" PRIu64 " was not written after record %" PRIu64 " as it stands there: one "
            "of them was replaced",
            r->seq, c->result.last_seq);
    return true;
}

/* ---- what records say ---- */

static void note_event(struct chain *c, const struct record *r)
{
    const char *m = r->members;
    size_t n = r->members_len;
    char event[32];
    if (!record_field_copy(m, n, "event", event, sizeof(event)))
        return;
    if (str_eq(event, "repair")) {
        c->result.repairs++;
    } else if (str_eq(event, "start")) {
        const char *v;
        size_t len;
        c->result.unclean += record_field(m, n, "clean", &v, &len) && len == 5;
    } else if (str_eq(event, "prune")) {
        c->pruned_to = record_field_u64(m, n, "last_seq", c->pruned_to);
        (void)record_field_copy(m, n, "last_hash", c->pruned_hash, sizeof(c->pruned_hash));
    } else if (str_eq(event, "chain-break")) {
        const char *words = "";
        size_t len = 0;
        (void)record_field(m, n, "words", &words, &len);
        say(c, CHAIN_BREAK, c->line, r->seq, "the warden recorded a break: %.*s",
            (int)(len < 400 ? len : 400), words);
    }
}

static void check_head(struct chain *c, const struct record *r)
{
    if (!c->head || r->seq != c->head->seq)
        return;
    if (strcmp(r->hash, c->head->hash) == 0)
        c->result.head_checked = true;
    else
        say(c, CHAIN_HEAD, c->line, r->seq,
            "record %" PRIu64 " is not the one that the head file knows: it was replaced", r->seq);
}

/* ---- lines ---- */

static void say_malformed(struct chain *c, const char *line, size_t len)
{
    c->unread++;
    bool zeros = line && len > 0 && line[0] == '\0' && memcmp(line, line + 1, len - 1) == 0;
    say(c, CHAIN_MALFORMED, c->line, 0,
        zeros ? "%zu zero bytes instead of a record" : "a line of %zu bytes that is not a record",
        len);
}

bool chain_line(struct chain *c, const char *line, size_t len, struct record *ret)
{
    c->line++;
    if (!line || record_split(line, len, ret) < 0) {
        say_malformed(c, line, len);
        return false;
    }
    c->result.records++;
    if (record_intact(c->h, line, ret))
        c->result.intact++;
    else
        say(c, CHAIN_CHANGED, c->line, ret->seq,
            "record %" PRIu64 " was changed: its bytes do not give its hash%s", ret->seq,
            record_hasher_keyed(c->h) ? " (or it was written without this key)"
                                      : " (or it was written with a key)");
    if (!c->any)
        first_record(c, ret);
    bool follows = !c->any || next_record(c, ret);
    check_head(c, ret);
    note_event(c, ret);
    if (follows) {
        c->any = true;
        c->unread = 0;
        c->result.last_seq = ret->seq;
        memcpy(c->result.last_hash, ret->hash, RECORD_HASH_SIZE);
    }
    return true;
}

void chain_before(struct chain *c, const char *line, size_t len)
{
    struct record r;
    if (record_split(line, len, &r) < 0) {
        say(c, CHAIN_MALFORMED, 0, 0, "the file before this one does not end with a record");
        return;
    }
    c->any = c->first_opens_file = true;
    c->result.intact += record_intact(c->h, line, &r);
    c->result.first_seq = c->result.last_seq = r.seq;
    memcpy(c->first_prev, r.prev, RECORD_HASH_SIZE);
    memcpy(c->result.last_hash, r.hash, RECORD_HASH_SIZE);
    check_head(c, &r);
}

void chain_torn(struct chain *c, size_t len)
{
    say(c, CHAIN_TORN, c->line + 1, 0,
        "the last line has no end (%zu bytes): a crash, or it was cut", len);
}

/* ---- the end ---- */

static void end_head(struct chain *c)
{
    const struct head *h = c->head;
    uint64_t last = c->result.last_seq;
    if (!h || h->seq == 0 || c->result.head_checked)
        return;
    if (h->seq > last)
        say(c, CHAIN_CUT, 0, last + 1,
            "the log ends with record %" PRIu64 ", the head file knows record %" PRIu64 ": %" PRIu64
            " were cut off its end",
            last, h->seq, h->seq - last);
    else if (h->seq + 1 == c->result.first_seq && strcmp(h->hash, c->first_prev) == 0)
        c->result.head_checked = true;
}

static void end_pruned(struct chain *c)
{
    uint64_t first = c->result.first_seq;
    bool fits = c->pruned_to + 1 == first && strcmp(c->pruned_hash, c->first_prev) == 0;
    if (fits ||
        c->pruned_to >= first) /* the latter: a file that was to be deleted is still there */
        c->result.pruned_before = first;
    else if (c->first_opens_file)
        say(c, CHAIN_LOST, 0, 1,
            "records 1 to %" PRIu64 " are missing, and no record says that they were pruned",
            first - 1);
}

void chain_end(struct chain *c, bool whole)
{
    end_head(c);
    if (whole && c->any && c->result.first_seq > 1)
        end_pruned(c);
}
