/* SPDX-License-Identifier: MIT */
/* The index with its threads: what it shows of the log, pages, the queue across restarts, and what
 * it does when its file is no use. */
#include "store/search.h"
#include "store/sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/uuid.h"
#include "store-help.h"
#include "store/jsonl.h"
#include "store/queue-rows.h"

#define PATIENCE (20 * CLOCK_NS_PER_SEC)

struct fixture {
    struct help *t;
    char *db;
    uv_loop_t loop;
    struct jsonl_config lc;
    struct sqlite_config c;
    struct jsonl *j;
    struct sqlite *s;
    int answers, error;
    char *json, *next; /* of the last answer, owned */
};

static int set_up(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->t = help_new("test-sqlite");
    f->db = path_join(f->t->dir, "index.db");
    assert_int_equal(uv_loop_init(&f->loop), 0);
    jsonl_config_default(&f->lc);
    f->lc.path = f->t->log;
    f->c = (struct sqlite_config){.path = f->db, .log_path = f->t->log};
    *state = f;
    return 0;
}

static void open_log(struct fixture *f)
{
    struct err err = {0};
    if (jsonl_open(&f->lc, &f->loop, &f->j, &err) != 0)
        fail_msg("log: %s", err.text);
}

static void open_index(struct fixture *f)
{
    struct err err = {0};
    if (sqlite_open(&f->c, &f->loop, &f->s, &err) != 0)
        fail_msg("index: %s", err.text);
    jsonl_listen(f->j, sqlite_line, f->s);
}

static void open_both(struct fixture *f)
{
    open_log(f);
    open_index(f);
}

