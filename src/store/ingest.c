/* SPDX-License-Identifier: MIT */
/* Which member of a record goes to which column stands in the two tables below. */
#include "store/ingest.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "store/db.h"
#include "store/search.h"
#include "store/value.h"

#define NODES_MAX 4000000 /* arguments, names of variables; beyond what a request can have */

enum column_kind {
    COLUMN_TEXT,
    COLUMN_INT,
    COLUMN_BOOL,
    COLUMN_TIME,   /* 0 when there is none */
    COLUMN_MOMENT, /* NULL when there is none */
    COLUMN_RAW
};

struct column {
    const char *name;   /* in the table */
    const char *member; /* in the record; NULL: the same name */
    enum column_kind kind;
};

/* Of a decision. seq and command_line are put in by hand, in front. */
static const struct column decision_columns[] = {
    {"id", NULL, COLUMN_TEXT},        {"time", NULL, COLUMN_TIME},
    {"door", NULL, COLUMN_TEXT},      {"command", NULL, COLUMN_TEXT},
    {"args", NULL, COLUMN_RAW},       {"script", NULL, COLUMN_TEXT},
    {"cwd", NULL, COLUMN_TEXT},       {"uid", NULL, COLUMN_INT},
    {"gid", NULL, COLUMN_INT},        {"pid", NULL, COLUMN_INT},
    {"container", NULL, COLUMN_TEXT}, {"policy", NULL, COLUMN_TEXT},
    {"rule", NULL, COLUMN_TEXT},      {"reason", NULL, COLUMN_TEXT},
    {"verdict", NULL, COLUMN_TEXT},   {"decision", NULL, COLUMN_TEXT},
    {"approver", NULL, COLUMN_TEXT},  {"channel", NULL, COLUMN_TEXT},
    {"comment", NULL, COLUMN_TEXT},   {"waited_ms", NULL, COLUMN_INT},
    {"executor", NULL, COLUMN_TEXT},  {"error", NULL, COLUMN_TEXT},
    {"looks", NULL, COLUMN_RAW},
};

/* Of an end. id, seq and time are put in by hand, in front. */
static const struct column end_columns[] = {
    {"executor", NULL, COLUMN_TEXT},   {"started", NULL, COLUMN_BOOL},
    {"exit_code", NULL, COLUMN_INT},   {"signal", NULL, COLUMN_INT},
    {"duration_ms", NULL, COLUMN_INT}, {"timeout_violation", NULL, COLUMN_BOOL},
    {"killed_by", NULL, COLUMN_TEXT},  {"error", NULL, COLUMN_TEXT},
    {"decision", NULL, COLUMN_TEXT}, /* "interrupted", or absent */
    {"command", NULL, COLUMN_TEXT},
};

/* Of an order of a person. seq is put in by hand, in front. */
static const struct column order_columns[] = {
    {"time", NULL, COLUMN_TIME},      {"event", NULL, COLUMN_TEXT},
    {"scope", NULL, COLUMN_TEXT},     {"request", NULL, COLUMN_TEXT},
    {"container", NULL, COLUMN_TEXT}, {"by", NULL, COLUMN_TEXT},
    {"reason", NULL, COLUMN_TEXT},    {"signal", NULL, COLUMN_TEXT},
    {"until", NULL, COLUMN_MOMENT},   {"error", NULL, COLUMN_TEXT},
};

struct ingest {
    struct sqlite3 *db; /* borrowed */
    struct search *search;
    sqlite3_stmt *decision, *end, *end_alone, *order, *unqueue, *mark;
    uint64_t last_seq;
    char last_hash[RECORD_HASH_SIZE];
};

/* ---- statements ---- */

static void list_columns(struct buf *sql, const struct column *c, size_t n, const char *fmt)
{
    for (size_t i = 0; i < n; i++) {
        (void)buf_append_str(sql, ", ");
        for (const char *f = fmt; *f; f++) /* '@' stands for the name */
            if (*f == '@')
                (void)buf_append_str(sql, c[i].name);
            else
                (void)buf_append_char(sql, *f);
    }
}

/* A second decision of one request (a row of the queue that was judged anew) replaces the first. */
static int prepare_decision(struct ingest *g, struct err *err)
{
    _cleanup_buf_ struct buf sql = BUF_INIT(16384);
    size_t n = ARRAY_LEN(decision_columns);
    (void)buf_append_str(&sql, "INSERT OR REPLACE INTO requests (seq, command_line, executable");
    list_columns(&sql, decision_columns, n, "@");
    (void)buf_append_str(&sql, ") VALUES (?, ?, ?");
    list_columns(&sql, decision_columns, n, "?");
    (void)buf_append_str(&sql, ") ON CONFLICT (id) DO UPDATE SET seq = seq");
    list_columns(&sql, decision_columns, n, "@ = coalesce(excluded.@, @)");
    (void)buf_append_str(&sql, " RETURNING seq");
    return db_prepare(g->db, buf_str(&sql), &g->decision, err);
}

