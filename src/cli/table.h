/* SPDX-License-Identifier: MIT */
/* Aligned tables for people. Cells are text that is safe on a terminal already (show.h); the last
 * column is never cut: on a terminal it wraps behind its own left edge, so that no cell can look
 * like a row. */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "base/cleanup.h"

struct table;

/* Columns are titles, the last NULL. */
struct table *table_new(const char *const *titles);
struct table *table_free(struct table *t);
CLEANUP_DEFINE(struct table, table_free)

/* Fills the next cell of the current row; copies. A full row begins the next. */
void table_add(struct table *t, const char *cell);
/* A whole row: as many cells as there are titles. */
void table_add_row(struct table *t, const char *const *cells);
/* `width` 0: no wrapping (not a terminal). */
void table_print(const struct table *t, FILE *out, size_t width);

/* Columns that `s` takes on a terminal. */
size_t table_width(const char *s);
/* Bytes of `s` that fit into `width` columns, at least one character; prefers to end behind a
 * blank. */
size_t table_break(const char *s, size_t width);
/* Columns of the terminal that stdout is, or 0. */
size_t table_terminal_width(void);