static void close_index(struct fixture *f)
{
    if (f->j)
        jsonl_listen(f->j, NULL, NULL);
    sqlite_close(f->s);
    f->s = NULL;
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static void close_both(struct fixture *f)
{
    if (f->s)
        close_index(f);
    jsonl_close(f->j);
    f->j = NULL;
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    close_both(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    help_free(f->t);
    free(f->db);
    free(f->json);
    free(f->next);
    free(f);
    return 0;
}

static void append(struct fixture *f, const char *members)
{
    struct err err = {0};
    struct audit_log *l = jsonl_log(f->j);
    if (l->append(l, members, strlen(members), NULL, NULL, &err) != 0)
        fail_msg("append: %s", err.text);
}

static void decide_at(struct fixture *f, int n, int seconds, const char *decision,
                      const char *command, unsigned uid, const char *container)
{
    char time[32];
    _cleanup_free_ char *m = mem_printf(
        "\"time\":\"%s\",\"id\":\"00000000-0000-7000-8000-%012d\",\"event\":\"decision\","
        "\"door\":\"shim\",\"command\":\"%s\",\"executable\":{\"path\":\"/usr/bin/%s\"},"
        "\"args\":[\"push\",\"it's %d\"],\"cwd\":\"/app\",\"uid\":%u,\"gid\":%u,\"pid\":7,"
        "\"container\":%s%s%s,\"rule\":\"r\",\"verdict\":\"allow\",\"decision\":\"%s\","
        "\"approver\":null,\"waited_ms\":5,\"executor\":\"local\",\"error\":null",
        clock_format((uint64_t)seconds * CLOCK_NS_PER_SEC, time), n, command, command, n, uid, uid,
        container ? "\"" : "", container ? container : "null", container ? "\"" : "", decision);
    append(f, m);
}

/* Request `n`: a decision, `n` seconds after the epoch. */
static void decide(struct fixture *f, int n, const char *decision, const char *command,
                   unsigned uid, const char *container)
{
    decide_at(f, n, n, decision, command, uid, container);
}

static void end(struct fixture *f, int n)
{
    _cleanup_free_ char *m =
        mem_printf("\"time\":\"2026-01-31T08:00:00.000000000Z\",\"id\":"
                   "\"00000000-0000-7000-8000-%012d\",\"event\":\"end\",\"command\":\"git\","
                   "\"exit_code\":%d,\"duration_ms\":12,\"timeout_violation\":false,\"error\":null",
                   n, n % 7);
    append(f, m);
}

static void pause_a_moment(void)
{
    struct timespec t = {.tv_nsec = 2000000};
    (void)nanosleep(&t, NULL);
}

/* Until everything in the log is in the index. */
static void settle(struct fixture *f)
{
    uint64_t until = clock_monotonic() + PATIENCE;
    for (;;) {
        struct sqlite_stats st = sqlite_stats(f->s);
        if (st.working && !st.behind && st.last_seq == jsonl_seq(f->j))
            return;
        if (clock_monotonic() > until)
            fail_msg("the index stays at %" PRIu64 " of %" PRIu64, st.last_seq, jsonl_seq(f->j));
        pause_a_moment();
    }
}

static void answered(void *arg, int err, const char *json, size_t len, const char *next)
{
    struct fixture *f = arg;
    f->answers++;
    f->error = err;
    free(f->json);
    free(f->next);
    f->json = mem_strndup(json, len);
    f->next = mem_strdup(next);
}

/* The page, parsed; owned. */
static struct json *ask(struct fixture *f, const struct history_query *q)
{
    struct json *root = NULL;
    struct err err = {0};
    int before = f->answers;
    if (sqlite_history(f->s, q, answered, f, &err) != 0)
        fail_msg("history: %s", err.text);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->answers, before + 1);
    if (f->error)
        fail_msg("history: %d %s", f->error, f->json);
    assert_int_equal(json_parse(f->json, strlen(f->json), 1000000, &root, &err), 0);
    assert_true(json_is_array(root));
    return root;
}

static const char *text(const struct json *page, size_t i, const char *key)
{
    return json_string(json_get(json_at(page, i), key), NULL);
}

static void a_request_becomes_a_row(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 1, "allow", "git", 1000, "box");
    end(f, 1);
    settle(f);
    _cleanup_(json_freep) struct json *page = ask(f, &(struct history_query){0});
    assert_int_equal(json_count(page), 1);
    const struct json *row = json_at(page, 0);
    assert_true(str_starts(f->json, "[{\"id\":\"00000000-0000-7000-8000-000000000001\""));
    assert_string_equal(text(page, 0, "time"), "1970-01-01T00:00:01.000000000Z");
    assert_string_equal(text(page, 0, "command"), "git");
    assert_string_equal(text(page, 0, "command_line"), "git push 'it'\\''s 1'");
    assert_string_equal(json_string(json_at(json_get(row, "args"), 1), NULL), "it's 1");
    assert_string_equal(text(page, 0, "executable"), "/usr/bin/git");
    assert_string_equal(text(page, 0, "container"), "box");
    assert_string_equal(text(page, 0, "decision"), "allow");
    assert_string_equal(text(page, 0, "rule"), "r");
    assert_int_equal(json_integer(json_get(row, "uid"), -1), 1000);
    assert_int_equal(json_integer(json_get(row, "exit_code"), -1), 1);
    assert_int_equal(json_integer(json_get(row, "duration_ms"), -1), 12);
    assert_true(json_is_bool(json_get(row, "timeout_violation")));
    assert_true(json_is_null(json_get(row, "signal")));
    assert_true(json_is_null(json_get(row, "approver")));
    assert_null(f->next);
}

static void bytes_that_are_not_utf8_come_back_tagged(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    append(f, "\"time\":\"1970-01-01T00:00:01Z\",\"id\":\"x\",\"event\":\"decision\",\"command\":"
              "{\"bytes\":\"/w==\"},\"args\":[{\"bytes\":\"/g==\"}],\"cwd\":\"/a\\u0000b\"");
    settle(f);
    _cleanup_(json_freep) struct json *page = ask(f, &(struct history_query){0});
    assert_non_null(strstr(f->json, "\"command\":{\"bytes\":\"/w==\"}"));
    assert_non_null(strstr(f->json, "\"args\":[{\"bytes\":\"/g==\"}]"));
    assert_non_null(strstr(f->json, "\"cwd\":\"/a\\u0000b\""));
    assert_string_equal(text(page, 0, "command_line"), "$'\\377' $'\\376'");
}

