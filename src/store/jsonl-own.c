/* SPDX-License-Identifier: MIT */
/* What the audit log says about itself: start, stop, repair, breaks, rotation, pruning, commands
 * that a dead warden left without an end. */
#include "store/jsonl-own.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/logset.h"
#include "store/rotate.h"

#define ROTATE_RETRY (60 * CLOCK_NS_PER_SEC)
#define LINE_EXTRA 300 /* what a record has besides its members */

void jsonl_own_begin(struct json_writer *w, const char *event, uint64_t realtime)
{
    char time[32];
    json_field_string(w, "time", clock_format(realtime, time));
    json_field_string(w, "event", event);
}

/* ---- start and stop ---- */

static void owe_repair(struct jsonl *j, const struct recovery *rec)
{
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    jsonl_own_begin(&w, "repair", jsonl_now(j));
    json_field_uint(&w, "bytes", rec->torn);
    json_field_string(&w, "kept", str_basename(rec->torn_path));
    jsonl_owe(j, &m, false);
    log_warn(NULL, "audit: '%s' had a torn end of %" PRIu64 " bytes, kept in '%s'", j->c.path,
             rec->torn, rec->torn_path);
}

static void owe_start(struct jsonl *j, const struct recovery *rec)
{
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    jsonl_own_begin(&w, "start", jsonl_now(j));
    json_field_bool(&w, "clean", rec->clean);
    json_field_string(&w, "head", rec->head);
    json_field_bool(&w, "keyed", record_hasher_keyed(j->h));
    json_field_string(&w, "sync", j->c.sync == JSONL_SYNC_ALWAYS ? "always" : "write");
    json_field_uint(&w, "pid", (uint64_t)getpid());
    json_field_string(&w, "version", CLAWRDEN_VERSION);
    jsonl_owe(j, &m, false);
}

static void owe_interrupted(void *arg, const char *id, const char *command)
{
    struct jsonl *j = arg;
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    char time[32];
    json_field_string(&w, "time", clock_format(jsonl_now(j), time));
    json_field_string(&w, "id", id);
    json_field_string(&w, "event", "end");
    json_key(&w, "command");
    json_put_raw(&w, command, strlen(command));
    json_field_string(&w, "decision", "interrupted");
    json_field_string(&w, "error",
                      "the warden stopped before the end of this command was recorded");
    jsonl_owe(j, &m, false);
}

void jsonl_own_start(struct jsonl *j, const struct recovery *rec)
{
    /* First: it opens a file that has lost its beginning. */
    if (rec->breaks > 0) {
        log_error(NULL, "audit: the chain of '%s' is broken (%" PRIu64 " problem(s)): %s",
                  j->c.path, rec->breaks, rec->break_text);
        jsonl_own_break(j, rec->fresh, "found at the start: %" PRIu64 " problem(s), the first: %s",
                        rec->breaks, rec->break_text);
    }
    if (rec->torn > 0)
        owe_repair(j, rec);
    if (str_eq(rec->head, "missing") && !rec->fresh)
        log_warn(NULL,
                 "audit: there is no head file '%s': whether the end of the log was cut off "
                 "cannot be told",
                 j->c.head_path);
    owe_start(j, rec);
    if (inflight_count(j->open) > 0)
        log_warn(NULL,
                 "audit: %zu commands have no end on record; they are recorded as interrupted",
                 inflight_count(j->open));
    inflight_each(j->open, owe_interrupted, j);
}

void jsonl_own_stop(struct jsonl *j)
{
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    struct err err = {0};
    jsonl_own_begin(&w, "stop", jsonl_now(j));
    if (jsonl_pay(j, &err) < 0 || jsonl_write(j, m.data, m.len, &err) < 0)
        log_error(NULL, "audit: no stop record: %s", err.text);
}

void jsonl_own_break(struct jsonl *j, bool whole_file, const char *fmt, ...)
{
    char words[1024];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
    struct json_writer w = JSON_WRITER(&m);
    jsonl_own_begin(&w, "chain-break", jsonl_now(j));
    json_field_string(&w, "words", words);
    if (whole_file) {
        (void)buf_append_char(&m, ',');
        inflight_write(j->open, &m);
    }
    jsonl_owe(j, &m, true);
}

/* ---- rotation ---- */