static int prepare_end(struct ingest *g, struct err *err)
{
    _cleanup_buf_ struct buf sql = BUF_INIT(16384);
    size_t n = ARRAY_LEN(end_columns);
    (void)buf_append_str(&sql, "UPDATE requests SET end_seq = ?2, end_time = ?3");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&sql, ", %s = coalesce(?%zu, %s)", end_columns[i].name, i + 4,
                         end_columns[i].name);
    (void)buf_append_str(&sql, " WHERE id = ?1 RETURNING seq");
    int r = db_prepare(g->db, buf_str(&sql), &g->end, err);
    if (r < 0)
        return r;
    buf_clear(&sql);
    (void)buf_append_str(&sql, "INSERT OR IGNORE INTO requests (seq, time, id, end_seq, end_time");
    list_columns(&sql, end_columns, n, "@");
    (void)buf_append_str(&sql, ") VALUES (?2, ?3, ?1, ?2, ?3");
    for (size_t i = 0; i < n; i++)
        (void)buf_printf(&sql, ", ?%zu", i + 4);
    (void)buf_append_str(&sql, ") RETURNING seq");
    return db_prepare(g->db, buf_str(&sql), &g->end_alone, err);
}

static int prepare_order(struct ingest *g, struct err *err)
{
    _cleanup_buf_ struct buf sql = BUF_INIT(16384);
    size_t n = ARRAY_LEN(order_columns);
    (void)buf_append_str(&sql, "INSERT OR REPLACE INTO orders (seq");
    list_columns(&sql, order_columns, n, "@");
    (void)buf_append_str(&sql, ") VALUES (?");
    list_columns(&sql, order_columns, n, "?");
    (void)buf_append_str(&sql, ")");
    return db_prepare(g->db, buf_str(&sql), &g->order, err);
}

int ingest_new(struct sqlite3 *db, struct ingest **ret, struct err *err)
{
    _cleanup_(ingest_freep) struct ingest *g = mem_new(struct ingest);
    g->db = db;
    int r = prepare_decision(g, err);
    if (r == 0)
        r = prepare_end(g, err);
    if (r == 0)
        r = prepare_order(g, err);
    if (r == 0)
        r = search_new(db, &g->search, err);
    if (r == 0)
        r = db_prepare(db, "DELETE FROM queue WHERE id = ?", &g->unqueue, err);
    if (r == 0)
        r = db_prepare(db, "INSERT OR REPLACE INTO meta VALUES ('last_seq', ?), ('last_hash', ?)",
                       &g->mark, err);
    if (r == 0)
        r = ingest_reload(g, err);
    if (r == 0)
        *ret = TAKE_PTR(g);
    return r;
}

struct ingest *ingest_free(struct ingest *g)
{
    if (!g)
        return NULL;
    (void)sqlite3_finalize(g->decision);
    (void)sqlite3_finalize(g->end);
    (void)sqlite3_finalize(g->end_alone);
    (void)sqlite3_finalize(g->order);
    (void)sqlite3_finalize(g->unqueue);
    (void)sqlite3_finalize(g->mark);
    search_free(g->search);
    free(g);
    return NULL;
}

/* ---- the mark ---- */

int ingest_reload(struct ingest *g, struct err *err)
{
    sqlite3_stmt *s = NULL;
    search_forget(g->search);
    int r = db_prepare(g->db,
                       "SELECT (SELECT value FROM meta WHERE key = 'last_seq'),"
                       "       (SELECT value FROM meta WHERE key = 'last_hash')",
                       &s, err);
    if (r < 0)
        return r;
    g->last_seq = 0;
    g->last_hash[0] = '\0';
    if (sqlite3_step(s) == SQLITE_ROW) {
        const char *hash = (const char *)sqlite3_column_text(s, 1);
        if (hash && strlen(hash) == RECORD_HASH_SIZE - 1) {
            memcpy(g->last_hash, hash, RECORD_HASH_SIZE);
            g->last_seq = (uint64_t)sqlite3_column_int64(s, 0);
        }
    } else {
        r = db_error(g->db, "database", err);
    }
    (void)sqlite3_finalize(s);
    return r;
}

int ingest_mark(struct ingest *g, struct err *err)
{
    int r = search_flush(g->search, err);
    if (r < 0 || !g->last_hash[0])
        return r;
    (void)sqlite3_bind_int64(g->mark, 1, (int64_t)g->last_seq);
    (void)sqlite3_bind_text(g->mark, 2, g->last_hash, -1, SQLITE_STATIC);
    return db_run(g->mark, err);
}