static void ends_change_the_row_of_their_request(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    append(f, "\"time\":\"1970-01-01T00:00:09Z\",\"id\":\"00000000-0000-7000-8000-000000000001\","
              "\"event\":\"end\",\"command\":\"git\",\"signal\":15,\"duration_ms\":1,"
              "\"timeout_violation\":true,\"killed_by\":\"ana\",\"error\":\"why\"");
    decide(f, 2, "allow", "ls", 1, NULL);
    append(f, "\"time\":\"1970-01-01T00:00:09Z\",\"id\":\"00000000-0000-7000-8000-000000000002\","
              "\"event\":\"end\",\"command\":\"ls\",\"decision\":\"interrupted\",\"error\":\"w\"");
    append(
        f,
        "\"time\":\"1970-01-01T00:00:09Z\",\"id\":\"nobody\",\"event\":\"end\",\"command\":\"x\"");
    settle(f);
    _cleanup_(json_freep) struct json *page = ask(f, &(struct history_query){0});
    assert_int_equal(json_count(page), 3);
    assert_string_equal(text(page, 0, "id"),
                        "nobody"); /* its decision is not in the log any more */
    assert_string_equal(text(page, 1, "decision"), "interrupted");
    assert_string_equal(text(page, 1, "error"), "w");
    assert_string_equal(text(page, 2, "decision"), "allow");
    assert_int_equal(json_integer(json_get(json_at(page, 2), "signal"), 0), 15);
    assert_true(json_bool(json_get(json_at(page, 2), "timeout_violation"), false));
    assert_string_equal(text(page, 2, "killed_by"), "ana");
    assert_string_equal(text(page, 2, "error"), "why");
    assert_string_equal(text(page, 2, "end_time"), "1970-01-01T00:00:09.000000000Z");
}

/* ---- pages ---- */

/* Lines are kept together for a moment; a question ends it. */
static void who_asks_sees_what_has_just_happened(void **state)
{
    struct fixture *f = *state;
    struct history_query q = {.limit = 100};
    open_both(f);
    settle(f);
    for (int n = 1; n <= 20; n++) {
        decide(f, n, "deny", "ls", 1000, NULL);
        _cleanup_(json_freep) struct json *page = ask(f, &q);
        assert_int_equal(json_count(page), n);
    }
}

static void pages_are_stable_while_new_requests_come(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    for (int i = 1; i <= 25; i++)
        decide_at(f, i, i / 2, "allow", "git", 1, NULL); /* pairs at the same moment */
    settle(f);
    char seen[64] = {0};
    _cleanup_free_ char *before = NULL;
    int rows = 0, pages = 0;
    do {
        _cleanup_(json_freep) struct json *page =
            ask(f, &(struct history_query){.limit = 7, .before = before});
        for (size_t i = 0; i < json_count(page); i++, rows++) {
            int64_t seq = json_integer(json_get(json_at(page, i), "seq"), 0);
            assert_true(seq > 0 && seq < 64);
            assert_int_equal(seen[seq], 0);
            seen[seq] = 1;
        }
        free(before);
        before = mem_strdup(f->next);
        decide(f, 100 + pages, "allow", "new", 1, NULL);
        settle(f);
        pages++;
    } while (before);
    assert_int_equal(rows, 25);
    assert_int_equal(pages, 4);
}

static void assert_rows(struct fixture *f, const struct history_query *q, size_t n)
{
    _cleanup_(json_freep) struct json *page = ask(f, q);
    assert_int_equal(json_count(page), n);
}

static void filters_choose(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 10, "allow", "git", 1000, "box");
    decide(f, 20, "deny", "git", 1001, NULL);
    decide(f, 30, "deny", "rm", 1000, NULL);
    settle(f);
    end(f, 10); /* in a transaction behind that of its decision */
    settle(f);
#define Q(...) assert_rows(f, &(struct history_query){__VA_ARGS__}
    Q(.command = "git"), 2);
    Q(.command = "gi"), 0);
    Q(.command = "git' OR 1=1 --"), 0);
    Q(.decision = "deny"), 2);
    Q(.decision = "deny", .command = "git"), 1);
    Q(.has_uid = true, .uid = 1000), 2);
    Q(.uid = 1000), 3);
    Q(.container = "box"), 1);
    Q(.container = ""), 2);
    Q(.since = 20 * CLOCK_NS_PER_SEC), 2);
    Q(.until = 20 * CLOCK_NS_PER_SEC), 2);
    Q(.since = 11 * CLOCK_NS_PER_SEC, .until = 29 * CLOCK_NS_PER_SEC), 1);
    Q(.id = "00000000-0000-7000-8000-000000000020"), 1);
    Q(.q = "PUSH"), 3);
    Q(.q = "push rm"), 1);
    Q(.q = "pu"), 0); /* whole words */
    Q(.q = "pu*"), 3);
    Q(.q = "\"push\" OR rm"), 0); /* no language */
    Q(.q = "NEAR(push)"), 0);
    Q(.rule = "r"), 3);
    Q(.rule = "r2"), 0);
    Q(.arg = "push"), 3);
    Q(.arg = "pus"), 0);
    Q(.arg = "--"), 0);
    Q(.has_exit = true, .exit_code = 3), 1); /* written behind its words */
    Q(.has_exit = true, .exit_code = 3, .command = "git", .q = "push 10"), 1);
    Q(.has_exit = true, .exit_code = 0), 0);
    Q(.has_signal = true, .signal = 9), 0);
    Q(.approver = "ana"), 0);
    Q(.limit = 1), 1);
    Q(.limit = 100000), 3);
