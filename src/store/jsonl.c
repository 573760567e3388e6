/* SPDX-License-Identifier: MIT */
/* Appending. What the log itself has to say (start, repair, breaks, interrupted commands) is owed
 * until it could be written, and goes before any other record. */
#include "store/jsonl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "store/inflight.h"
#include "store/jsonl-own.h"
#include "store/recover.h"
#include "store/rotate.h"

#define LINE_KEEP (1u << 20) /* memory of a longer line is given back */

struct waiter { /* for fdatasync */
    struct list link;
    uint64_t seq;
    void (*done)(void *arg, int result);
    void *arg;
};

void jsonl_config_default(struct jsonl_config *c)
{
    *c = (struct jsonl_config){
        .rotate_size = 100u << 20, .mode = 0600, .check_every = CLOCK_NS_PER_SEC};
}

uint64_t jsonl_now(const struct jsonl *j)
{
    return j->c.clock ? j->c.clock->realtime(j->c.clock) : clock_realtime();
}

/* ---- one line ---- */

/* Takes a half-written line off again. */
static int mend(struct jsonl *j)
{
    if (!j->torn)
        return 0;
    if (ftruncate(j->fd, j->size) < 0)
        return -errno;
    j->torn = false;
    return 0;
}

/* One write(2): all of it or nothing. */
static int put(struct jsonl *j, const char *p, size_t n)
{
    int r = mend(j);
    if (r < 0)
        return r;
    ssize_t k;
    do
        k = write(j->fd, p, n);
    while (k < 0 && errno == EINTR);
    if (k == (ssize_t)n) {
        j->size += (off_t)n;
        j->bytes += n;
        return 0;
    }
    r = k < 0 ? -errno
              : -ENOSPC; /* a regular file takes less only when there is no room for more */
    if (k > 0) {
        j->torn = true;
        (void)mend(j);
    }
    return r;
}

/* Somebody else's bytes stand before us without a newline. */
static int begin_line(struct jsonl *j)
{
    int r = j->newline_owed ? put(j, "\n", 1) : 0;
    if (r == 0)
        j->newline_owed = false;
    return r;
}

static void wrote(struct jsonl *j, const char *members, size_t len, const char *hash)
{
    j->seq++;
    memcpy(j->hash, hash, RECORD_HASH_SIZE);
    if (j->first_seq == 0) {
        j->first_seq = j->seq;
        j->born = jsonl_now(j);
    }
    inflight_note(j->open, members, len);
    if (j->failing)
        log_info(NULL, "audit: records can be written to '%s' again", j->c.path);
    j->failing = 0;
    syncer_want(j->syncer, j->seq, j->hash, j->size);
    if (j->line_fn)
        j->line_fn(j->line_arg, j->seq, j->line.data, j->line.len - 1);
}

/* Said once, until a record can be written again. */
static void fail(struct jsonl *j, int r, const char *words)
{
    if (!j->failing)
        log_error(NULL, "audit: %s; commands are refused until it succeeds", words);
    j->failing = r;
}

static int refuse(struct jsonl *j, int r, struct err *err)
{
    struct err words = {0};
    (void)err_errno(&words, r, "cannot write the audit record to '%s'", j->c.path);
    fail(j, r, words.text);
    return err_set(err, r, "%s", words.text);
}

int jsonl_write(struct jsonl *j, const char *members, size_t len, struct err *err)
{
    char hash[RECORD_HASH_SIZE];
    buf_clear(&j->line);
    int r = record_build(&j->line, j->h, j->seq + 1, j->hash, members, len, hash);
    if (r == -EINVAL)
        return err_set(err, r, "an audit record must be one line of members");
    if (r < 0)
        return err_set(err, r, "an audit record of %zu bytes is too long", len);
    r = begin_line(j);
    if (r == 0)
        r = put(j, j->line.data, j->line.len);
    if (r < 0)
        return refuse(j, r, err);
    wrote(j, members, len, hash);
    if (j->line.size > LINE_KEEP)
        buf_done(&j->line);
    return 0;
}

/* ---- what is owed ---- */

