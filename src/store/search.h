/* SPDX-License-Identifier: MIT */
/* The words by which requests are found: those of the command line, and for each value that can be
 * asked for exactly a made-up one. What is found is looked at once more (store/pages), so that a
 * command line that spells a made-up word gains nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

#define SEARCH_LINE_MAX (64u << 10) /* bytes of a command line that are searched */

enum search_fact {
    SEARCH_COMMAND = 'c',
    SEARCH_DECISION = 'd',
    SEARCH_COMMAND_DECISION = 'p', /* both, with a NUL between */
    SEARCH_UID = 'u',
    SEARCH_CONTAINER = 'k', /* "" on the host */
    SEARCH_APPROVER = 'a',  /* who logged in, without " for ..." */
    SEARCH_RULE = 'r',
    SEARCH_EXIT = 'x',
    SEARCH_SIGNAL = 's',
};

/* Appends the word of a value to a query. */
void search_want(struct buf *query, enum search_fact fact, const char *value, size_t n);
/* Appends the words of a text, all of which must occur; one with a '*' behind it may be a
 * beginning. -EINVAL: there is no word in it, or too many. */
int search_want_text(struct buf *query, const char *text, struct err *err) MUST_CHECK;

#define SEARCH_AND " AND " /* between the words of a query */
/* Whether all words of `text`, as search_want_text() sees them, stand in a command line. */
bool search_matches(const char *line, size_t len, const char *text);

struct sqlite3;
/* Makes it known to statements on `db`: has_words(line, text). */
int search_define(struct sqlite3 *db, struct err *err) MUST_CHECK;

struct search;
/* Statements on `db`, borrowed. */
int search_new(struct sqlite3 *db, struct search **ret, struct err *err) MUST_CHECK;
struct search *search_free(struct search *s); /* before the database is closed */
CLEANUP_DEFINE(struct search, search_free)

/* The row `seq` was written, or (`ended`) only its end. Its words are written by search_flush(), in
 * the order of the rows: out of order each would cost a segment. */
void search_touch(struct search *s, int64_t seq, bool ended);
int search_flush(struct search *s, struct err *err) MUST_CHECK;
void search_forget(struct search *s); /* after a rollback */
/* Of a row that is about to be removed. */
int search_remove(struct search *s, int64_t seq, struct err *err) MUST_CHECK;
