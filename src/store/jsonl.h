/* SPDX-License-Identifier: MIT */
/* The audit log: append-only lines of JSON, chained by hash (docs/audit.md). Implements `audit_log`
 * of core/ports.h. A record that cannot be written is refused with words and the next one tries
 * again; the warden goes on. All calls on the loop thread; fdatasync is on another one. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "core/ports.h"

struct uv_loop_s;
struct jsonl;

enum jsonl_sync {
    JSONL_SYNC_WRITE,  /* done() after write(2); on the disk within a second: SIGKILL loses nothing
                        */
    JSONL_SYNC_ALWAYS, /* done() after fdatasync(2), many records by one */
};

struct jsonl_config { /* strings are copied */
    const char *path;
    const char *head_path; /* beside the state, not beside the log; NULL: none */
    const char *key_path;  /* NULL: plain SHA-256 */
    enum jsonl_sync sync;
    uint64_t rotate_size; /* bytes; 0: never */
    uint64_t rotate_age;  /* ns; 0: never */
    unsigned keep_count;  /* rotated files; 0: all */
    uint64_t keep_age;    /* ns; 0: for ever */
    mode_t mode;
    struct clock_port *clock; /* borrowed; NULL: the machine's */
    int (*fdatasync)(int fd); /* NULL: fdatasync(2); for tests */
    uint64_t check_every;     /* ns between looks whether the file is still ours */
};
/* Defaults: write mode, 100 MiB, no age, all kept, mode 0600, a look each second. `path` stays
 * NULL. */
void jsonl_config_default(struct jsonl_config *c);

/* Opens, locks, follows the chain, repairs a torn end, writes what it found and a "start" record,
 * and for each decision without an end an "end" record with decision "interrupted". Blocks: before
 * the loop runs. -EBUSY: another warden has this log. -EKEYREJECTED: not one record fits the key.
 */
int jsonl_open(const struct jsonl_config *c, struct uv_loop_s *loop, struct jsonl **ret,
               struct err *err) MUST_CHECK;
struct audit_log *jsonl_log(struct jsonl *j);

/* `fn` gets each line as it was written, without its newline, right after the write. It must not
 * append. One listener. */
void jsonl_listen(struct jsonl *j,
                  void (*fn)(void *arg, uint64_t seq, const char *line, size_t len), void *arg);

/* Rotates now. */
int jsonl_rotate(struct jsonl *j, struct err *err) MUST_CHECK;
uint64_t jsonl_seq(const struct jsonl *j); /* of the last record */
struct jsonl_stats {
    uint64_t seq;      /* of the last record */
    uint64_t durable;  /* of the last that a power loss would leave */
    uint64_t bytes;    /* written since the start */
    uint64_t size;     /* of the active file */
    uint64_t failures; /* of syncs */
};
struct jsonl_stats jsonl_stats(const struct jsonl *j);
/* 0, or why the next record would probably be refused. */
int jsonl_health(const struct jsonl *j, struct err *ret_why);

/* Writes the "stop" record, syncs, writes the head file, answers who waits, and frees; the loop
 * must run once more for its handle. Blocks for the last fdatasync. NULL is fine. */
void jsonl_close(struct jsonl *j);
