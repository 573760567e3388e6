/* SPDX-License-Identifier: MIT */
/* A made-up word is "zq", a letter, and 16 hex digits of the value's FNV-1a: nothing that a
 * tokenizer would cut. */
#include "store/search.h"

#include <errno.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "store/db.h"

#define SEARCH_WORDS_MAX 32 /* of a query's text */
#define SEARCH_BUF_MAX (SEARCH_LINE_MAX + 4096)

/* ---- words ---- */

static uint64_t search_hash(const char *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * UINT64_C(1099511628211);
    return h;
}

static void search_word(struct buf *out, enum search_fact fact, const char *value, size_t n)
{
    (void)buf_printf(out, "zq%c%016" PRIx64 " ", (char)fact, search_hash(value, n));
}

static void search_and(struct buf *query)
{
    if (query->len > 0)
        (void)buf_append_str(query, SEARCH_AND);
}

void search_want(struct buf *query, enum search_fact fact, const char *value, size_t n)
{
    search_and(query);
    search_word(query, fact, value, n);
}

/* As the tokenizer "ascii" sees it. */
static bool search_in_word(unsigned char c)
{
    return c >= 0x80 || (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
}

int search_want_text(struct buf *query, const char *text, struct err *err)
{
    unsigned words = 0;
    while (*text) {
        size_t n = 0;
        while (search_in_word((unsigned char)text[n]))
            n++;
        if (n > 0) {
            if (++words > SEARCH_WORDS_MAX)
                return err_set(err, -EINVAL, "more than %d words to search for", SEARCH_WORDS_MAX);
            search_and(query);
            (void)buf_printf(query, "\"%.*s\"%s", (int)n, text, text[n] == '*' ? " *" : "");
        }
        text += n + (text[n] != '\0');
    }
    return words > 0 ? 0 : err_set(err, -EINVAL, "there is no word in the text to search for");
}

/* One word of a question at `want` (a '*' behind it: a beginning) in the words of a line. */
static bool search_has(const char *line, size_t len, const char *want, size_t n)
{
    bool beginning = want[n] == '*';
    for (size_t at = 0, k; at < len; at += k + 1) {
        for (k = 0; at + k < len && search_in_word((unsigned char)line[at + k]);)
            k++;
        bool long_enough = beginning ? k >= n : k == n;
        if (n > 0 && long_enough && strncasecmp(line + at, want, n) == 0)
            return true;
    }
    return false;
}

bool search_matches(const char *line, size_t len, const char *text)
{
    len = len < SEARCH_LINE_MAX ? len : SEARCH_LINE_MAX; /* what the index has of it */
    while (*text) {
        size_t n = 0;
        while (search_in_word((unsigned char)text[n]))
            n++;
        if (n > 0 && !search_has(line, len, text, n))
            return false;
        text += n + (text[n] != '\0');
    }
    return true;
}

static void search_function(sqlite3_context *c, int argc, sqlite3_value **argv)
{
    const char *line = sqlite3_value_blob(argv[0]);
    const char *text = (const char *)sqlite3_value_text(argv[1]);
    size_t len = (size_t)sqlite3_value_bytes(argv[0]);
    sqlite3_result_int(c, line && text && search_matches(line, len, text));
}

int search_define(struct sqlite3 *db, struct err *err)
{
    int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int code = sqlite3_create_function_v2(db, "has_words", 2, flags, NULL, search_function, NULL,
                                          NULL, NULL);
    return code == SQLITE_OK ? 0 : db_error(db, "database", err);
}

/* ---- rows ---- */

struct touched {
    int64_t seq;
    bool ended; /* only its end was written */
};

struct search {
    struct sqlite3 *db; /* borrowed */
    sqlite3_stmt *row, *put, *drop;
    struct touched *touched;
    size_t count, room;
    struct buf text;
};

int search_new(struct sqlite3 *db, struct search **ret, struct err *err)
{
    _cleanup_(search_freep) struct search *s = mem_new(struct search);
    s->db = db;
    buf_init(&s->text, SEARCH_BUF_MAX);
    int r = db_prepare(db,
                       "SELECT command, decision, uid, container, approver, rule, exit_code, "
                       "signal, command_line FROM requests WHERE seq = ?",
                       &s->row, err);
    if (r == 0)
        r = db_prepare(db, "INSERT INTO search (rowid, words) VALUES (?, ?)", &s->put, err);
    if (r == 0)
        r = db_prepare(db, "INSERT INTO search (search, rowid, words) VALUES ('delete', ?, ?)",
                       &s->drop, err);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

struct search *search_free(struct search *s)
{
    if (!s)
        return NULL;
    (void)sqlite3_finalize(s->row);
    (void)sqlite3_finalize(s->put);
    (void)sqlite3_finalize(s->drop);
    buf_done(&s->text);
    free(s->touched);
    free(s);
    return NULL;
}

enum {
    ROW_COMMAND,
    ROW_DECISION,
    ROW_UID,
    ROW_CONTAINER,
    ROW_APPROVER,
    ROW_RULE,
    ROW_EXIT,
    ROW_SIGNAL,
    ROW_LINE
};

static void search_column(struct search *s, int column, enum search_fact fact)
{
    if (sqlite3_column_type(s->row, column) == SQLITE_NULL)
        return;
    const char *p = sqlite3_column_blob(s->row, column);
    size_t n = (size_t)sqlite3_column_bytes(s->row, column);
    const char *stop = fact == SEARCH_APPROVER && p ? memmem(p, n, " for ", 5) : NULL;
    search_word(&s->text, fact, p ? p : "", stop ? (size_t)(stop - p) : n);
}

static void search_decision(struct search *s)
{
    const char *command = (const char *)sqlite3_column_blob(s->row, ROW_COMMAND);
    int n = sqlite3_column_bytes(s->row, ROW_COMMAND);
    const char *decision = (const char *)sqlite3_column_text(s->row, ROW_DECISION);
    if (!decision)
        return;
    search_column(s, ROW_DECISION, SEARCH_DECISION);
    _cleanup_buf_ struct buf both = BUF_INIT(SEARCH_BUF_MAX);
    if (command && buf_append(&both, command, (size_t)n) == 0 &&
        buf_append_char(&both, '\0') == 0 && buf_append_str(&both, decision) == 0)
        search_word(&s->text, SEARCH_COMMAND_DECISION, both.data, both.len);
}

static void search_end(struct search *s)
{
    search_column(s, ROW_EXIT, SEARCH_EXIT);
    search_column(s, ROW_SIGNAL, SEARCH_SIGNAL);
}

static void search_beginning(struct search *s)
{
    search_column(s, ROW_COMMAND, SEARCH_COMMAND);
    search_decision(s);
    search_column(s, ROW_UID, SEARCH_UID);
    if (sqlite3_column_type(s->row, ROW_CONTAINER) == SQLITE_NULL)
        search_word(&s->text, SEARCH_CONTAINER, "", 0);
    search_column(s, ROW_CONTAINER, SEARCH_CONTAINER);
    search_column(s, ROW_APPROVER, SEARCH_APPROVER);
    search_column(s, ROW_RULE, SEARCH_RULE);
    const char *line = sqlite3_column_blob(s->row, ROW_LINE);
    size_t n = (size_t)sqlite3_column_bytes(s->row, ROW_LINE);
    if (line)
        (void)buf_append(&s->text, line, n < SEARCH_LINE_MAX ? n : SEARCH_LINE_MAX);
}

/* The words of a row into s->text. 1, 0: there is no such row, or negative. */
static int search_read(struct search *s, int64_t seq, bool ended, struct err *err)
{
    buf_clear(&s->text);
    (void)sqlite3_bind_int64(s->row, 1, seq);
    int code = sqlite3_step(s->row), r = code == SQLITE_ROW;
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        r = db_error(s->db, "database", err);
    if (code == SQLITE_ROW) {
        const char *decision = (const char *)sqlite3_column_text(s->row, ROW_DECISION);
        search_end(s);
        if (!ended)
            search_beginning(s);
        else if (decision && strcmp(decision, "interrupted") == 0)
            search_decision(s); /* an end that changed it */
    }
    (void)sqlite3_reset(s->row);
    return r;
}

static int search_write(struct search *s, sqlite3_stmt *with, int64_t seq, bool ended,
                        struct err *err)
{
    int r = search_read(s, seq, ended, err);
    if (r <= 0 || s->text.len == 0)
        return r < 0 ? r : 0;
    (void)sqlite3_bind_int64(with, 1, seq);
    (void)sqlite3_bind_text64(with, 2, s->text.data, s->text.len, SQLITE_STATIC, SQLITE_UTF8);
    return db_run(with, err);
}

void search_touch(struct search *s, int64_t seq, bool ended)
{
    if (s->count == s->room) {
        s->room = s->room ? 2 * s->room : 256;
        s->touched = mem_realloc_array(s->touched, s->room, sizeof(*s->touched));
    }
    s->touched[s->count++] = (struct touched){seq, ended};
}

/* By row; the whole of one before its end. */
static int search_order(const void *a, const void *b)
{
    const struct touched *x = a, *y = b;
    if (x->seq != y->seq)
        return x->seq < y->seq ? -1 : 1;
    return (int)x->ended - (int)y->ended;
}

int search_flush(struct search *s, struct err *err)
{
    int r = 0;
    if (s->count > 1)
        qsort(s->touched, s->count, sizeof(*s->touched), search_order);
    for (size_t i = 0; r == 0 && i < s->count; i++) {
        if (i > 0 && s->touched[i].seq == s->touched[i - 1].seq)
            continue; /* the row was read as it is now */
        r = search_write(s, s->put, s->touched[i].seq, s->touched[i].ended, err);
    }
    s->count = 0;
    return r;
}

void search_forget(struct search *s)
{
    s->count = 0;
}

int search_remove(struct search *s, int64_t seq, struct err *err)
{
    return search_write(s, s->drop, seq, false, err);
}
