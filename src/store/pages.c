/* SPDX-License-Identifier: MIT */
/* Builds the query from the filters that are set; values are always bound, never pasted. The words
 * of the full-text index find candidates in the order of the page; each is then looked at exactly.
 */
#include "store/pages.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/db.h"
#include "store/rare.h"
#include "store/search.h"

#define PAGE_BYTES (8u << 20) /* a page ends early beyond this, but has at least one row */
#define PART_BYTES (1u << 20)
#define TEXT_MAX (512u << 20) /* of one page: a row can be large */
#define MATCH_MAX (64u << 10)
#define READ_TIME_MAX (5 * CLOCK_NS_PER_SEC)
#define PROGRESS_STEPS 100000 /* of SQLite's machine between looks at the clock */
/* Rows are in the order of the log; a clock that was set back by less than this hides none. */
#define CLOCK_SLACK (3600 * CLOCK_NS_PER_SEC)

/* ---- the question ---- */

static bool parse_cursor(const char *s, uint64_t *ret)
{
    return str_parse_u64(s, INT64_MAX, ret) == 0;
}

/* The words of an argument as it stands in the command line. One like "--" has none: then all rows
 * are looked at. */
static void want_arg(struct buf *m, const char *arg)
{
    _cleanup_buf_ struct buf quoted = BUF_INIT(MATCH_MAX);
    if (str_shell_quote(&quoted, arg, strlen(arg)) < 0 ||
        search_want_text(m, buf_str(&quoted), NULL) < 0)
        return;
}

/* The words that a row must have; empty: any row may do. */
static int build_match(const struct history_query *q, struct buf *m, struct err *err)
{
    char number[16];
    const char *stop = q->approver ? strstr(q->approver, " for ") : NULL;
    if (q->command && q->decision) {
        _cleanup_buf_ struct buf both = BUF_INIT(MATCH_MAX);
        (void)buf_append(&both, q->command, strlen(q->command) + 1);
        (void)buf_append_str(&both, q->decision);
        search_want(m, SEARCH_COMMAND_DECISION, buf_str(&both), both.len);
    } else if (q->command) {
        search_want(m, SEARCH_COMMAND, q->command, strlen(q->command));
    } else if (q->decision) {
        search_want(m, SEARCH_DECISION, q->decision, strlen(q->decision));
    }
    if (q->has_uid) {
        int n = snprintf(number, sizeof(number), "%" PRIu32, q->uid);
        search_want(m, SEARCH_UID, number, (size_t)n);
    }
    if (q->container)
        search_want(m, SEARCH_CONTAINER, q->container, strlen(q->container));
    if (q->approver)
        search_want(m, SEARCH_APPROVER, q->approver,
                    stop ? (size_t)(stop - q->approver) : strlen(q->approver));
    if (q->rule)
        search_want(m, SEARCH_RULE, q->rule, strlen(q->rule));
    if (q->has_exit) {
        int n = snprintf(number, sizeof(number), "%d", q->exit_code);
        search_want(m, SEARCH_EXIT, number, (size_t)n);
    }
    if (q->has_signal) {
        int n = snprintf(number, sizeof(number), "%d", q->signal);
        search_want(m, SEARCH_SIGNAL, number, (size_t)n);
    }
    if (q->arg)
        want_arg(m, q->arg);
    int r = q->q ? search_want_text(m, q->q, err) : 0;
    return r < 0 ? r : (m->failed ? err_set(err, -EINVAL, "the filters are too long") : 0);
}

int pages_check(const struct history_query *q, struct err *err)
{
    uint64_t seq;
    _cleanup_buf_ struct buf match = BUF_INIT(MATCH_MAX);
    if (q->before && !parse_cursor(q->before, &seq))
        return err_set(err, -EINVAL, "'before' is not a cursor of an earlier page");
    return build_match(q, &match, err);
}

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
    const char *const texts[] = {q->before,    q->id,  q->command,  q->decision, q->rule,
                                 q->container, q->arg, q->approver, q->q};
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
    c->rule = copy_text(&at, q->rule);
    c->container = copy_text(&at, q->container);
    c->arg = copy_text(&at, q->arg);
    c->approver = copy_text(&at, q->approver);
    c->q = copy_text(&at, q->q);
    return c;
}