#undef Q
}

static void a_cursor_of_somebody_else_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    static const char *const bad[] = {"",   "x",    "-1",  "1-2", "1 ",
                                      " 1", "0x12", "+12", "1\n", "9223372036854775808"};
    open_both(f);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct history_query q = {.before = bad[i]};
        if (sqlite_history(f->s, &q, answered, f, &err) != -EINVAL)
            fail_msg("'%s'", bad[i]);
    }
    assert_int_equal(f->answers, 0);
}

static void too_many_questions_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct history_query q = {0};
    f->c.questions_max = 3;
    open_both(f);
    for (int i = 0; i < 3; i++)
        assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), 0);
    assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), -EAGAIN);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->answers, 3);
    assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->answers, 4);
}

static void who_was_forgotten_hears_nothing(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct history_query q = {0};
    open_both(f);
    for (int i = 0; i < 5; i++)
        assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), 0);
    sqlite_forget(f->s, f);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->answers, 0);
}

static void closing_answers_every_question(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct history_query q = {0};
    open_both(f);
    for (int i = 0; i < 20; i++)
        assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), 0);
    close_index(f);
    assert_int_equal(f->answers, 20);
    assert_true(f->error == 0 || f->error == -ECANCELED);
}

/* ---- catching up ---- */

static void what_was_written_without_the_index_is_read_from_the_log(void **state)
{
    struct fixture *f = *state;
    f->lc.rotate_size = 5000;
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    settle(f);
    close_index(f);
    for (int i = 2; i <= 50; i++) /* over several files */
        decide(f, i, "allow", "git", 1, NULL);
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){.limit = 1000}, 50);
    close_both(f);
    open_both(f);
    settle(f);
    assert_rows(f, &(struct history_query){.limit = 1000}, 50);
}

static void a_full_queue_costs_nothing_but_time(void **state)
{
    struct fixture *f = *state;
    f->c.jobs_max = 3;
    open_both(f);
    for (int i = 1; i <= 3000; i++)
        decide(f, i, "allow", "git", 1, NULL);
    settle(f);
    decide(f, 3001, "allow", "git", 1, NULL);
    settle(f);
    _cleanup_(json_freep) struct json *page = ask(f, &(struct history_query){.limit = 1000});
    assert_int_equal(json_count(page), 1000);
    assert_string_equal(text(page, 0, "id"), "00000000-0000-7000-8000-000000003001");
    assert_string_equal(text(page, 999, "id"), "00000000-0000-7000-8000-000000002002");
    assert_int_equal(sqlite_stats(f->s).dropped, 0);
}

static int64_t number(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *s = NULL;
    assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(s), SQLITE_ROW);
    int64_t n = sqlite3_column_int64(s, 0);
    (void)sqlite3_finalize(s);
    (void)sqlite3_close(db);
    return n;
}

static void run_sql(struct fixture *f, const char *sql)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(f->db, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    (void)sqlite3_close(db);
}

static void it_can_be_made_anew_from_the_log(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    for (int i = 1; i <= 10; i++)
        decide(f, i, "allow", "git", 1, NULL);
    settle(f);
    close_index(f);
    run_sql(f, "UPDATE requests SET decision = 'deny'; DELETE FROM requests WHERE seq > 5");
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){0}, 4);
    assert_rows(f, &(struct history_query){.decision = "allow"}, 0);
    sqlite_rebuild(f->s);
    uint64_t until = clock_monotonic() + PATIENCE;
    size_t n = 0;
    while (n != 10 && clock_monotonic() < until) {
        _cleanup_(json_freep) struct json *page =
            ask(f, &(struct history_query){.decision = "allow"});
        n = json_count(page);
    }
    assert_int_equal(n, 10);
    settle(f);
}

