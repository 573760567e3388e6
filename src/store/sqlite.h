/* SPDX-License-Identifier: MIT */
/* The index: past requests for pages and search, and the queue across restarts, in SQLite. Made
 * from the audit log, which stays the truth: whatever goes wrong here costs no command, and what is
 * lost here is read from the log again. Two threads, one that writes and one that reads; all
 * functions are for the loop thread and none blocks but sqlite_open() and sqlite_close(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/ports.h"
#include "store/pages.h"

struct uv_loop_s;
struct sqlite;

struct sqlite_config {    /* strings are copied */
    const char *path;     /* of the database */
    const char *log_path; /* of the active audit log */
    size_t jobs_max;      /* waiting for the writer; 0: 4096 */
    size_t bytes_max;     /* of them; 0: 32 MiB */
    size_t questions_max; /* waiting for the reader; 0: 64 */
    uint64_t keep;        /* ns: requests decided longer ago are removed; 0: never */
};

/* Fails only for want of a loop handle or a thread. A database that cannot be used is logged, moved
 * aside when it is damaged, and tried again later. Call after jsonl_open(): what the log has and
 * the index has not is read then. */
int sqlite_open(const struct sqlite_config *c, struct uv_loop_s *loop, struct sqlite **ret,
                struct err *err) MUST_CHECK;
/* Stops the threads, drops unanswered questions (their callbacks get -ECANCELED), and frees; the
 * loop must run once more for its handle. NULL is fine. */
void sqlite_close(struct sqlite *s);

struct index *sqlite_index(struct sqlite *s);
/* What waited when the warden last stopped, as it was at sqlite_open(). Owned by the caller:
 * queue_rows_free(). */
void sqlite_take_rows(struct sqlite *s, struct queue_row **ret, size_t *ret_count);

/* For jsonl_listen(); `arg` is the struct sqlite. */
void sqlite_line(void *arg, uint64_t seq, const char *line, size_t len);
/* Forgets all requests and reads them from the log again, in the background. */
void sqlite_rebuild(struct sqlite *s);

/* `err` 0: `json` is an array of objects that begin with "id", newest first; `next` the cursor of
 * the page behind, or NULL. Else a negative errno, and `json` has words. Borrowed for the call. */
typedef void sqlite_history_fn(void *arg, int err, const char *json, size_t len, const char *next);
/* Asks; `fn` is called later, once. -EINVAL: the query is wrong; -EAGAIN: too many are waiting. */
int sqlite_history(struct sqlite *s, const struct history_query *q, sqlite_history_fn *fn,
                   void *arg, struct err *err) MUST_CHECK;
/* Questions of `arg` are not answered any more. */
void sqlite_forget(struct sqlite *s, void *arg);

struct sqlite_stats {
    uint64_t last_seq; /* of the log, in the index */
    uint64_t errors;   /* failed transactions and opens */
    uint64_t dropped;  /* changes of the queue that found no room */
    uint64_t rebuilt;  /* times that the database was made anew */
    bool working;      /* the last transaction succeeded */
    bool behind;       /* lines of the log are waiting to be read again */
};
struct sqlite_stats sqlite_stats(struct sqlite *s);
