/* SPDX-License-Identifier: MIT */
/* Which words of a question the full-text index is asked for. One that most rows have costs a walk
 * over its whole list and rules out next to nothing: looking at the rows that the rare ones leave
 * is cheaper. Changes what a search costs, never what it finds: store/pages looks at each row
 * exactly. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

struct sqlite3;
/* Takes out of `match`, words with SEARCH_AND between, those that are not worth it among the rows
 * from `first` to `last`. */
int rare_words(struct sqlite3 *db, int64_t first, int64_t last, struct buf *match,
               struct err *err) MUST_CHECK;