static void words_of_one_transaction_and_of_two_are_found(void **state)
{
    struct fixture *f = *state;
    open_log(f); /* all of it in one: read from the log */
    for (int i = 1; i <= 9; i++) {
        decide(f, i, "allow", "git", 1, NULL);
        if (i <= 6)
            end(f, i);
    }
    open_index(f);
    settle(f);
    end(f, 9); /* exit code 2, as that of 2 */
    settle(f);
    assert_rows(f, &(struct history_query){.has_exit = true, .exit_code = 2}, 2);
    assert_rows(f, &(struct history_query){.has_exit = true, .exit_code = 2, .q = "9 push"}, 1);
    assert_rows(f, &(struct history_query){.command = "git", .decision = "allow", .q = "s"}, 9);
}

static void a_made_up_word_in_a_command_line_gains_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf word = BUF_INIT(256);
    open_both(f);
    search_want(&word, SEARCH_DECISION, "deny", 4);
    decide(f, 1, "allow", buf_str(&word), 1, NULL);
    settle(f);
    assert_rows(f, &(struct history_query){.decision = "deny"}, 0);
    buf_done(&word);
}

static void requests_leave_the_index_after_their_time(void **state)
{
    struct fixture *f = *state;
    int now = (int)(clock_realtime() / CLOCK_NS_PER_SEC);
    open_both(f);
    for (int i = 1; i <= 1500; i++)
        decide(f, i, "allow", "git", 1, NULL);
    end(f, 7);
    decide_at(f, 2000, now, "allow", "git", 1, NULL);
    decide_at(f, 2001, now - 7200, "allow", "git", 1, NULL);
    settle(f);
    assert_rows(f, &(struct history_query){.limit = 1000, .q = "push"}, 1000);
    close_index(f);
    f->c.keep = 3600 * CLOCK_NS_PER_SEC;
    open_index(f);
    settle(f);
    uint64_t until = clock_monotonic() + PATIENCE;
    while (number(f, "SELECT count(*) FROM requests") > 1 && clock_monotonic() < until)
        pause_a_moment();
    assert_rows(f, &(struct history_query){0}, 1);
    assert_rows(f, &(struct history_query){.q = "push"}, 1);
    assert_int_equal(number(f, "SELECT count(*) FROM search WHERE search MATCH 'push'"), 1);
}

/* Everything, as an export reads it. */
static size_t export(struct fixture *f, enum rows_format format, struct buf *out)
{
    struct history_query q = {.format = format, .part = true};
    _cleanup_free_ char *before = NULL;
    size_t parts = 0;
    do {
        struct err err = {0};
        q.before = before;
        if (sqlite_history(f->s, &q, answered, f, &err) != 0)
            fail_msg("%s", err.text);
        (void)uv_run(&f->loop, UV_RUN_DEFAULT);
        assert_int_equal(f->error, 0);
        (void)buf_append_str(out, f->json);
        free(before);
        before = mem_strdup(f->next);
        parts++;
    } while (before);
    return parts;
}

static void parts_of_an_export_make_a_whole(void **state)
{
    struct fixture *f = *state;
    struct buf lines = BUF_INIT(64u << 20), csv = BUF_INIT(64u << 20);
    open_both(f);
    for (int i = 1; i <= 6000; i++)
        decide(f, i, "allow", i == 7 ? "=HYPERLINK(1)" : "git", 1, "box");
    settle(f);
    assert_true(export(f, ROWS_LINES, &lines) > 1);
    size_t n = 0;
    for (const char *p = buf_str(&lines); (p = strchr(p, '\n')); p++)
        n++;
    assert_int_equal(n, 6000);
    assert_true(export(f, ROWS_CSV, &csv) > 1);
    n = 0;
    for (const char *p = buf_str(&csv); (p = strstr(p, "\r\n")); p++)
        n++;
    assert_int_equal(n, 6001); /* the titles once */
    assert_memory_equal(buf_str(&csv), "\"id\",\"time\",\"seq\",\"door\"", 24);
    assert_null(strstr(buf_str(&csv), "\"=HYPERLINK"));
    assert_non_null(strstr(buf_str(&csv), "\"'=HYPERLINK(1)\""));
    buf_done(&lines);
    buf_done(&csv);
}

