/* SPDX-License-Identifier: MIT */
/* The database file: opened with our settings, brought to our schema, moved aside when it is no
 * use. Failures of SQLite become errnos: -EBADMSG damaged or no database, -EAGAIN locked by
 * somebody, -ENOSPC full, -EROFS, -EPROTO made by a newer version, -EINVAL the value does not fit
 * the table, -ETIME a query took too long, else -EIO. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct sqlite3;
struct sqlite3_stmt;

int db_open(const char *path, struct sqlite3 **ret, struct err *err) MUST_CHECK;
/* For reading only; the file must be there. */
int db_open_reader(const char *path, struct sqlite3 **ret, struct err *err) MUST_CHECK;
void db_close(struct sqlite3 *db); /* NULL is fine */

/* The words of the last failure of `db`, behind `what`. Never returns 0. */
int db_error(struct sqlite3 *db, const char *what, struct err *err);
int db_exec(struct sqlite3 *db, const char *sql, struct err *err) MUST_CHECK;
int db_prepare(struct sqlite3 *db, const char *sql, struct sqlite3_stmt **ret,
               struct err *err) MUST_CHECK;
void db_rollback(struct sqlite3 *db); /* when a transaction is open */
/* Runs a statement without rows, and resets it. */
int db_run(struct sqlite3_stmt *s, struct err *err) MUST_CHECK;
/* Runs one that returns a number for the row that it wrote: 1, or 0 when it wrote none. */
int db_run_returning(struct sqlite3_stmt *s, int64_t *ret, struct err *err) MUST_CHECK;

/* Names the file and its companions PATH.<why>-<time>. 0 when there is none. */
int db_aside(const char *path, const char *why, uint64_t realtime, struct err *err) MUST_CHECK;
