/* SPDX-License-Identifier: MIT */
/* Leaving frequent words out of a search changes what it costs, never what it finds: random
 * questions against a plain look at every row. */
#include "store/rare.h"

#include <sqlite3.h>

#include "base/clock.h"
#include "base/json.h"
#include "store-help.h"
#include "store/db.h"
#include "store/ingest.h"
#include "store/pages.h"
#include "store/search.h"

#define ROWS 6000
#define STEP 20 /* between their numbers in the log: few rows, and a log that is long enough */
#define QUESTIONS 400

struct row {
    unsigned command, decision, uid, container, exit, words[4];
};

struct fixture {
    struct help *h;
    struct sqlite3 *db;
    struct row *rows;
    uint64_t state;
};

static const char *const commands[] = {"git", "ls", "npm", "make"};
static const char *const decisions[] = {"allow", "deny", "ask-approved"};
static const char *const containers[] = {"", "box", "tub"};

static unsigned pick(struct fixture *f, unsigned n)
{
    f->state ^= f->state << 13;
    f->state ^= f->state >> 7;
    f->state ^= f->state << 17;
    return (unsigned)(f->state % n);
}

/* Most often 0, rarely much. */
static unsigned skewed(struct fixture *f, unsigned n)
{
    return pick(f, pick(f, pick(f, n) + 1) + 1);
}

static void put(struct fixture *f, struct ingest *g, uint64_t seq, const char *members)
{
    static const char zero[] = "0000000000000000000000000000000000000000000000000000000000000000";
    struct err err = {""};
    _cleanup_free_ char *line =
        mem_printf("{\"v\":1,\"seq\":%" PRIu64 ",\"prev\":\"%s\",%s,\"hash\":\"%s\"}", seq, zero,
                   members, zero);
    if (ingest_line(g, line, strlen(line), &err) < 0 || ingest_last_seq(g) != seq)
        fail_msg("%s: %s", err.text, line);
}

static void put_row(struct fixture *f, struct ingest *g, unsigned n)
{
    struct row *r = &f->rows[n];
    char time[32];
    *r = (struct row){skewed(f, 4), skewed(f, 3), skewed(f, 5), skewed(f, 3), skewed(f, 4), {0}};
    for (int i = 0; i < 4; i++)
        r->words[i] = skewed(f, 40);
    _cleanup_free_ char *id = mem_printf("\"id\":\"00000000-0000-7000-8000-%012u\"", n);
    _cleanup_free_ char *box = mem_printf("\"%s\"", containers[r->container]);
    _cleanup_free_ char *decision = mem_printf(
        "\"time\":\"%s\",%s,\"event\":\"decision\",\"door\":\"shim\",\"command\":\"%s\","
        "\"args\":[\"All\",\"w%u/W%u\",\"--x=w%u\",\"w%u\"],\"uid\":%u,\"gid\":1,\"pid\":7,"
        "\"container\":%s,\"rule\":\"r\",\"verdict\":\"allow\",\"decision\":\"%s\","
        "\"approver\":null,\"waited_ms\":0,\"executor\":\"local\",\"error\":null",
        clock_format((uint64_t)(n + 10000) * CLOCK_NS_PER_SEC, time), id, commands[r->command],
        r->words[0], r->words[1], r->words[2], r->words[3], r->uid, r->container ? box : "null",
        decisions[r->decision]);
    put(f, g, (uint64_t)n * STEP + 1, decision);
    _cleanup_free_ char *end =
        mem_printf("\"time\":\"%s\",%s,\"event\":\"end\",\"exit_code\":%u,\"duration_ms\":1", time,
                   id, r->exit);
    put(f, g, (uint64_t)n * STEP + 2, end);
}

static void make_rows(struct fixture *f, const char *path)
{
    struct err err = {""};
    struct sqlite3 *db = NULL;
    struct ingest *g = NULL;
    if (db_open(path, &db, &err) < 0 || ingest_new(db, &g, &err) < 0)
        fail_msg("%s", err.text);
    for (unsigned n = 0; n < ROWS; n++) { /* in several segments of the index */
        if (n % 1000 == 0)
            assert_int_equal(db_exec(db, "BEGIN IMMEDIATE", &err), 0);
        put_row(f, g, n);
        if (n % 1000 == 999) {
            assert_int_equal(ingest_mark(g, &err), 0);
            assert_int_equal(db_exec(db, "COMMIT", &err), 0);
        }
    }
    ingest_free(g);
    db_close(db);
}