static void an_index_of_another_log_is_put_aside(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    for (int i = 1; i <= 10; i++)
        decide(f, i, "allow", "git", 1, NULL);
    settle(f);
    close_both(f);
    assert_int_equal(unlink(f->t->log), 0);
    open_log(f);
    decide(f, 99, "allow", "ls", 1, NULL);
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){0}, 1);
    _cleanup_free_ char *aside = help_find(f->t, ".stale-");
    assert_non_null(aside);
}

/* ---- a file that is no use ---- */

static void a_damaged_file_is_put_aside_and_made_anew(void **state)
{
    struct fixture *f = *state;
    char junk[4096];
    memset(junk, 'x', sizeof(junk));
    help_write(f->db, junk, sizeof(junk));
    open_log(f);
    decide(f, 1, "allow", "git", 1, NULL);
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){0}, 1);
    _cleanup_free_ char *aside = help_find(f->t, "index.db.damaged-");
    assert_non_null(aside);
    assert_int_equal(sqlite_stats(f->s).rebuilt, 1);
}

static void damage_behind_the_header_is_noticed(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    for (int i = 1; i <= 500; i++)
        decide(f, i, "allow", "git", 1, NULL);
    settle(f);
    close_both(f);
    struct stat st;
    assert_int_equal(stat(f->db, &st), 0);
    _cleanup_close_ int fd = open(f->db, O_WRONLY | O_CLOEXEC);
    _cleanup_free_ char *junk = mem_zalloc((size_t)st.st_size - 4096);
    memset(junk, 0xa5, (size_t)st.st_size - 4096);
    assert_int_equal(pwrite(fd, junk, (size_t)st.st_size - 4096, 4096), st.st_size - 4096);
    open_both(f);
    for (int i = 501; i <= 505; i++)
        decide(f, i, "allow", "git", 1, NULL);
    settle(f);
    assert_rows(f, &(struct history_query){.limit = 1000}, 505);
    _cleanup_free_ char *aside = help_find(f->t, "index.db.damaged-");
    assert_non_null(aside);
}

static void a_file_of_a_newer_version_is_put_aside(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "PRAGMA user_version = 1000");
    open_log(f);
    decide(f, 1, "allow", "git", 1, NULL);
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){0}, 1);
    _cleanup_free_ char *aside = help_find(f->t, "index.db.newer-");
    assert_non_null(aside);
    assert_int_equal(number(f, "PRAGMA user_version"), 3);
}

static void another_database_is_put_aside(void **state)
{
    struct fixture *f = *state;
    run_sql(f, "PRAGMA user_version = 1; CREATE TABLE requests (x)");
    open_log(f);
    decide(f, 1, "allow", "git", 1, NULL);
    open_index(f);
    settle(f);
    assert_rows(f, &(struct history_query){0}, 1);
}

static void a_locked_database_delays_nothing_but_itself(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    settle(f);
    sqlite3 *other = NULL;
    assert_int_equal(sqlite3_open(f->db, &other), SQLITE_OK);
    (void)sqlite3_busy_timeout(other, 10000);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    uint64_t start = clock_monotonic();
    for (int i = 2; i <= 100; i++)
        decide(f, i, "allow", "git", 1, NULL);
    assert_true(clock_monotonic() - start < CLOCK_NS_PER_SEC);
    uint64_t until = start + PATIENCE;
    while (sqlite_stats(f->s).errors == 0 && clock_monotonic() < until)
        pause_a_moment();
    assert_true(sqlite_stats(f->s).errors > 0);
    assert_false(sqlite_stats(f->s).working);
    assert_rows(f, &(struct history_query){0}, 1); /* what is there can be read */
    (void)sqlite3_close(other);
    settle(f);
    assert_rows(f, &(struct history_query){.limit = 1000}, 100);
}

