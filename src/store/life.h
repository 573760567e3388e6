/* SPDX-License-Identifier: MIT */
/* What the index knows of one request: its row, and the orders of people that it was under. */
#pragma once

#include "store/pages.h"

struct sqlite3;
/* Of q->id, in q->container (NULL: the host) when there is no row yet. The text is an array with
 * one object: {"shortened", "request": the row or null, "orders": [...]}, orders in their order. */
int life_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
              struct err *err) MUST_CHECK;