static int set_up(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    struct err err = {""};
    f->h = help_new("test-rare");
    f->rows = mem_new_array(struct row, ROWS);
    f->state = 88172645463325252;
    _cleanup_free_ char *path = path_join(f->h->dir, "index.db");
    make_rows(f, path);
    if (db_open_reader(path, &f->db, &err) < 0)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    db_close(f->db);
    help_free(f->h);
    free(f->rows);
    free(f);
    return 0;
}

/* ---- questions ---- */

struct question {
    struct history_query q;
    int command, decision, container; /* -1: any */
    unsigned words[3], words_count;   /* of the text */
    int arg;                          /* -1, or the number of the last argument */
    bool beginning;                   /* of the first word: "w1*" */
    bool all;                         /* "ALL" stands in the text too */
    char text[64], arg_text[16], before[24];
};

static void draw(struct fixture *f, struct question *y)
{
    *y = (struct question){.q = {.limit = 100}, .command = -1, .decision = -1, .container = -1};
    y->arg = -1;
    if (pick(f, 2))
        y->q.command = commands[y->command = (int)pick(f, 4)];
    if (pick(f, 2))
        y->q.decision = decisions[y->decision = (int)pick(f, 3)];
    if (pick(f, 2))
        y->q.container = containers[y->container = (int)pick(f, 3)];
    if ((y->q.has_uid = pick(f, 2)))
        y->q.uid = pick(f, 5);
    if ((y->q.has_exit = pick(f, 2)))
        y->q.exit_code = (int)pick(f, 4);
    if (pick(f, 3) == 0) {
        y->q.since = (10000 + pick(f, ROWS / 2)) * CLOCK_NS_PER_SEC;
        y->q.until = y->q.since + pick(f, ROWS) * CLOCK_NS_PER_SEC;
    }
    if (pick(f, 4) == 0) {
        y->arg = (int)skewed(f, 40);
        (void)snprintf(y->arg_text, sizeof(y->arg_text), "w%d", y->arg);
        y->q.arg = y->arg_text;
    }
    y->words_count = pick(f, 4);
    y->beginning = pick(f, 4) == 0;
    y->all = pick(f, 2);
    size_t n = 0;
    for (unsigned i = 0; i < y->words_count; i++) {
        y->words[i] = skewed(f, 40);
        n += (size_t)snprintf(y->text + n, sizeof(y->text) - n, "%cw%u%s", i ? '-' : ' ',
                              y->words[i], i == 0 && y->beginning ? "*" : "");
    }
    if (y->all)
        (void)snprintf(y->text + n, sizeof(y->text) - n, " aLL");
    if (y->words_count > 0 || y->all)
        y->q.q = y->text;
}

static bool has_word(const struct row *r, unsigned word, bool beginning)
{
    char want[8], have[8];
    (void)snprintf(want, sizeof(want), "w%u", word);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(have, sizeof(have), "w%u", r->words[i]);
        if (beginning ? str_starts(have, want) : str_eq(have, want))
            return true;
    }
    return false;
}

static bool fits(const struct question *y, const struct row *r, unsigned n)
{
    uint64_t time = (uint64_t)(n + 10000) * CLOCK_NS_PER_SEC;
    bool fit = (y->command < 0 || r->command == (unsigned)y->command) &&
               (y->decision < 0 || r->decision == (unsigned)y->decision) &&
               (y->container < 0 || r->container == (unsigned)y->container) &&
               (!y->q.has_uid || r->uid == y->q.uid) &&
               (!y->q.has_exit || r->exit == (unsigned)y->q.exit_code) &&
               (y->arg < 0 || r->words[3] == (unsigned)y->arg) &&
               (!y->q.since || (time >= y->q.since && time <= y->q.until));
    for (unsigned i = 0; fit && i < y->words_count; i++)
        fit = has_word(r, y->words[i], i == 0 && y->beginning);
    return fit;
}