static void a_database_that_cannot_be_made_stops_nothing(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    f->c.path = "/dev/null/index.db";
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    struct history_query q = {0};
    assert_int_equal(sqlite_history(f->s, &q, answered, f, &err), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(f->answers, 1);
    assert_true(f->error < 0);
    assert_true(strlen(f->json) > 0);
    assert_false(sqlite_stats(f->s).working);
}

static void the_file_is_for_its_owner_only(void **state)
{
    struct fixture *f = *state;
    mode_t before = umask(0);
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    settle(f);
    (void)umask(before);
    static const char *const ends[] = {"", "-wal", "-shm"};
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        _cleanup_free_ char *p = mem_printf("%s%s", f->db, ends[i]);
        struct stat st;
        assert_int_equal(stat(p, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

/* ---- the queue ---- */

#define DIGEST "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void put_row(struct fixture *f, uint8_t id, uint64_t waiting_at)
{
    char summary[] = "{\"command\":\"git\"}";
    struct queue_row row = {.id = {id},
                            .digest = DIGEST,
                            .pid = 77,
                            .start_time = 123456,
                            .waiting_at = waiting_at,
                            .deadline = UINT64_C(1769847300000000001),
                            .summary = summary};
    struct index *x = sqlite_index(f->s);
    x->queue_put(x, &row);
    memset(summary, 'x', sizeof(summary)); /* it was copied */
}

static void what_waited_is_there_after_a_restart(void **state)
{
    struct fixture *f = *state;
    struct queue_row *rows = NULL;
    size_t n = 9;
    open_both(f);
    sqlite_take_rows(f->s, &rows, &n);
    assert_int_equal(n, 0);
    queue_rows_free(rows, n);
    put_row(f, 1, 300);
    put_row(f, 2, 100);
    put_row(f, 2, 150); /* changed */
    close_index(f);
    open_index(f);
    sqlite_take_rows(f->s, &rows, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].id[0], 2); /* the oldest first */
    assert_int_equal(rows[0].waiting_at, 150);
    assert_int_equal(rows[1].id[0], 1);
    assert_int_equal(rows[1].pid, 77);
    assert_int_equal(rows[1].start_time, 123456);
    assert_int_equal(rows[1].deadline, UINT64_C(1769847300000000001));
    assert_string_equal(rows[1].digest, DIGEST);
    assert_string_equal(rows[1].summary, "{\"command\":\"git\"}");
    queue_rows_free(rows, n);
}

/* Of request `n` of decide(). */
static void put_row_of(struct fixture *f, int n)
{
    uint8_t id[16];
    char text[UUID_TEXT_SIZE];
    (void)snprintf(text, sizeof(text), "00000000-0000-7000-8000-%012d", n);
    assert_int_equal(uuid_parse(text, id), 0);
    char summary[] = "{}";
    struct queue_row row = {.digest = DIGEST, .pid = 77, .waiting_at = 1, .summary = summary};
    memcpy(row.id, id, sizeof(id));
    sqlite_index(f->s)->queue_put(sqlite_index(f->s), &row);
}

static void what_is_decided_waits_no_more(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    settle(f);
    put_row_of(f, 1);
    put_row_of(f, 2);
    decide(f, 2, "ask-denied", "git", 1, NULL);
    end(f, 1); /* an end is no decision */
    settle(f);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 1);
    decide(f, 1, "withdrawn", "git", 1, NULL);
    settle(f);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 0);
}

/* The index walks the log while more is written: it may read a decision before it takes the row. */
static void a_row_behind_its_decision_does_not_wait(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 1, "withdrawn", "git", 1, NULL);
    settle(f);
    put_row_of(f, 1);
    put_row_of(f, 2);
    decide(f, 3, "allow", "git", 1, NULL);
    settle(f);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 1);
}

/* The warden was killed between the record of a decision and the index's reading of it. */
static void a_decision_that_the_index_missed_counts_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    struct queue_row *rows = NULL;
    size_t n = 9;
    open_both(f);
    decide(f, 7, "allow", "git", 1, NULL);
    for (int i = 1; i <= 4; i++)
        put_row_of(f, i);
    settle(f);
    close_index(f);
    decide(f, 2, "ask-approved", "git", 1, NULL);
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    decide(f, 4, "ask-denied", "git", 1, NULL);
    open_index(f);
    sqlite_take_rows(f->s, &rows, &n);
    assert_int_equal(n, 2);
    assert_int_equal(rows[0].id[15], 1);
    assert_int_equal(rows[1].id[15], 3);
    queue_rows_free(rows, n);
    settle(f);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 2);
}

static void count_kept(void *arg, const uint8_t id[16])
{
    unsigned *bits = arg;
    *bits |= 1u << id[15];
}

static void on_patience(uv_timer_t *t)
{
    fail_msg("kept() was not called");
}

static void wait_for_bits(struct fixture *f, const unsigned *bits, unsigned want)
{
    uv_timer_t timer; /* and the loop has something to live for */
    assert_int_equal(uv_timer_init(&f->loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_patience, 20000, 0), 0);
    while (*bits != want)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    (void)uv_run(&f->loop, UV_RUN_NOWAIT);
}