static unsigned page_size(const struct history_query *q)
{
    if (q->part)
        return PAGES_EXPORT_MAX;
    if (q->limit == 0)
        return PAGES_LIMIT_DEFAULT;
    return q->limit < PAGES_LIMIT_MAX ? q->limit : PAGES_LIMIT_MAX;
}

/* ---- the statement ---- */

static void build_exact(const struct history_query *q, struct buf *sql)
{
    if (q->id)
        (void)buf_append_str(sql, " AND r.id = @id");
    if (q->command)
        (void)buf_append_str(sql, " AND r.command = @command");
    if (q->decision)
        (void)buf_append_str(sql, " AND r.decision = @decision");
    if (q->rule)
        (void)buf_append_str(sql, " AND r.rule = @rule");
    if (q->approver)
        (void)buf_append_str(sql, " AND (r.approver = @approver OR substr(r.approver, 1, "
                                  "length(@approver) + 5) = @approver || ' for ')");
    if (q->container)
        (void)buf_append_str(sql, q->container[0] ? " AND r.container = @container"
                                                  : " AND r.container IS NULL");
    if (q->has_uid)
        (void)buf_append_str(sql, " AND r.uid = @uid");
    if (q->has_exit)
        (void)buf_append_str(sql, " AND r.exit_code = @exit_code");
    if (q->has_signal)
        (void)buf_append_str(sql, " AND r.signal = @signal");
    if (q->arg)
        (void)buf_append_str(sql, " AND EXISTS (SELECT 1 FROM json_each(r.args) WHERE "
                                  "json_each.value = @arg)");
    if (q->q)
        (void)buf_append_str(sql, " AND has_words(r.command_line, @words)");
    if (q->since)
        (void)buf_append_str(sql, " AND r.time >= @since");
    if (q->until)
        (void)buf_append_str(sql, " AND r.time <= @until");
}

static void build_sql(const struct history_query *q, bool match, struct buf *sql)
{
    const char *seq = match ? "search.rowid" : "r.seq";
    (void)buf_append_str(sql, "SELECT ");
    rows_columns(sql, "r.", 0);
    /* CROSS: the words first, whatever the planner believes */
    (void)buf_append_str(sql, match ? " FROM search CROSS JOIN requests r ON r.seq = search.rowid"
                                      " WHERE search MATCH @match"
                                    : " FROM requests r WHERE 1");
    if (!q->id) /* which needs no help */
        (void)buf_printf(sql, " AND %s BETWEEN @first AND @last", seq);
    build_exact(q, sql);
    (void)buf_printf(sql, " ORDER BY %s DESC LIMIT @limit", seq);
}

/* Where a range of time begins or ends among the rows. */
static int find_row(struct sqlite3 *db, const char *sql, uint64_t time, int64_t *ret,
                    struct err *err)
{
    sqlite3_stmt *s = NULL;
    int r = db_prepare(db, sql, &s, err);
    if (r < 0)
        return r;
    (void)sqlite3_bind_int64(s, 1, time > INT64_MAX ? INT64_MAX : (int64_t)time);
    if (sqlite3_step(s) == SQLITE_ROW)
        *ret = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return 0;
}

static int find_range(struct sqlite3 *db, const struct history_query *q, int64_t *first,
                      int64_t *last, struct err *err)
{
    uint64_t before;
    int r = 0;
    *first = 0;
    *last = INT64_MAX;
    if (q->since) {
        *first = INT64_MAX; /* nothing is so new */
        r = find_row(db, "SELECT seq FROM requests WHERE time >= ? ORDER BY time LIMIT 1",
                     q->since > CLOCK_SLACK ? q->since - CLOCK_SLACK : 0, first, err);
    }
    if (r == 0 && q->until) {
        *last = 0;
        r = find_row(db, "SELECT seq FROM requests WHERE time <= ? ORDER BY time DESC LIMIT 1",
                     q->until + CLOCK_SLACK, last, err);
    }
    if (q->before && parse_cursor(q->before, &before) && (int64_t)before <= *last)
        *last = (int64_t)before - 1;
    return r;
}

