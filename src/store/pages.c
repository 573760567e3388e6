/* SPDX-License-Identifier: MIT */
/* Builds the query from the filters that are set; values are always bound, never pasted. */
#include "store/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "store/db.h"

#define PAGE_BYTES (8u << 20) /* a page ends early beyond this, but has at least one row */
#define JSON_MAX (512u << 20) /* of one page: a row can be large */
#define READ_TIME_MAX (5 * CLOCK_NS_PER_SEC)
#define PROGRESS_STEPS 100000 /* of SQLite's machine between looks at the clock */

enum output { OUT_TEXT, OUT_INT, OUT_BOOL, OUT_TIME, OUT_RAW };

static const struct {
    const char *name;
    enum output kind;
} columns[] = {
    {"id", OUT_TEXT},           {"time", OUT_TIME},       {"seq", OUT_INT},
    {"door", OUT_TEXT},         {"command", OUT_TEXT},    {"args", OUT_RAW},
    {"command_line", OUT_TEXT}, {"executable", OUT_TEXT}, {"script", OUT_TEXT},
    {"cwd", OUT_TEXT},          {"uid", OUT_INT},         {"gid", OUT_INT},
    {"pid", OUT_INT},           {"container", OUT_TEXT},  {"policy", OUT_TEXT},
    {"rule", OUT_TEXT},         {"reason", OUT_TEXT},     {"verdict", OUT_TEXT},
    {"decision", OUT_TEXT},     {"approver", OUT_TEXT},   {"channel", OUT_TEXT},
    {"comment", OUT_TEXT},      {"waited_ms", OUT_INT},   {"executor", OUT_TEXT},
    {"end_time", OUT_TIME},     {"end_seq", OUT_INT},     {"exit_code", OUT_INT},
    {"signal", OUT_INT},        {"duration_ms", OUT_INT}, {"timeout_violation", OUT_BOOL},
    {"killed_by", OUT_TEXT},    {"error", OUT_TEXT},
};
#define COLUMN_TIME_AT 1
#define COLUMN_SEQ_AT 2

/* ---- cursors ---- */

/* "<time>-<seq>", both in hex. */
static bool parse_cursor(const char *s, int64_t *ret_time, int64_t *ret_seq)
{
    int used = 0;
    uint64_t t, n;
    if (strspn(s, "0123456789abcdef-") != strlen(s) || strlen(s) > 33 || s[0] == '-')
        return false;
    if (sscanf(s, "%" SCNx64 "-%" SCNx64 "%n", &t, &n, &used) != 2 || s[used] != '\0' ||
        t > INT64_MAX || n > INT64_MAX)
        return false;
    *ret_time = (int64_t)t;
    *ret_seq = (int64_t)n;
    return true;
}

int pages_check(const struct history_query *q, struct err *err)
{
    int64_t t, n;
    if (q->before && !parse_cursor(q->before, &t, &n))
        return err_set(err, -EINVAL, "'before' is not a cursor of an earlier page");
    return 0;
}

/* ---- the query ---- */

static const char *copy_text(char **at, const char *s)
{
    if (!s)
        return NULL;
    size_t n = strlen(s) + 1;
    const char *copy = memcpy(*at, s, n);
    *at += n;
    return copy;
}

struct history_query *pages_copy(const struct history_query *q)
{
    const char *const texts[] = {q->before, q->id, q->command, q->decision, q->container, q->q};
    size_t n = sizeof(*q);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        n += texts[i] ? strlen(texts[i]) + 1 : 0;
    struct history_query *c = mem_zalloc(n);
    char *at = (char *)(c + 1);
    *c = *q;
    c->before = copy_text(&at, q->before);
    c->id = copy_text(&at, q->id);
    c->command = copy_text(&at, q->command);
    c->decision = copy_text(&at, q->decision);
    c->container = copy_text(&at, q->container);
    c->q = copy_text(&at, q->q);
    return c;
}

static unsigned page_size(const struct history_query *q)
{
    if (q->limit == 0)
        return PAGES_LIMIT_DEFAULT;
    return q->limit < PAGES_LIMIT_MAX ? q->limit : PAGES_LIMIT_MAX;
}

static void build_sql(const struct history_query *q, struct buf *sql)
{
    (void)buf_append_str(sql, "SELECT ");
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        (void)buf_printf(sql, "%s%s", i ? ", " : "", columns[i].name);
    (void)buf_append_str(sql, " FROM requests WHERE 1");
    if (q->before)
        (void)buf_append_str(sql, " AND (time, seq) < (@before_time, @before_seq)");
    if (q->id)
        (void)buf_append_str(sql, " AND id = @id");
    if (q->command)
        (void)buf_append_str(sql, " AND command = @command");
    if (q->decision)
        (void)buf_append_str(sql, " AND decision = @decision");
    if (q->container)
        (void)buf_append_str(sql, q->container[0] ? " AND container = @container"
                                                  : " AND container IS NULL");
    if (q->has_uid)
        (void)buf_append_str(sql, " AND uid = @uid");
    if (q->since)
        (void)buf_append_str(sql, " AND time >= @since");
    if (q->until)
        (void)buf_append_str(sql, " AND time <= @until");
    if (q->q)
        (void)buf_append_str(sql, " AND command_line LIKE @q ESCAPE '\\'");
    (void)buf_append_str(sql, " ORDER BY time DESC, seq DESC LIMIT @limit");
}

