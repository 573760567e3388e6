/* SPDX-License-Identifier: MIT */
/* Lines of the audit log into rows of the index. A line that says nothing about a request only
 * moves the mark of what was indexed. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/record.h"

struct sqlite3;
struct ingest;

/* Statements on `db`, borrowed; reads the mark. */
int ingest_new(struct sqlite3 *db, struct ingest **ret, struct err *err) MUST_CHECK;
struct ingest *ingest_free(struct ingest *g); /* before the database is closed */
CLEANUP_DEFINE(struct ingest, ingest_free)

/* One line without its newline, inside a transaction of the caller. Lines that are no records are
 * passed over. */
int ingest_line(struct ingest *g, const char *line, size_t len, struct err *err) MUST_CHECK;
/* Writes words and mark: last of all in the transaction. */
int ingest_mark(struct ingest *g, struct err *err) MUST_CHECK;
/* After a rollback: the mark is again what the database has. */
int ingest_reload(struct ingest *g, struct err *err) MUST_CHECK;
/* Removes up to `max` of the oldest requests decided before `time` (realtime ns). Returns how many;
 * a transaction of the caller. */
int ingest_prune(struct ingest *g, uint64_t time, unsigned max, struct err *err) MUST_CHECK;
/* Forgets all requests and the mark; the queue stays. */
int ingest_clear(struct ingest *g, struct err *err) MUST_CHECK;

uint64_t ingest_last_seq(const struct ingest *g);
const char *ingest_last_hash(const struct ingest *g); /* "" when there is no mark */