static void who_waits_hears_when_its_row_is_safe(void **state)
{
    struct fixture *f = *state;
    unsigned kept = 0;
    open_both(f);
    sqlite_index(f->s)->kept_arg = &kept;
    sqlite_index(f->s)->kept = count_kept;
    put_row_of(f, 1);
    put_row_of(f, 2);
    assert_int_equal(kept, 0);
    wait_for_bits(f, &kept, 6);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 2);
}

static void who_waits_hears_of_a_row_that_cannot_be_written(void **state)
{
    struct fixture *f = *state;
    unsigned kept = 0;
    assert_int_equal(mkdir(f->db, 0700), 0);
    open_both(f);
    sqlite_index(f->s)->kept_arg = &kept;
    sqlite_index(f->s)->kept = count_kept;
    put_row_of(f, 1);
    wait_for_bits(f, &kept, 2);
    close_both(f);
    assert_int_equal(rmdir(f->db), 0);
}

static void rows_that_make_no_sense_are_left_out(void **state)
{
    struct fixture *f = *state;
    struct queue_row *rows = NULL;
    size_t n = 0;
    open_both(f);
    put_row(f, 1, 300);
    close_index(f);
    run_sql(
        f,
        "INSERT INTO queue VALUES (x'01', '" DIGEST "', 1, 1, 1, 1, '{}');"
        "INSERT INTO queue VALUES (x'00112233445566778899aabbccddeeff', 'short', 1, 1, 1, 1, '');"
        "INSERT INTO queue VALUES (x'00112233445566778899aabbccddee00', '" DIGEST
        "', -1, 1, 1, 1, '')");
    open_index(f);
    sqlite_take_rows(f->s, &rows, &n);
    assert_int_equal(n, 1);
    queue_rows_free(rows, n);
}

static void the_queue_survives_a_stale_index(void **state)
{
    struct fixture *f = *state;
    open_both(f);
    decide(f, 1, "allow", "git", 1, NULL);
    decide(f, 2, "allow", "git", 1, NULL);
    put_row(f, 1, 300);
    settle(f);
    close_both(f);
    assert_int_equal(unlink(f->t->log), 0);
    open_both(f);
    settle(f);
    assert_int_equal(number(f, "SELECT count(*) FROM queue"), 1);
    assert_int_equal(number(f, "SELECT count(*) FROM requests"), 0);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_request_becomes_a_row),
        TEST(bytes_that_are_not_utf8_come_back_tagged),
        TEST(ends_change_the_row_of_their_request),
        TEST(who_asks_sees_what_has_just_happened),
        TEST(pages_are_stable_while_new_requests_come),
        TEST(filters_choose),
        TEST(a_cursor_of_somebody_else_is_refused),
        TEST(too_many_questions_are_refused),
        TEST(who_was_forgotten_hears_nothing),
        TEST(closing_answers_every_question),
        TEST(what_was_written_without_the_index_is_read_from_the_log),
        TEST(a_full_queue_costs_nothing_but_time),
        TEST(it_can_be_made_anew_from_the_log),
        TEST(words_of_one_transaction_and_of_two_are_found),
        TEST(a_made_up_word_in_a_command_line_gains_nothing),
        TEST(requests_leave_the_index_after_their_time),
        TEST(parts_of_an_export_make_a_whole),
        TEST(an_index_of_another_log_is_put_aside),
        TEST(a_damaged_file_is_put_aside_and_made_anew),
        TEST(damage_behind_the_header_is_noticed),
        TEST(a_file_of_a_newer_version_is_put_aside),
        TEST(another_database_is_put_aside),
        TEST(a_locked_database_delays_nothing_but_itself),
        TEST(a_database_that_cannot_be_made_stops_nothing),
        TEST(the_file_is_for_its_owner_only),
        TEST(what_waited_is_there_after_a_restart),
        TEST(what_is_decided_waits_no_more),
        TEST(a_row_behind_its_decision_does_not_wait),
        TEST(a_decision_that_the_index_missed_counts_at_the_next_start),
        TEST(who_waits_hears_when_its_row_is_safe),
        TEST(who_waits_hears_of_a_row_that_cannot_be_written),
        TEST(rows_that_make_no_sense_are_left_out),
        TEST(the_queue_survives_a_stale_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
