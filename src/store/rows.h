/* SPDX-License-Identifier: MIT */
/* Rows of the index as text. */
#pragma once

#include "base/buf.h"

enum rows_format {
    ROWS_JSON,  /* objects with commas between */
    ROWS_LINES, /* an object a line */
    ROWS_CSV,
};

/* Appends the columns for a SELECT, each with `prefix` in front; text is cut at `max` characters,
 * and arguments longer than that are left out; 0: all of it. */
void rows_columns(struct buf *sql, const char *prefix, unsigned max);
/* The titles of a CSV; nothing for the others. */
void rows_titles(struct buf *out, enum rows_format format);

struct sqlite3_stmt;
/* Appends the row that the statement is at; `first` of the text. */
void rows_put(struct buf *out, enum rows_format format, struct sqlite3_stmt *s, bool first);
#define ROWS_COLUMN_SEQ 2 /* of the SELECT */
