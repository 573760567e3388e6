/* SPDX-License-Identifier: MIT */
/* Orders that came while the request lived, and the pause that was in force when it came. All of
 * it is small: the answer is read on the loop thread. */
#include "store/life.h"

#include <errno.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uuid.h"
#include "store/db.h"

#define LIFE_TEXT_MAX (1u << 20)
#define LIFE_VALUE_MAX 16384 /* bytes of one column; longer arguments are left out */
#define LIFE_ORDERS_MAX 1000

/* What was pausing it when it came: the last order of its container, and of everything. */
#define LIFE_LAST(where)                                                                           \
    "SELECT * FROM (SELECT * FROM orders WHERE time < @from AND error IS NULL AND " where          \
    " ORDER BY time DESC, seq DESC LIMIT 1) WHERE event = 'pause'"

#define LIFE_ORDERS                                                                                \
    "SELECT time, event, scope, container, by, reason, signal, until, error FROM ("                \
    "SELECT * FROM (SELECT * FROM orders WHERE time BETWEEN @from AND @to AND (request = @id OR "  \
    "scope = 'all' OR (scope = 'container' AND container = @container)) "                          \
    "ORDER BY time, seq LIMIT @limit)"                                                             \
    " UNION ALL " LIFE_LAST("scope = 'all' AND event IN ('pause', 'resume')") /* */                \
        " UNION ALL " LIFE_LAST("scope = 'container' AND container = @container AND "              \
                                "event IN ('pause', 'resume')") ") ORDER BY time"

struct life_span {
    int64_t from, to;
    bool known; /* there is a row */
    struct buf container;
};

/* The first 48 bits of a UUIDv7 are the time of its making. */
static int64_t life_came(const uint8_t id[16])
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id[i];
    return (int64_t)(ms * CLOCK_NS_PER_MS);
}

static void life_put_text(struct json_writer *w, sqlite3_stmt *s, int column, const char *key)
{
    const char *p = sqlite3_column_blob(s, column);
    json_key(w, key);
    if (sqlite3_column_type(s, column) == SQLITE_NULL)
        json_put_null(w);
    else
        json_put_bytes(w, p ? p : "", (size_t)sqlite3_column_bytes(s, column));
}

static void life_put_time(struct json_writer *w, sqlite3_stmt *s, int column, const char *key)
{
    char text[32];
    bool none = sqlite3_column_type(s, column) == SQLITE_NULL;
    uint64_t ns = (uint64_t)sqlite3_column_int64(s, column);
    json_field_string(w, key, none ? NULL : clock_format(ns, text));
}

static void life_put_order(struct json_writer *w, sqlite3_stmt *s)
{
    static const char *const keys[] = {"event", "scope", "container", "by", "reason", "signal"};
    json_object_begin(w);
    life_put_time(w, s, 0, "time");
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        life_put_text(w, s, (int)i + 1, keys[i]);
    life_put_time(w, s, 7, "until");
    life_put_text(w, s, 8, "error");
    json_object_end(w);
}

/* Only what was not set is NULL: a short row has every column. */
static int life_row(struct sqlite3 *db, const char *id, struct json_writer *w,
                    struct life_span *life, struct err *err)
{
    _cleanup_buf_ struct buf sql = BUF_INIT(16384);
    sqlite3_stmt *s = NULL;
    (void)buf_append_str(&sql, "SELECT ");
    rows_columns(&sql, "r.", LIFE_VALUE_MAX);
    (void)buf_printf(&sql,
                     ", r.end_time, r.container, max(length(r.args), length(r.command_line)) > %d "
                     "FROM requests r WHERE r.id = ?",
                     LIFE_VALUE_MAX);
    int r = db_prepare(db, buf_str(&sql), &s, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_text(s, 1, id, -1, SQLITE_STATIC);
    int code = sqlite3_step(s), more = sqlite3_column_count(s) - 3;
    life->known = code == SQLITE_ROW;
    if (life->known) {
        const char *container = sqlite3_column_blob(s, more + 1);
        if (sqlite3_column_type(s, more) != SQLITE_NULL)
            life->to = sqlite3_column_int64(s, more);
        (void)buf_append(&life->container, container ? container : "",
                         (size_t)sqlite3_column_bytes(s, more + 1));
        json_field_bool(w, "shortened", sqlite3_column_int(s, more + 2) != 0);
        json_key(w, "request");
        rows_put(w->out, ROWS_JSON, s, true);
        w->comma = true;
    } else if (code == SQLITE_DONE) {
        json_field_bool(w, "shortened", false);
        json_field_string(w, "request", NULL);
    } else {
        r = db_error(db, "history", err);
    }
    (void)sqlite3_finalize(s);
    return r;
}

static void life_bind(sqlite3_stmt *s, const char *id, const struct life_span *life)
{
    int at = sqlite3_bind_parameter_index(s, "@container");
    (void)sqlite3_bind_text(s, sqlite3_bind_parameter_index(s, "@id"), id, -1, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, sqlite3_bind_parameter_index(s, "@from"), life->from);
    (void)sqlite3_bind_int64(s, sqlite3_bind_parameter_index(s, "@to"), life->to);
    (void)sqlite3_bind_int(s, sqlite3_bind_parameter_index(s, "@limit"), LIFE_ORDERS_MAX);
    if (life->container.len > 0) /* NULL equals nothing: the host has no name */
        (void)sqlite3_bind_text(s, at, buf_str(&life->container), (int)life->container.len,
                                SQLITE_STATIC);
}

static int life_orders(struct sqlite3 *db, const char *id, struct json_writer *w,
                       const struct life_span *life, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int code, r = db_prepare(db, LIFE_ORDERS, &s, err);
    if (r < 0)
        return r;
    life_bind(s, id, life);
    json_key(w, "orders");
    json_array_begin(w);
    while ((code = sqlite3_step(s)) == SQLITE_ROW)
        life_put_order(w, s);
    json_array_end(w);
    if (code != SQLITE_DONE)
        r = db_error(db, "history", err);
    (void)sqlite3_finalize(s);
    return r;
}

int life_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
              struct err *err)
{
    uint8_t id[16];
    struct life_span life = {.to = INT64_MAX, .container = BUF_INIT(LIFE_VALUE_MAX)};
    *ret = (struct pages_page){.text = BUF_INIT(LIFE_TEXT_MAX)};
    if (!q->id || uuid_parse(q->id, id) < 0)
        return err_set(err, -EINVAL, "this is no id of a request");
    life.from = life_came(id);
    if (q->container)
        (void)buf_append_str(&life.container, q->container);
    struct json_writer w = JSON_WRITER(&ret->text);
    json_array_begin(&w);
    json_object_begin(&w);
    int r = life_row(db, q->id, &w, &life, err);
    if (r == 0)
        r = life_orders(db, q->id, &w, &life, err);
    json_object_end(&w);
    json_array_end(&w);
    buf_done(&life.container);
    if (r == 0 && ret->text.failed)
        r = err_errno(err, ret->text.failed, "history");
    if (r < 0)
        buf_done(&ret->text);
    return r;
}