/* All pages: the rows of `found`, in order. */
static size_t ask(struct fixture *f, struct question *y, unsigned *found)
{
    size_t n = 0;
    do {
        struct pages_page page;
        struct err err = {""};
        _cleanup_(json_freep) struct json *list = NULL;
        if (pages_read(f->db, &y->q, &page, &err) < 0 ||
            json_parse(buf_str(&page.text), page.text.len, 1000000, &list, &err) < 0)
            fail_msg("%s", err.text);
        for (size_t i = 0; i < json_count(list); i++, n++) {
            const char *id = json_string(json_get(json_at(list, i), "id"), NULL);
            found[n] = (unsigned)strtoul(strrchr(id, '-') + 1, NULL, 10);
        }
        (void)snprintf(y->before, sizeof(y->before), "%s", page.next);
        y->q.before = y->before;
        buf_done(&page.text);
    } while (y->before[0]);
    return n;
}

static void a_search_finds_what_a_plain_look_at_every_row_finds(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ unsigned *found = mem_new_array(unsigned, ROWS);
    size_t hits = 0;
    for (int i = 0; i < QUESTIONS; i++) {
        struct question y;
        draw(f, &y);
        size_t n = ask(f, &y, found), at = 0;
        for (unsigned row = ROWS; row-- > 0;)
            if (fits(&y, &f->rows[row], row) && (at >= n || found[at++] != row))
                fail_msg("question %d ('%s', %s, %s): row %u is missing", i, y.text,
                         y.q.command ? y.q.command : "-", y.q.decision ? y.q.decision : "-", row);
        assert_int_equal(at, n); /* nothing else was found */
        hits += n > 0;
    }
    assert_true(hits > QUESTIONS / 4);
}

static void frequent_words_are_left_out_and_the_rarest_stays(void **state)
{
    struct fixture *f = *state;
    struct err err = {""};
    static const struct {
        const char *given, *chosen;
        int64_t first;
    } cases[] = {
        {"\"all\"", "\"all\"", 0},
        {"\"all\" AND \"nowhere\"", "\"nowhere\"", 0},
        {"\"nowhere\" AND \"w\" * AND \"all\"", "\"nowhere\"", 0},
        {"\"w\" * AND \"all\"", "\"all\" AND \"w\" *", 0}, /* neither rules out much */
        {"\"all\" AND \"nowhere\"", "\"all\" AND \"nowhere\"", (int64_t)ROWS * STEP - 1000},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_buf_ struct buf match = BUF_INIT(1024);
        (void)buf_append_str(&match, cases[i].given);
        assert_int_equal(rare_words(f->db, cases[i].first, INT64_MAX, &match, &err), 0);
        assert_string_equal(buf_str(&match), cases[i].chosen);
    }
}

static void words_of_a_line_are_those_of_the_index(void **state)
{
    static const struct {
        const char *line, *text;
        bool fits;
    } cases[] = {
        {"git push --force", "FORCE git", true},
        {"git push --force", "forc", false},
        {"git push --force", "forc*", true},
        {"git push --force", "*", true}, /* no word: nothing is wanted */
        {"git push", "push push", true},
        {"git push", "git*push", true},
        {"a", "aa", false},
        {"", "a", false},
        {"caf\xc3\xa9 au lait", "caf\xc3\xa9", true}, /* bytes above ASCII are letters */
        {"caf\xc3\xa9 au lait", "caf", false},
        {"a_b", "b", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (search_matches(cases[i].line, strlen(cases[i].line), cases[i].text) != cases[i].fits)
            fail_msg("'%s' in '%s'", cases[i].text, cases[i].line);
    struct buf line = BUF_INIT(SEARCH_LINE_MAX + 100);
    for (size_t i = 0; i < SEARCH_LINE_MAX; i++)
        (void)buf_append_char(&line, ' ');
    (void)buf_append_str(&line, "late");
    assert_false(search_matches(buf_str(&line), line.len, "late"));
    buf_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_search_finds_what_a_plain_look_at_every_row_finds),
        cmocka_unit_test(frequent_words_are_left_out_and_the_rarest_stays),
        cmocka_unit_test(words_of_a_line_are_those_of_the_index),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
