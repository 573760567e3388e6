/* SPDX-License-Identifier: MIT */
/* Cells for spreadsheets (RFC 4180, always quoted). One that begins like a formula gets an
 * apostrophe in front, and no byte in it can act on a terminal or end the row: they are written as
 * escapes. */
#pragma once

#include "base/buf.h"

/* `first` of a row: no comma before it. */
void csv_cell(struct buf *out, bool first, const char *p, size_t n);
void csv_end(struct buf *out); /* of the row */