int ingest_clear(struct ingest *g, struct err *err)
{
    int r = db_exec(g->db,
                    "DELETE FROM requests; DELETE FROM orders; INSERT INTO search (search) VALUES "
                    "('delete-all');"
                    "DELETE FROM meta",
                    err);
    if (r == 0) {
        search_forget(g->search);
        g->last_seq = 0;
        g->last_hash[0] = '\0';
    }
    return r;
}

uint64_t ingest_last_seq(const struct ingest *g)
{
    return g->last_seq;
}

const char *ingest_last_hash(const struct ingest *g)
{
    return g->last_hash;
}

/* ---- values ---- */

/* TEXT when it is UTF-8, so that it can be searched; bytes stay bytes. */
static void bind_bytes(sqlite3_stmt *s, int at, const struct buf *b)
{
    if (str_utf8_valid(buf_str(b), b->len))
        (void)sqlite3_bind_text64(s, at, buf_str(b), b->len, SQLITE_TRANSIENT, SQLITE_UTF8);
    else
        (void)sqlite3_bind_blob64(s, at, buf_str(b), b->len, SQLITE_TRANSIENT);
}

static void bind_text(sqlite3_stmt *s, int at, const struct json *v)
{
    _cleanup_buf_ struct buf bytes = BUF_INIT(RECORD_LINE_MAX);
    if (value_bytes(v, &bytes))
        bind_bytes(s, at, &bytes);
}

static bool read_time(const struct json *v, int64_t *ret)
{
    uint64_t ns;
    const char *text = json_string(v, NULL);
    if (!text || clock_parse(text, &ns) < 0 || ns > INT64_MAX)
        return false;
    *ret = (int64_t)ns;
    return true;
}

static void bind_time(sqlite3_stmt *s, int at, const struct json *v)
{
    int64_t ns = 0; /* a record without a time is old, not lost */
    (void)read_time(v, &ns);
    (void)sqlite3_bind_int64(s, at, ns);
}