struct owed {
    struct list link;
    struct buf members;
};

static void owed_free(struct owed *o)
{
    list_remove(&o->link);
    buf_done(&o->members);
    free(o);
}

void jsonl_owe(struct jsonl *j, struct buf *members, bool first)
{
    struct owed *o = mem_new(struct owed);
    o->members = *members;
    *members = BUF_INIT(members->limit);
    list_append(first ? j->owed.next : &j->owed, &o->link);
}

int jsonl_pay(struct jsonl *j, struct err *err)
{
    list_foreach(it, &j->owed)
    {
        struct owed *o = list_item(it, struct owed, link);
        int r = jsonl_write(j, o->members.data, o->members.len, err);
        if (r < 0)
            return r;
        owed_free(o);
    }
    return 0;
}

/* ---- the port ---- */

static int check_sync(struct jsonl *j, struct err *err)
{
    int r = syncer_error(j->syncer);
    if (r == 0)
        return 0;
    return err_errno(err, r,
                     "the audit log '%s' could not be synced to the disk (it is tried again each "
                     "second)",
                     j->c.path);
}

static int append(struct audit_log *l, const char *members, size_t len,
                  void (*done)(void *arg, int result), void *arg, struct err *err)
{
    struct jsonl *j = container_of(l, struct jsonl, port);
    struct err words = {0};
    int r = check_sync(j, err);
    if (r == 0 && (r = jsonl_guard_check(j, &words)) < 0) {
        fail(j, r, words.text);
        (void)err_set(err, r, "%s", words.text);
    }
    if (r == 0) {
        jsonl_rotate_if_due(j, len);
        r = jsonl_pay(j, err);
    }
    if (r == 0)
        r = jsonl_write(j, members, len, err);
    if (r < 0 || !done)
        return r;
    if (j->c.sync == JSONL_SYNC_WRITE) {
        done(arg, 0);
        return 0;
    }
    struct waiter *w = mem_new(struct waiter);
    *w = (struct waiter){.seq = j->seq, .done = done, .arg = arg};
    if (list_empty(&j->waiters))
        uv_ref((uv_handle_t *)&j->async);
    list_append(&j->waiters, &w->link);
    return 0;
}

/* Answers whose record is safe now, or could not be made safe. Answers may append. */
static void answer(struct jsonl *j, uint64_t up_to, int result)
{
    while (!list_empty(&j->waiters)) {
        struct waiter *w = list_item(j->waiters.next, struct waiter, link);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
        if (w->seq > up_to)
            return;
        list_remove(&w->link);
        w->done(w->arg, result);
        free(w);
    }
    uv_unref((uv_handle_t *)&j->async);
}

static void owe_sync_failure(struct jsonl *j, const struct syncer_state *st)
{
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    jsonl_own_begin(&w, "sync-failed", jsonl_now(j));
    json_field_uint(&w, "up_to_seq", st->failed);
    json_field_uint(&w, "times", st->failures - j->sync_failures);
    jsonl_owe(j, &m, false);
}

static void synced(uv_async_t *a)
{
    struct jsonl *j = a->data;
    struct syncer_state st = syncer_state(j->syncer);
    if (st.failures != j->sync_failures && !st.error) {
        owe_sync_failure(j, &st);
        j->sync_failures = st.failures;
    }
    answer(j, st.durable, 0);
    if (st.error)
        answer(j, st.failed, st.error);
}

static void wake(void *arg)
{
    (void)uv_async_send(&((struct jsonl *)arg)->async);
}

struct audit_log *jsonl_log(struct jsonl *j)
{
    return &j->port;
}

void jsonl_listen(struct jsonl *j,
                  void (*fn)(void *arg, uint64_t seq, const char *line, size_t len), void *arg)
{
    j->line_fn = fn;
    j->line_arg = arg;
}

uint64_t jsonl_seq(const struct jsonl *j)
{
    return j->seq;
}

struct jsonl_stats jsonl_stats(const struct jsonl *j)
{
    struct syncer_state s = syncer_state(j->syncer);
    return (struct jsonl_stats){.seq = j->seq,
                                .durable = s.durable,
                                .bytes = j->bytes,
                                .size = (uint64_t)j->size,
                                .failures = s.failures};
}