static void bind_text(sqlite3_stmt *s, const char *name, const char *value)
{
    int at = value ? sqlite3_bind_parameter_index(s, name) : 0;
    if (at > 0 && str_utf8_valid(value, strlen(value)))
        (void)sqlite3_bind_text(s, at, value, -1, SQLITE_TRANSIENT);
    else if (at > 0) /* as the row has it */
        (void)sqlite3_bind_blob(s, at, value, (int)strlen(value), SQLITE_TRANSIENT);
}

static void bind_int(sqlite3_stmt *s, const char *name, int64_t value)
{
    int at = sqlite3_bind_parameter_index(s, name);
    if (at > 0)
        (void)sqlite3_bind_int64(s, at, value);
}

static void bind(sqlite3_stmt *s, const struct history_query *q)
{
    bind_text(s, "@id", q->id);
    bind_text(s, "@command", q->command);
    bind_text(s, "@decision", q->decision);
    bind_text(s, "@rule", q->rule);
    bind_text(s, "@approver", q->approver);
    bind_text(s, "@container", q->container);
    bind_text(s, "@arg", q->arg);
    bind_text(s, "@words", q->q);
    bind_int(s, "@uid", q->uid);
    bind_int(s, "@exit_code", q->exit_code);
    bind_int(s, "@signal", q->signal);
    bind_int(s, "@since", q->since > INT64_MAX ? INT64_MAX : (int64_t)q->since);
    bind_int(s, "@until", q->until > INT64_MAX ? INT64_MAX : (int64_t)q->until);
    bind_int(s, "@limit", page_size(q) + 1);
}

/* ---- rows ---- */

static int read_rows(sqlite3_stmt *s, const struct history_query *q, struct pages_page *ret,
                     struct err *err)
{
    unsigned n = 0, limit = page_size(q);
    size_t bytes = q->part ? PART_BYTES : PAGE_BYTES;
    int64_t seq = 0;
    int code;
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        if (n == limit || ret->text.len > bytes) {
            (void)snprintf(ret->next, sizeof(ret->next), "%" PRId64, seq);
            code = SQLITE_DONE;
            break;
        }
        rows_put(&ret->text, q->format, s, n == 0);
        seq = sqlite3_column_int64(s, ROWS_COLUMN_SEQ);
        n++;
    }
    return code == SQLITE_DONE ? 0 : db_error(sqlite3_db_handle(s), "history", err);
}

static int out_of_time(void *arg)
{
    return clock_monotonic() > *(uint64_t *)arg;
}

static int run(sqlite3_stmt *s, const struct history_query *q, struct pages_page *ret,
               struct err *err)
{
    bool array = q->format == ROWS_JSON && !q->part;
    struct sqlite3 *db = sqlite3_db_handle(s);
    uint64_t until = clock_monotonic() + READ_TIME_MAX;
    if (array)
        (void)buf_append_char(&ret->text, '[');
    if (q->part && !q->before)
        rows_titles(&ret->text, q->format);
    sqlite3_progress_handler(db, PROGRESS_STEPS, out_of_time, &until);
    int r = read_rows(s, q, ret, err);
    sqlite3_progress_handler(db, 0, NULL, NULL);
    if (array)
        (void)buf_append_char(&ret->text, ']');
    if (r == -ETIME)
        return err_set(err, r, "the search took too long: narrow it by time or command");
    return r == 0 && ret->text.failed ? err_errno(err, ret->text.failed, "history") : r;
}

int pages_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
               struct err *err)
{
    *ret = (struct pages_page){.text = BUF_INIT(TEXT_MAX)};
    _cleanup_buf_ struct buf sql = BUF_INIT(16384), match = BUF_INIT(MATCH_MAX);
    sqlite3_stmt *s = NULL;
    int64_t first = 0, last = INT64_MAX;
    int r = build_match(q, &match, err);
    if (r == 0)
        r = find_range(db, q, &first, &last, err);
    if (r == 0 && match.len > 0 && !q->id)
        r = rare_words(db, first, last, &match, err);
    if (r < 0)
        return r;
    build_sql(q, match.len > 0 && !q->id, &sql);
    r = db_prepare(db, buf_str(&sql), &s, err);
    if (r < 0)
        return r;
    bind(s, q);
    bind_text(s, "@match", buf_str(&match));
    bind_int(s, "@first", first);
    bind_int(s, "@last", last);
    r = run(s, q, ret, err);
    (void)sqlite3_finalize(s);
    if (r < 0)
        buf_done(&ret->text);
    return r;
}