static void bind_column(sqlite3_stmt *s, int at, const struct column *c, const struct json *root,
                        const struct record *rec)
{
    const char *member = c->member ? c->member : c->name, *raw;
    size_t n;
    const struct json *v = json_get(root, member);
    switch (c->kind) {
    case COLUMN_TEXT:
        bind_text(s, at, v);
        break;
    case COLUMN_INT:
        if (json_is_integer(v))
            (void)sqlite3_bind_int64(s, at, json_integer(v, 0));
        break;
    case COLUMN_BOOL:
        if (json_is_bool(v))
            (void)sqlite3_bind_int64(s, at, json_bool(v, false));
        break;
    case COLUMN_TIME:
        bind_time(s, at, v);
        break;
    case COLUMN_MOMENT:
        if (json_is_string(v))
            bind_time(s, at, v);
        break;
    case COLUMN_RAW:
        if (json_is_array(v) && record_field(rec->members, rec->members_len, member, &raw, &n))
            (void)sqlite3_bind_text64(s, at, raw, n, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    }
}

/* ---- lines ---- */

static int put_decision(struct ingest *g, const struct json *root, const struct record *rec,
                        struct err *err)
{
    _cleanup_buf_ struct buf line = BUF_INIT(4 * (size_t)RECORD_LINE_MAX);
    (void)sqlite3_bind_int64(g->decision, 1, (int64_t)rec->seq);
    if (value_command_line(root, &line) && !line.failed)
        bind_bytes(g->decision, 2, &line);
    const struct json *executable = json_get(root, "executable");
    bind_text(g->decision, 3,
              json_get(executable, "path") ? json_get(executable, "path") : executable);
    for (size_t i = 0; i < ARRAY_LEN(decision_columns); i++)
        bind_column(g->decision, (int)i + 4, &decision_columns[i], root, rec);
    int64_t seq = 0;
    int r = db_run_returning(g->decision, &seq, err);
    if (r > 0)
        search_touch(g->search, seq, false);
    return r < 0 ? r : 0;
}

/* What is decided waits no more. In the transaction that moves the mark, so that the row is there
 * exactly as long as the log, read from the mark on, has no decision. */
static int remove_from_queue(struct ingest *g, const struct json *root, struct err *err)
{
    uint8_t id[16];
    if (uuid_parse(json_string(json_get(root, "id"), NULL), id) < 0)
        return 0;
    (void)sqlite3_bind_blob(g->unqueue, 1, id, sizeof(id), SQLITE_TRANSIENT);
    return db_run(g->unqueue, err);
}

/* 1, or 0 when there is no row of this request. */
static int run_end(struct ingest *g, sqlite3_stmt *s, const struct json *root,
                   const struct record *rec, struct err *err)
{
    bind_text(s, 1, json_get(root, "id"));
    (void)sqlite3_bind_int64(s, 2, (int64_t)rec->seq);
    bind_time(s, 3, json_get(root, "time"));
    for (size_t i = 0; i < ARRAY_LEN(end_columns); i++)
        bind_column(s, (int)i + 4, &end_columns[i], root, rec);
    int64_t seq = 0;
    int r = db_run_returning(s, &seq, err);
    if (r > 0)
        search_touch(g->search, seq, s == g->end);
    return r;
}

static int put_end(struct ingest *g, const struct json *root, const struct record *rec,
                   struct err *err)
{
    int r = run_end(g, g->end, root, rec, err);
    if (r == 0) /* its decision was pruned */
        r = run_end(g, g->end_alone, root, rec, err);
    return r < 0 ? r : 0;
}

static int put_order(struct ingest *g, const struct json *root, const struct record *rec,
                     struct err *err)
{
    (void)sqlite3_bind_int64(g->order, 1, (int64_t)rec->seq);
    for (size_t i = 0; i < ARRAY_LEN(order_columns); i++)
        bind_column(g->order, (int)i + 2, &order_columns[i], root, rec);
    return db_run(g->order, err);
}

static int put_what_was_decided(struct ingest *g, const struct json *root, const struct record *rec,
                                struct err *err)
{
    int r = remove_from_queue(g, root, err);
    return r < 0 ? r : put_decision(g, root, rec, err);
}

static const struct {
    const char *event;
    int (*put)(struct ingest *g, const struct json *root, const struct record *rec,
               struct err *err);
    bool of_request; /* has an id */
} events[] = {
    {"decision", put_what_was_decided, true},
    {"end", put_end, true},
    {"kill", put_order, false},
    {"pause", put_order, false},
    {"resume", put_order, false},
};

static int put_record(struct ingest *g, const char *line, size_t len, const struct record *rec,
                      struct err *err)
{
    size_t i = 0;
    while (i < ARRAY_LEN(events) &&
           !record_field_is(rec->members, rec->members_len, "event", events[i].event))
        i++;
    if (i == ARRAY_LEN(events))
        return 0;
    _cleanup_(json_freep) struct json *root = NULL;
    if (json_parse(line, len, NODES_MAX, &root, NULL) < 0 ||
        (events[i].of_request && !json_string(json_get(root, "id"), NULL)))
        return 0; /* not ours: somebody changed the log; verify says so, not the index */
    return events[i].put(g, root, rec, err);
}

int ingest_line(struct ingest *g, const char *line, size_t len, struct err *err)
{
    struct record rec;
    if (!line || record_split(line, len, &rec) < 0 || rec.seq <= g->last_seq)
        return 0;
    int r = put_record(g, line, len, &rec, err);
    if (r < 0 && r != -EINVAL) /* what the table does not take will not be taken tomorrow either */
        return r;
    g->last_seq = rec.seq;
    memcpy(g->last_hash, rec.hash, RECORD_HASH_SIZE);
    return 0;
}

/* ---- retention ---- */

static int prune_one(struct ingest *g, int64_t seq, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int r = search_remove(g->search, seq, err);
    if (r == 0)
        r = db_prepare(g->db, "DELETE FROM requests WHERE seq = ?", &s, err);
    if (r == 0) {
        (void)sqlite3_bind_int64(s, 1, seq);
        r = db_run(s, err);
    }
    (void)sqlite3_finalize(s);
    return r;
}

/* The last of them stays: it may be a pause that is in force. */
static int prune_orders(struct ingest *g, uint64_t time, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int r = db_prepare(g->db,
                       "DELETE FROM orders WHERE time < ? AND (request IS NOT NULL OR seq NOT IN "
                       "(SELECT max(seq) FROM orders GROUP BY scope, container))",
                       &s, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_int64(s, 1, time > INT64_MAX ? INT64_MAX : (int64_t)time);
    r = db_run(s, err);
    (void)sqlite3_finalize(s);
    return r;
}

int ingest_prune(struct ingest *g, uint64_t time, unsigned max, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int64_t *old = mem_new_array(int64_t, max);
    unsigned n = 0;
    int r =
        db_prepare(g->db, "SELECT seq FROM requests WHERE time < ? ORDER BY time LIMIT ?", &s, err);
    if (r == 0) {
        (void)sqlite3_bind_int64(s, 1, time > INT64_MAX ? INT64_MAX : (int64_t)time);
        (void)sqlite3_bind_int64(s, 2, max);
        while (n < max && sqlite3_step(s) == SQLITE_ROW)
            old[n++] = sqlite3_column_int64(s, 0);
    }
    (void)sqlite3_finalize(s);
    for (unsigned i = 0; r == 0 && i < n; i++)
        r = prune_one(g, old[i], err);
    if (r == 0)
        r = prune_orders(g, time, err);
    free(old);
    return r < 0 ? r : (int)n;
}
