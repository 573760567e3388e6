/* SPDX-License-Identifier: MIT */
/* SQLite with the settings that a file somebody else may have touched needs. */
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/schema.h"
#include "store/search.h"

#define BUSY_MS 1000

static int to_errno(int code)
{
    switch (code & 0xff) { /* extended codes carry the primary one in their low byte */
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return -EBADMSG;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EAGAIN;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
        return -EROFS;
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
        return -EINVAL;
    case SQLITE_INTERRUPT:
        return -ETIME;
    default:
        return -EIO;
    }
}

int db_error(struct sqlite3 *db, const char *what, struct err *err)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    return err_set(err, to_errno(code), "%s: %s", what, db ? sqlite3_errmsg(db) : "no memory");
}

int db_exec(struct sqlite3 *db, const char *sql, struct err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db, "database", err);
}

/* Our SQL is sound: a table or a column that it names is not there, the file is not ours. A SQLite
 * without its full-text search is another matter: no new file would help. */
static int db_sql_error(struct sqlite3 *db, const char *what, struct err *err)
{
    bool not_ours =
        sqlite3_errcode(db) == SQLITE_ERROR && !strstr(sqlite3_errmsg(db), "no such module");
    int r = db_error(db, what, err);
    return not_ours ? -EBADMSG : r;
}

int db_prepare(struct sqlite3 *db, const char *sql, struct sqlite3_stmt **ret, struct err *err)
{
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) == SQLITE_OK)
        return 0;
    return db_sql_error(db, "database", err);
}

void db_rollback(struct sqlite3 *db)
{
    if (!sqlite3_get_autocommit(db))
        (void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
}

int db_run(struct sqlite3_stmt *s, struct err *err)
{
    int code = sqlite3_step(s);
    int r = code == SQLITE_DONE || code == SQLITE_ROW
                ? 0
                : db_error(sqlite3_db_handle(s), "database", err);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return r;
}

int db_run_returning(struct sqlite3_stmt *s, int64_t *ret, struct err *err)
{
    int code = sqlite3_step(s), r = code == SQLITE_ROW;
    if (r) {
        *ret = sqlite3_column_int64(s, 0);
        code = sqlite3_step(s);
    }
    if (code != SQLITE_DONE && code != SQLITE_ROW)
        r = db_error(sqlite3_db_handle(s), "database", err);
    (void)sqlite3_reset(s);
    (void)sqlite3_clear_bindings(s);
    return r;
}

/* ---- schema ---- */

static int version(struct sqlite3 *db, int *ret, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int r = db_prepare(db, "PRAGMA user_version", &s, err);
    if (r < 0)
        return r;
    if (sqlite3_step(s) == SQLITE_ROW)
        *ret = sqlite3_column_int(s, 0);
    else
        r = db_error(db, "database", err);
    (void)sqlite3_finalize(s);
    return r;
}

static int run_file(struct sqlite3 *db, const struct schema_files *f, struct err *err)
{
    const char *sql = (const char *)f->text, *end = sql + f->len;
    while (sql < end) {
        sqlite3_stmt *s = NULL;
        const char *tail = end;
        if (sqlite3_prepare_v2(db, sql, (int)(end - sql), &s, &tail) != SQLITE_OK)
            return db_sql_error(db, f->name, err);
        bool ok = !s || sqlite3_step(s) == SQLITE_DONE;
        int r = ok ? 0 : db_error(db, f->name, err);
        (void)sqlite3_finalize(s);
        if (r < 0)
            return r;
        sql = tail;
    }
    return 0;
}

static int upgrade(struct sqlite3 *db, struct err *err)
{
    int have = 0, want = 0, r = version(db, &have, err);
    while (schema_files[want].name)
        want++;
    if (r < 0 || have == want)
        return r;
    if (have > want)
        return err_set(err, -EPROTO, "made by a newer version (schema %d, this knows %d)", have,
                       want);
    char set[64];
    (void)snprintf(set, sizeof(set), "PRAGMA user_version = %d", want);
    r = db_exec(db, "BEGIN IMMEDIATE", err);
    for (int v = have; r == 0 && v < want; v++)
        r = run_file(db, &schema_files[v], err);
    if (r == 0)
        r = db_exec(db, set, err);
    if (r == 0)
        r = db_exec(db, "COMMIT", err);
    if (r < 0)
        db_rollback(db);
    return r;
}

/* ---- open ---- */

/* SQLite would make it with the umask's mode; what commands were run is nobody else's business. The
 * files beside it (-wal, -shm) get the mode of this one. */
static int make_file(const char *path, struct err *err)
{
    _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? err_errno(err, -errno, "cannot open '%s'", path) : 0;
}

static int open_with(const char *path, int flags, struct sqlite3 **ret, struct err *err)
{
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK) {
        int r = db_error(db, path, err);
        db_close(db);
        return r;
    }
    (void)sqlite3_extended_result_codes(db, 1);
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    int r = db_exec(db, "PRAGMA cell_size_check = ON; PRAGMA cache_size = -2000;", err);
    if (r < 0) {
        db_close(db);
        return r;
    }
    *ret = db;
    return 0;
}

int db_open(const char *path, struct sqlite3 **ret, struct err *err)
{
    sqlite3 *db = NULL;
    int r = make_file(path, err);
    if (r == 0)
        r = open_with(path, SQLITE_OPEN_READWRITE, &db, err);
    if (r < 0)
        return r;
    r = db_exec(db,
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                "PRAGMA journal_size_limit = 16777216;",
                err);
    if (r == 0)
        r = upgrade(db, err);
    if (r < 0) {
        db_close(db);
        return err_prefix(err, r, "'%s'", path);
    }
    *ret = db;
    return 0;
}

int db_open_reader(const char *path, struct sqlite3 **ret, struct err *err)
{
    sqlite3 *db = NULL;
    /* A connection that may not write at all could not use the index of the WAL. */
    int r = open_with(path, SQLITE_OPEN_READWRITE, &db, err);
    if (r == 0)
        r = db_exec(db, "PRAGMA query_only = ON", err);
    if (r == 0)
        r = search_define(db, err);
    if (r < 0) {
        db_close(db);
        return err_prefix(err, r, "'%s'", path);
    }
    *ret = db;
    return 0;
}

void db_close(struct sqlite3 *db)
{
    (void)sqlite3_close_v2(db);
}

int db_aside(const char *path, const char *why, uint64_t realtime, struct err *err)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char stamp[32];
    (void)clock_format(realtime, stamp);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        _cleanup_free_ char *from = mem_printf("%s%s", path, parts[i]);
        _cleanup_free_ char *to = mem_printf("%s.%s-%s%s", path, why, stamp, parts[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return err_errno(err, -errno, "cannot move '%s' aside", from);
    }
    return 0;
}
