/* SPDX-License-Identifier: MIT */
/* The queue table: what waited for an answer when the warden stopped. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/ports.h"

struct sqlite3;

int queue_rows_put(struct sqlite3 *db, const struct queue_row *row, struct err *err) MUST_CHECK;
/* Oldest first; rows that make no sense are left out. */
int queue_rows_load(struct sqlite3 *db, struct queue_row **ret, size_t *ret_count,
                    struct err *err) MUST_CHECK;
/* Leaves out the rows whose decision stands in the log behind record `after`. Blocks. */
int queue_rows_drop_decided(struct queue_row *rows, size_t *count, const char *log, uint64_t after,
                            struct err *err) MUST_CHECK;
void queue_rows_free(struct queue_row *rows, size_t count);