int jsonl_health(const struct jsonl *j, struct err *ret_why)
{
    int r = syncer_error(j->syncer);
    if (r == 0)
        r = j->failing;
    return r ? err_errno(ret_why, r, "the audit log '%s' cannot be written", j->c.path) : 0;
}

/* ---- life ---- */

static void copy_config(struct jsonl *j, const struct jsonl_config *c)
{
    j->c = *c;
    j->c.path = mem_strdup(c->path);
    j->c.head_path = mem_strdup(c->head_path);
    j->c.key_path = mem_strdup(c->key_path);
}

static void free_all(struct jsonl *j)
{
    list_foreach(it, &j->owed) owed_free(list_item(it, struct owed, link));
    syncer_free(j->syncer);
    record_hasher_free(j->h);
    inflight_free(j->open);
    buf_done(&j->line);
    if (j->fd >= 0)
        (void)close(j->fd);
    if (j->lock_fd >= 0)
        (void)close(j->lock_fd);
    free((char *)j->c.path);
    free((char *)j->c.head_path);
    free((char *)j->c.key_path);
    free(j);
}

static int recover(struct jsonl *j, struct err *err)
{
    _cleanup_free_ char *dir = path_dirname(j->c.path);
    struct recovery rec = {.fd = -1, .lock_fd = -1};
    int r = path_mkdirs(dir, 0750, err);
    if (r == 0)
        r = record_hasher_load(j->c.key_path, &j->h, err);
    if (r == 0)
        r = recover_log(j->c.path, j->c.head_path, j->h, j->c.mode, jsonl_now(j), &rec, err);
    if (r < 0)
        return r;
    j->fd = TAKE_FD(rec.fd);
    j->lock_fd = TAKE_FD(rec.lock_fd);
    j->size = rec.size;
    j->seq = rec.seq;
    memcpy(j->hash, rec.hash, sizeof(j->hash));
    j->first_seq = rec.first_seq;
    j->born = rec.born;
    j->open = TAKE_PTR(rec.open);
    jsonl_own_start(j, &rec);
    recover_done(&rec);
    return 0;
}

static void start_syncer(struct jsonl *j)
{
    struct syncer_config sc = {.path = j->c.path,
                               .head_path = j->c.head_path,
                               .at_once = j->c.sync == JSONL_SYNC_ALWAYS,
                               .fdatasync = j->c.fdatasync,
                               .wake = wake,
                               .arg = j};
    j->syncer = syncer_new(&sc, j->h, j->fd, j->size);
}

int jsonl_open(const struct jsonl_config *c, struct uv_loop_s *loop, struct jsonl **ret,
               struct err *err)
{
    struct jsonl *j = mem_new(struct jsonl);
    j->port.append = append;
    j->fd = j->lock_fd = -1;
    list_init(&j->owed);
    list_init(&j->waiters);
    buf_init(&j->line, RECORD_LINE_MAX);
    copy_config(j, c);
    int r = recover(j, err);
    if (r == 0)
        r = jsonl_guard_init(j, err);
    if (r == 0 && (r = uv_async_init(loop, &j->async, synced)) < 0)
        (void)err_errno(err, r, "cannot watch the audit log");
    if (r < 0) {
        free_all(j);
        return r;
    }
    j->async.data = j;
    uv_unref((uv_handle_t *)&j->async);
    start_syncer(j);
    /* No room now: it is written before the first command's record, or that command is refused. */
    (void)jsonl_pay(j, NULL);
    *ret = j;
    return 0;
}

static void closed(uv_handle_t *h)
{
    free_all(h->data);
}

void jsonl_close(struct jsonl *j)
{
    if (!j)
        return;
    jsonl_own_stop(j);
    int r = syncer_stop(j->syncer);
    struct syncer_state st = syncer_state(j->syncer);
    answer(j, st.durable, 0);
    answer(j, UINT64_MAX, r ? r : -ECANCELED);
    uv_close((uv_handle_t *)&j->async, closed);
}