static int build_rotate(struct jsonl *j, const char *rotated, struct buf *members, struct buf *line,
                        char ret_hash[RECORD_HASH_SIZE])
{
    struct json_writer w = JSON_WRITER(members);
    jsonl_own_begin(&w, "rotate", jsonl_now(j));
    json_field_string(&w, "from", str_basename(rotated));
    json_field_uint(&w, "from_first_seq", j->first_seq);
    (void)buf_append_char(members, ',');
    inflight_write(j->open, members);
    if (members->failed)
        return members->failed;
    return record_build(line, j->h, j->seq + 1, j->hash, members->data, members->len, ret_hash);
}

static void switch_to(struct jsonl *j, int fd, const struct buf *line, const char *hash)
{
    syncer_switch(j->syncer, fd);
    j->fd = fd;
    j->size = (off_t)line->len;
    j->seq++;
    memcpy(j->hash, hash, RECORD_HASH_SIZE);
    j->first_seq = j->seq;
    j->born = jsonl_now(j);
    syncer_want(j->syncer, j->seq, j->hash, j->size);
    if (j->line_fn)
        j->line_fn(j->line_arg, j->seq, line->data, line->len - 1);
}

static void prune(struct jsonl *j)
{
    struct err err = {0};
    struct rotate_pruning p = {0};
    if (j->c.keep_count == 0 && j->c.keep_age == 0)
        return;
    int r = rotate_choose(j->c.path, j->c.keep_count, j->c.keep_age, jsonl_now(j), &p, &err);
    if (r == 0 && p.count > 0) {
        _cleanup_buf_ struct buf m = BUF_INIT(OWN_MAX);
        struct json_writer w = JSON_WRITER(&m);
        jsonl_own_begin(&w, "prune", jsonl_now(j));
        json_field_uint(&w, "first_seq", p.first_seq);
        json_field_uint(&w, "last_seq", p.last_seq);
        json_field_string(&w, "last_hash", p.last_hash);
        json_key(&w, "files");
        json_array_begin(&w);
        for (size_t i = 0; i < p.count; i++)
            json_put_string(&w, str_basename(p.paths[i]));
        json_array_end(&w);
        r = m.failed ? m.failed : jsonl_write(j, m.data, m.len, &err);
        for (size_t i = 0; r == 0 && i < p.count; i++)
            syncer_unlink(j->syncer, p.paths[i]);
    }
    if (r < 0)
        log_warn(NULL, "audit: old files are kept for now: %s", err.text);
    rotate_pruning_done(&p);
}

int jsonl_rotate(struct jsonl *j, struct err *err)
{
    if (j->first_seq == 0)
        return 0; /* an empty file */
    if (j->torn || j->newline_owed)
        return err_set(err, -EAGAIN, "'%s' ends in the middle of a line", j->c.path);
    _cleanup_free_ char *rotated = logset_name(j->c.path, jsonl_now(j), j->first_seq);
    _cleanup_buf_ struct buf members = BUF_INIT(OWN_MAX), line = BUF_INIT(OWN_MAX);
    char hash[RECORD_HASH_SIZE];
    int fd = -1, r = build_rotate(j, rotated, &members, &line, hash);
    if (r < 0)
        return err_errno(err, r, "cannot rotate '%s'", j->c.path);
    r = rotate_files(j->c.path, rotated, j->c.mode, line.data, line.len, &fd, err);
    if (r < 0)
        return err_prefix(err, r, "rotate '%s'", j->c.path);
    switch_to(j, fd, &line, hash);
    r = jsonl_guard_init(j, err);
    prune(j);
    return r;
}

void jsonl_rotate_if_due(struct jsonl *j, size_t len)
{
    if (j->first_seq == 0 || j->seq == j->first_seq)
        return;
    bool size = j->c.rotate_size > 0 && (uint64_t)j->size + len + LINE_EXTRA > j->c.rotate_size;
    bool age = j->c.rotate_age > 0 && jsonl_now(j) > j->born + j->c.rotate_age;
    if ((!size && !age) || clock_monotonic() < j->rotate_after)
        return;
    struct err err = {0};
    if (jsonl_rotate(j, &err) == 0)
        return;
    j->rotate_after = clock_monotonic() + ROTATE_RETRY;
    log_warn(NULL, "audit: %s; the log goes on in the same file", err.text);
}
