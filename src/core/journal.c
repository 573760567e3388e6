/* SPDX-License-Identifier: MIT */
/* Between the warden and its audit log. One record that was kept is tried at a time, the oldest
 * first, so that the log gets them in the order in which things happened. */
#include "core/journal.h"

#include <errno.h>

#include "base/list.h"
#include "base/mem.h"

enum entry_kind { ENTRY_DECISION, ENTRY_FACT, ENTRY_RETRY };

/* A record under way or kept. */
struct entry {
    struct list link;  /* in `kept`, or in `flying` while the log has it for the first time */
    struct journal *j; /* NULL: the journal is gone */
    enum entry_kind kind;
    struct buf members;
    journal_fn *fn;
    void *arg;
};

struct journal {
    struct audit_log *log;
    struct list kept, flying;
    size_t kept_count;
    uint64_t lost;
    bool retrying;  /* the first of `kept` is with the log */
    bool flushing;  /* inside journal_flush() */
    struct err why; /* of the last failure */
};

struct journal *journal_new(struct audit_log *log)
{
    struct journal *j = mem_new(struct journal);
    j->log = log;
    list_init(&j->kept);
    list_init(&j->flying);
    return j;
}

static void entry_free(struct entry *e)
{
    list_remove(&e->link);
    buf_done(&e->members);
    free(e);
}

struct journal *journal_free(struct journal *j)
{
    if (!j)
        return NULL;
    struct list *first = j->kept.next;
    list_foreach(it, &j->kept)
    {
        struct entry *e = list_item(it, struct entry, link);
        if (it == first && j->retrying) { /* the log will still call back for it */
            list_remove(&e->link);
            e->j = NULL;
            continue;
        }
        entry_free(e);
    }
    list_foreach(it, &j->flying)
    {
        list_remove(it);
        list_item(it, struct entry, link)->j = NULL;
    }
    free(j);
    return NULL;
}

static struct entry *entry_new(struct journal *j, enum entry_kind kind, struct buf *members,
                               journal_fn *fn, void *arg)
{
    struct entry *e = mem_new(struct entry);
    *e = (struct entry){.link = LIST_INIT(e->link),
                        .j = j,
                        .kind = kind,
                        .members = *members,
                        .fn = fn,
                        .arg = arg};
    *members = BUF_INIT(members->limit);
    return e;
}

static void keep(struct journal *j, struct entry *e)
{
    list_remove(&e->link);
    if (j->kept_count >= JOURNAL_KEPT_MAX) {
        j->lost++;
        entry_free(e);
        return;
    }
    e->kind = ENTRY_RETRY;
    list_append(&j->kept, &e->link);
    j->kept_count++;
}

/* The log's answer for an entry. */
static void answered(void *arg, int result)
{
    struct entry *e = arg;
    struct journal *j = e->j;
    journal_fn *fn = e->fn;
    void *fn_arg = e->arg;
    if (!j) {
        entry_free(e);
        return;
    }
    if (result < 0)
        (void)err_errno(&j->why, result, "the audit log");
    if (e->kind == ENTRY_RETRY) {
        j->retrying = false;
        if (result < 0)
            return;
        j->kept_count--;
        entry_free(e);
        if (!j->flushing)
            (void)journal_flush(j, NULL);
        return;
    }
    if (e->kind == ENTRY_FACT && result < 0)
        keep(j, e);
    else
        entry_free(e);
    if (fn)
        fn(fn_arg, result);
}

/* Hands `e` to the log; negative: it is still ours. */
static int hand_over(struct journal *j, struct entry *e, struct err *err)
{
    struct err why = {0};
    int r = j->log->append(j->log, buf_str(&e->members), e->members.len, answered, e, &why);
    if (r < 0) {
        if (!why.text[0])
            (void)err_errno(&why, r, "the audit log");
        j->why = why;
        if (err)
            *err = why;
    }
    return r;
}

int journal_append(struct journal *j, struct buf *members, journal_fn *fn, void *arg,
                   struct err *err)
{
    if (members->failed)
        return err_errno(err, members->failed, "the record");
    int r = journal_flush(j, err);
    if (r < 0)
        return r;
    struct entry *e = entry_new(j, ENTRY_DECISION, members, fn, arg);
    list_append(&j->flying, &e->link);
    r = hand_over(j, e, err);
    if (r >= 0)
        return 0;
    *members = e->members;
    e->members = BUF_INIT(0);
    entry_free(e);
    return r;
}

void journal_keep(struct journal *j, struct buf *members, journal_fn *fn, void *arg)
{
    if (members->failed) { /* half a record must not reach the log */
        j->lost++;
        (void)err_errno(&j->why, members->failed, "the record");
        if (fn)
            fn(arg, members->failed);
        return;
    }
    struct entry *e = entry_new(j, ENTRY_FACT, members, fn, arg);
    int r = journal_flush(j, NULL);
    if (r == 0) {
        list_append(&j->flying, &e->link);
        r = hand_over(j, e, NULL);
    }
    if (r >= 0)
        return;
    keep(j, e);
    if (fn)
        fn(arg, r);
}

int journal_flush(struct journal *j, struct err *err)
{
    if (j->flushing)
        return journal_check(j, err);
    j->flushing = true;
    while (!list_empty(&j->kept) && !j->retrying) {
        struct entry *e = list_item(j->kept.next, struct entry, link);
        size_t before = j->kept_count;
        j->retrying = true;
        if (hand_over(j, e, NULL) < 0) {
            j->retrying = false;
            break;
        }
        if (!j->retrying && j->kept_count == before)
            break; /* refused at once */
    }
    j->flushing = false;
    return journal_check(j, err);
}

int journal_check(const struct journal *j, struct err *err)
{
    if (list_empty(&j->kept))
        return 0;
    if (err)
        *err = j->why;
    return -EIO;
}

size_t journal_kept(const struct journal *j)
{
    return j->kept_count;
}

uint64_t journal_lost(const struct journal *j)
{
    return j->lost;
}
