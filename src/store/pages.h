/* SPDX-License-Identifier: MIT */
/* Pages of past requests, newest first. The cursor names the last row of a page, so pages do not
 * shift when new requests come. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define PAGES_LIMIT_MAX 1000
#define PAGES_LIMIT_DEFAULT 50
#define PAGES_CURSOR_SIZE 48

struct history_query {
    unsigned limit;     /* 0: the default; above the maximum: the maximum */
    const char *before; /* a cursor, or NULL: the newest */
    const char *id;     /* this very request */
    const char *command, *decision;
    const char *container; /* "": on the host */
    bool has_uid;
    uint32_t uid;
    uint64_t since, until; /* realtime ns of the decision, inclusive; 0: open */
    const char *q;         /* part of the command line, any case */
};

struct pages_page {
    struct buf json;              /* an array of objects that begin with "id" */
    char next[PAGES_CURSOR_SIZE]; /* "": this was the last page */
};

/* -EINVAL: the cursor is none of ours. */
int pages_check(const struct history_query *q, struct err *err) MUST_CHECK;
struct history_query *pages_copy(const struct history_query *q); /* one allocation: free() */

struct sqlite3;
int pages_read(struct sqlite3 *db, const struct history_query *q, struct pages_page *ret,
               struct err *err) MUST_CHECK;
