/* SPDX-License-Identifier: MIT */
/* Rows of the queue table, in and out. */
#include "store/queue-rows.h"

#include <errno.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/uuid.h"
#include "store/db.h"
#include "store/record.h"
#include "store/walk.h"

/* A walk through the log may have read the decision already that comes behind this row. */
int queue_rows_put(struct sqlite3 *db, const struct queue_row *row, struct err *err)
{
    char id[UUID_TEXT_SIZE];
    sqlite3_stmt *s = NULL;
    int r = db_prepare(db,
                       "INSERT OR REPLACE INTO queue SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 "
                       "WHERE NOT EXISTS (SELECT 1 FROM requests WHERE id = ?8)",
                       &s, err);
    if (r < 0)
        return r;
    const char *summary = row->summary ? row->summary : "";
    (void)sqlite3_bind_blob(s, 1, row->id, sizeof(row->id), SQLITE_STATIC);
    (void)sqlite3_bind_text(s, 2, row->digest, (int)strnlen(row->digest, sizeof(row->digest)),
                            SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 3, row->pid);
    (void)sqlite3_bind_int64(s, 4, (int64_t)row->start_time);
    (void)sqlite3_bind_int64(s, 5, (int64_t)row->waiting_at);
    (void)sqlite3_bind_int64(s, 6, (int64_t)row->deadline);
    (void)sqlite3_bind_text(s, 7, summary, -1, SQLITE_STATIC);
    uuid_format(row->id, id);
    (void)sqlite3_bind_text(s, 8, id, -1, SQLITE_STATIC);
    r = db_run(s, err);
    (void)sqlite3_finalize(s);
    return r;
}

static bool read_row(sqlite3_stmt *s, struct queue_row *ret)
{
    const void *id = sqlite3_column_blob(s, 0);
    int id_len = sqlite3_column_bytes(s, 0);
    const char *digest = (const char *)sqlite3_column_text(s, 1);
    int64_t pid = sqlite3_column_int64(s, 2);
    const char *summary = (const char *)sqlite3_column_text(s, 6);
    if (!id || id_len != 16 || !digest || strlen(digest) != sizeof(ret->digest) - 1 || !summary ||
        pid <= 0 || pid > INT_MAX)
        return false;
    memcpy(ret->id, id, 16);
    memcpy(ret->digest, digest, sizeof(ret->digest));
    ret->pid = (pid_t)pid;
    ret->start_time = (uint64_t)sqlite3_column_int64(s, 3);
    ret->waiting_at = (uint64_t)sqlite3_column_int64(s, 4);
    ret->deadline = (uint64_t)sqlite3_column_int64(s, 5);
    ret->summary = mem_strdup(summary);
    return true;
}

int queue_rows_load(struct sqlite3 *db, struct queue_row **ret, size_t *ret_count, struct err *err)
{
    sqlite3_stmt *s = NULL;
    struct queue_row *rows = NULL, row;
    size_t n = 0;
    int code, r = db_prepare(db,
                             "SELECT id, digest, pid, start_time, waiting_at, deadline, summary "
                             "FROM queue ORDER BY waiting_at, id",
                             &s, err);
    if (r < 0)
        return r;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        if (!read_row(s, &row))
            continue;
        if ((n & (n - 1)) == 0)
            rows = mem_realloc_array(rows, n ? n * 2 : 1, sizeof(*rows));
        rows[n++] = row;
    }
    if (code != SQLITE_DONE)
        r = db_error(db, "database", err);
    (void)sqlite3_finalize(s);
    if (r < 0) {
        queue_rows_free(rows, n);
        return r;
    }
    *ret = rows;
    *ret_count = n;
    return 0;
}

void queue_rows_free(struct queue_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(rows[i].summary);
    free(rows);
}

/* ---- what the log knows ---- */

struct decided {
    struct queue_row *rows;
    size_t count;
    uint64_t after;
};

static int note_decision(void *arg, const char *line, size_t len)
{
    struct decided *d = arg;
    struct record rec;
    char text[UUID_TEXT_SIZE];
    uint8_t id[16];
    if (!line || record_split(line, len, &rec) < 0 || rec.seq <= d->after ||
        !record_field_is(rec.members, rec.members_len, "event", "decision") ||
        !record_field_copy(rec.members, rec.members_len, "id", text, sizeof(text)) ||
        uuid_parse(text, id) < 0)
        return 0;
    for (size_t i = 0; i < d->count; i++)
        if (memcmp(d->rows[i].id, id, sizeof(id)) == 0) {
            free(d->rows[i].summary);
            memmove(&d->rows[i], &d->rows[i + 1], (--d->count - i) * sizeof(*d->rows));
            break;
        }
    return 0;
}

int queue_rows_drop_decided(struct queue_row *rows, size_t *count, const char *log, uint64_t after,
                            struct err *err)
{
    static const struct walk_ops ops = {.line = note_decision};
    struct decided d = {.rows = rows, .count = *count, .after = after};
    int r = walk_log(log, after, false, &ops, &d, err);
    *count = d.count;
    return r;
}
