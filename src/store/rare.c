/* SPDX-License-Identifier: MIT */
/* How frequent a word is, is seen in two small samples: where a page begins, and in the middle. */
#include "store/rare.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/db.h"
#include "store/search.h"

#define RARE_SAMPLE 4096       /* numbers of the log */
#define RARE_WORTH_IT 32768    /* rows from which on it pays to look */
#define RARE_WORDS_MAX 64      /* of a question; the rest is taken as it is */
#define RARE_ROW_PER_ENTRY 250 /* looking at a row takes so many times a step in a word's list */

struct word {
    const char *text;
    size_t len;
    double share; /* of all rows */
};

static size_t rare_split(const char *match, struct word *words)
{
    size_t n = 0;
    for (const char *p = match, *end; *p && n < RARE_WORDS_MAX; p = *end ? end + 5 : end) {
        end = strstr(p, SEARCH_AND);
        end = end ? end : p + strlen(p);
        words[n++] = (struct word){.text = p, .len = (size_t)(end - p)};
    }
    return n;
}

/* The beginning of a word stands for many lists, which are all walked for any answer. */
static bool rare_is_beginning(const struct word *w)
{
    return memchr(w->text, '*', w->len) != NULL;
}

static int rare_count(sqlite3_stmt *s, const struct word *w, int64_t first, int64_t last,
                      int64_t *ret, struct err *err)
{
    (void)sqlite3_bind_text(s, 1, w->text, (int)w->len, SQLITE_STATIC);
    (void)sqlite3_bind_int64(s, 2, first);
    (void)sqlite3_bind_int64(s, 3, last);
    int code = sqlite3_step(s);
    if (code == SQLITE_ROW)
        *ret += sqlite3_column_int64(s, 0);
    int r = code == SQLITE_ROW ? 0 : db_error(sqlite3_db_handle(s), "history", err);
    (void)sqlite3_reset(s);
    return r;
}

static int rare_look(sqlite3_stmt *s, struct word *w, int64_t first, int64_t last, struct err *err)
{
    int64_t hits = 0, middle = first + (last - first) / 2;
    w->share = 1;
    if (rare_is_beginning(w))
        return 0;
    int r = rare_count(s, w, last - RARE_SAMPLE + 1, last, &hits, err);
    if (r == 0)
        r = rare_count(s, w, middle, middle + RARE_SAMPLE - 1, &hits, err);
    w->share = ((double)hits + 0.5) / (2.0 * RARE_SAMPLE);
    return r;
}

static int rare_order(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    return x->share < y->share ? -1 : x->share > y->share;
}

/* The rarest, and each further one whose list is shorter to walk than the rows that the ones
 * before it leave are to be looked at. */
static void rare_choose(struct word *words, size_t n, struct buf *match)
{
    double left = 1;
    _cleanup_buf_ struct buf chosen = BUF_INIT(match->limit);
    qsort(words, n, sizeof(*words), rare_order);
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && words[i].share > left * RARE_ROW_PER_ENTRY)
            continue;
        if (i > 0)
            (void)buf_append_str(&chosen, SEARCH_AND);
        (void)buf_append(&chosen, words[i].text, words[i].len);
        left *= words[i].share;
    }
    buf_clear(match);
    (void)buf_append(match, buf_str(&chosen), chosen.len);
}

static int rare_last(struct sqlite3 *db, int64_t *last, struct err *err)
{
    sqlite3_stmt *s = NULL;
    int r = db_prepare(db, "SELECT max(seq) FROM requests", &s, err);
    if (r == 0 && sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int64(s, 0) < *last)
        *last = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    return r;
}

int rare_words(struct sqlite3 *db, int64_t first, int64_t last, struct buf *match, struct err *err)
{
    struct word words[RARE_WORDS_MAX];
    sqlite3_stmt *s = NULL;
    size_t n = rare_split(buf_str(match), words);
    int r = n > 1 && n < RARE_WORDS_MAX ? rare_last(db, &last, err) : 0;
    if (r < 0 || n < 2 || n == RARE_WORDS_MAX || last - first < RARE_WORTH_IT)
        return r;
    r = db_prepare(db, "SELECT count(*) FROM search WHERE search MATCH ? AND rowid BETWEEN ? AND ?",
                   &s, err);
    for (size_t i = 0; r == 0 && i < n; i++)
        r = rare_look(s, &words[i], first, last, err);
    (void)sqlite3_finalize(s);
    if (r == 0)
        rare_choose(words, n, match);
    return r;
}