static void bind_text(sqlite3_stmt *s, const char *name, const char *value)
{
    int at = sqlite3_bind_parameter_index(s, name);
    if (at > 0)
        (void)sqlite3_bind_text(s, at, value, -1, SQLITE_TRANSIENT);
}

static void bind_int(sqlite3_stmt *s, const char *name, uint64_t value)
{
    int at = sqlite3_bind_parameter_index(s, name);
    if (at > 0)
        (void)sqlite3_bind_int64(s, at, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

static void bind_search(sqlite3_stmt *s, const char *q)
{
    _cleanup_buf_ struct buf pattern = BUF_INIT(1u << 20);
    (void)buf_append_char(&pattern, '%');
    for (; *q; q++) {
        if (strchr("%_\\", *q))
            (void)buf_append_char(&pattern, '\\');
        (void)buf_append_char(&pattern, *q);
    }
    (void)buf_append_char(&pattern, '%');
    bind_text(s, "@q", buf_str(&pattern));
}

static void bind(sqlite3_stmt *s, const struct history_query *q)
{
    int64_t time, seq;
    if (q->before && parse_cursor(q->before, &time, &seq)) {
        bind_int(s, "@before_time", (uint64_t)time);
        bind_int(s, "@before_seq", (uint64_t)seq);
    }
    bind_text(s, "@id", q->id);
    bind_text(s, "@command", q->command);
    bind_text(s, "@decision", q->decision);
    bind_text(s, "@container", q->container);
    bind_int(s, "@uid", q->uid);
    bind_int(s, "@since", q->since);
    bind_int(s, "@until", q->until);
    if (q->q)
        bind_search(s, q->q);
    bind_int(s, "@limit", page_size(q) + 1);
}

/* ---- rows ---- */

static void put_column(struct json_writer *w, sqlite3_stmt *s, int i)
{
    char text[32];
    if (sqlite3_column_type(s, i) == SQLITE_NULL) {
        json_put_null(w);
        return;
    }
    switch (columns[i].kind) {
    case OUT_TEXT: {
        const char *p = sqlite3_column_blob(s, i); /* before the length, as SQLite wants it */
        json_put_bytes(w, p ? p : "", (size_t)sqlite3_column_bytes(s, i));
        break;
    }
    case OUT_INT:
        json_put_int(w, sqlite3_column_int64(s, i));
        break;
    case OUT_BOOL:
        json_put_bool(w, sqlite3_column_int(s, i) != 0);
        break;
    case OUT_TIME:
        json_put_string(w, clock_format((uint64_t)sqlite3_column_int64(s, i), text));
        break;
    case OUT_RAW: {
        const char *p = sqlite3_column_blob(s, i);
        json_put_raw(w, p ? p : "null", p ? (size_t)sqlite3_column_bytes(s, i) : 4);
        break;
    }
    }
}

static void put_row(struct json_writer *w, sqlite3_stmt *s)
{
    json_object_begin(w);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        json_key(w, columns[i].name);
        put_column(w, s, (int)i);
    }
    json_object_end(w);
}

static int read_rows(sqlite3_stmt *s, unsigned limit, struct pages_page *ret, struct err *err)
{
    struct json_writer w = JSON_WRITER(&ret->json);
    int code;
    unsigned n = 0;
    int64_t time = 0, seq = 0;
    json_array_begin(&w);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        if (n == limit || ret->json.len > PAGE_BYTES) {
            (void)snprintf(ret->next, sizeof(ret->next), "%" PRIx64 "-%" PRIx64, (uint64_t)time,
                           (uint64_t)seq);
            code = SQLITE_DONE;
            break;
        }
        put_row(&w, s);
        time = sqlite3_column_int64(s, COLUMN_TIME_AT);
        seq = sqlite3_column_int64(s, COLUMN_SEQ_AT);
        n++;
    }
    json_array_end(&w);
    if (code != SQLITE_DONE)
        return db_error(sqlite3_db_handle(s), "history", err);
    return ret->json.failed ? err_errno(err, ret->json.failed, "history") : 0;
}

static int out_of_time(void *arg)
{
    return clock_monotonic() > *(uint64_t *)arg;
}

int pages_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
               struct err *err)
{
    *ret = (struct pages_page){.json = BUF_INIT(JSON_MAX)};
    _cleanup_buf_ struct buf sql = BUF_INIT(16384);
    sqlite3_stmt *s = NULL;
    build_sql(q, &sql);
    int r = db_prepare(db, buf_str(&sql), &s, err);
    if (r < 0)
        return r;
    bind(s, q);
    uint64_t until = clock_monotonic() + READ_TIME_MAX;
    sqlite3_progress_handler(db, PROGRESS_STEPS, out_of_time, &until);
    r = read_rows(s, page_size(q), ret, err);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    (void)sqlite3_finalize(s);
    if (r < 0)
        buf_done(&ret->json);
    return r == -ETIME ? err_set(err, r, "the search took too long: narrow it by time or command")
                       : r;
}
