/* SPDX-License-Identifier: MIT */
/* The queue table: what waited for an answer when the warden stopped. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/ports.h"

struct sqlite3;

int queue_rows_put(struct sqlite3 *db, const struct queue_row *row, struct err *err) MUST_CHECK;
int queue_rows_remove(struct sqlite3 *db, const uint8_t id[16], struct err *err) MUST_CHECK;
/* Oldest first; rows that make no sense are left out. */
int queue_rows_load(struct sqlite3 *db, struct queue_row **ret, size_t *ret_count,
                    struct err *err) MUST_CHECK;
void queue_rows_free(struct queue_row *rows, size_t count);
