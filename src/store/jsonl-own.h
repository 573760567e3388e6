/* SPDX-License-Identifier: MIT */
/* Inside of the audit log, for jsonl*.c only: its state, and the records that it writes about
 * itself. */
#pragma once

#include <uv.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/list.h"
#include "store/inflight.h"
#include "store/jsonl.h"
#include "store/record.h"
#include "store/recover.h"
#include "store/syncer.h"

#define OWN_MAX RECORD_LINE_MAX

struct jsonl {
    struct audit_log port;
    struct jsonl_config c; /* its strings are owned */
    struct record_hasher *h;
    struct syncer *syncer;
    uv_async_t async;
    int fd, lock_fd;
    dev_t dev; /* of fd */
    ino_t ino;
    off_t size;     /* behind the last whole line */
    uint64_t bytes; /* written since the start, in all files */
    uint64_t seq;
    char hash[RECORD_HASH_SIZE];
    uint64_t first_seq; /* of this file; 0: no record yet */
    uint64_t born;      /* when this file began, realtime */
    struct inflight *open;
    bool torn;              /* part of a line stands behind `size` and could not be taken off */
    bool newline_owed;      /* foreign bytes without a newline stand before `size` */
    int failing;            /* errno of the last write when it failed */
    uint64_t sync_failures; /* as last heard from the syncer */
    uint64_t checked_at, rotate_after; /* monotonic */
    struct list owed;                  /* of struct owed */
    struct list waiters;               /* of struct waiter, by seq */
    struct buf line;
    void (*line_fn)(void *arg, uint64_t seq, const char *line, size_t len);
    void *line_arg;
};

uint64_t jsonl_now(const struct jsonl *j);
/* Builds and writes one record, nothing else. */
int jsonl_write(struct jsonl *j, const char *members, size_t len, struct err *err);
/* Takes the content of `members`; `first`: before all that is owed already. */
void jsonl_owe(struct jsonl *j, struct buf *members, bool first);
int jsonl_pay(struct jsonl *j, struct err *err);
void jsonl_rotate_if_due(struct jsonl *j, size_t len);

/* `"time":...,"event":"..."` */
void jsonl_own_begin(struct json_writer *w, const char *event, uint64_t realtime);
void jsonl_own_start(struct jsonl *j, const struct recovery *rec);
void jsonl_own_stop(struct jsonl *j);
/* With `whole_file`, the record begins a file and carries over what is open. */
void jsonl_own_break(struct jsonl *j, bool whole_file, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Whether the file is still the one that PATH names and as long as it was left. What was done to it
 * goes on record. Negative: there is no file to write to. */
int jsonl_guard_init(struct jsonl *j, struct err *err);
int jsonl_guard_check(struct jsonl *j, struct err *err);
