/* SPDX-License-Identifier: MIT */
#include "store/rows.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/json.h"

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
    {"killed_by", OUT_TEXT},    {"error", OUT_TEXT},      {"started", OUT_BOOL},
    {"looks", OUT_RAW},
};

void rows_columns(struct buf *sql, const char *prefix, unsigned max)
{
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        const char *name = columns[i].name, *comma = i ? ", " : "";
        if (max && columns[i].kind == OUT_TEXT)
            (void)buf_printf(sql, "%ssubstr(%s%s, 1, %u)", comma, prefix, name, max);
        else if (max && columns[i].kind == OUT_RAW)
            (void)buf_printf(sql, "%sCASE WHEN length(%s%s) <= %u THEN %s%s END", comma, prefix,
                             name, max, prefix, name);
        else
            (void)buf_printf(sql, "%s%s%s", comma, prefix, name);
    }
}

/* The arguments stand in the command line: a spreadsheet has no use for JSON in a cell. */
static bool in_csv(size_t i)
{
    return columns[i].kind != OUT_RAW;
}

void rows_titles(struct buf *out, enum rows_format format)
{
    if (format != ROWS_CSV)
        return;
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        if (in_csv(i))
            csv_cell(out, i == 0, columns[i].name, strlen(columns[i].name));
    csv_end(out);
}

static void put_value(struct json_writer *w, sqlite3_stmt *s, int i)
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

static void put_object(struct buf *out, sqlite3_stmt *s)
{
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        json_key(&w, columns[i].name);
        put_value(&w, s, (int)i);
    }
    json_object_end(&w);
}

static void put_cell(struct buf *out, sqlite3_stmt *s, int i)
{
    char text[48];
    int n;
    if (sqlite3_column_type(s, i) == SQLITE_NULL) {
        csv_cell(out, i == 0, "", 0);
        return;
    }
    switch (columns[i].kind) {
    case OUT_RAW:
    case OUT_TEXT: {
        const char *p = sqlite3_column_blob(s, i);
        csv_cell(out, i == 0, p ? p : "", (size_t)sqlite3_column_bytes(s, i));
        break;
    }
    case OUT_INT: /* our own numbers: a minus is one */
        n = snprintf(text, sizeof(text), "%s%" PRId64, i ? "," : "",
                     (int64_t)sqlite3_column_int64(s, i));
        (void)buf_append(out, text, (size_t)n);
        break;
    case OUT_BOOL:
        (void)buf_append_str(out, sqlite3_column_int(s, i) ? ",true" : ",false");
        break;
    case OUT_TIME:
        (void)clock_format((uint64_t)sqlite3_column_int64(s, i), text);
        csv_cell(out, i == 0, text, strlen(text));
        break;
    }
}

void rows_put(struct buf *out, enum rows_format format, struct sqlite3_stmt *s, bool first)
{
    switch (format) {
    case ROWS_JSON:
        if (!first)
            (void)buf_append_char(out, ',');
        put_object(out, s);
        break;
    case ROWS_LINES:
        put_object(out, s);
        (void)buf_append_char(out, '\n');
        break;
    case ROWS_CSV:
        for (size_t i = 0; i < ARRAY_LEN(columns); i++)
            if (in_csv(i))
                put_cell(out, s, (int)i);
        csv_end(out);
        break;
    }
}
