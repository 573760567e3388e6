/* SPDX-License-Identifier: MIT */
/* Pages of past requests, newest first, in the order of their decisions in the log. The cursor is
 * the number of the last row of a page, so pages do not shift when new requests come. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "store/rows.h"

#define PAGES_LIMIT_MAX 1000
#define PAGES_LIMIT_DEFAULT 50
#define PAGES_EXPORT_MAX 5000
#define PAGES_CURSOR_SIZE 24

struct history_query {
    unsigned limit;     /* 0: the default; above the maximum: the maximum */
    const char *before; /* a cursor, or NULL: the newest */
    const char *id;     /* this very request */
    const char *command, *decision, *rule;
    const char *approver;  /* who logged in, or the whole "ana for zoe" */
    const char *container; /* "": on the host */
    const char *arg;       /* one of the arguments is this */
    bool has_uid, has_exit, has_signal;
    uint32_t uid;
    int exit_code, signal;
    uint64_t since, until; /* realtime ns of the decision, inclusive; 0: open */
    const char *q;         /* words of the command line, any case; "wor*": the beginning of one */
    enum rows_format format;
    bool story; /* of `id`, see life.h */
    bool part;  /* of an export: up to PAGES_EXPORT_MAX rows, and titles before the first page */
};

struct pages_page {
    struct buf text;              /* rows, see rows.h; JSON: with [] around, unless `part` */
    char next[PAGES_CURSOR_SIZE]; /* "": this was the last page */
};

/* -EINVAL: the cursor is none of ours, or there is no word in the text. */
int pages_check(const struct history_query *q, struct err *err) MUST_CHECK;
struct history_query *pages_copy(const struct history_query *q); /* one allocation: free() */

struct sqlite3;
int pages_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
               struct err *err) MUST_CHECK;
