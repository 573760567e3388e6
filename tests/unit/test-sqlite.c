/* SPDX-License-Identifier: MIT */
/* The index with its threads: what it shows of the log, pages, the queue across restarts, and what
 * it does when its file is no use. */
#include "store/sqlite.h"

#include <errno.h>
#include <sqlite3.h>
#include <time.h>
#include <uv.h>

#include "base/clock.h"
#include "base/json.h"
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

/* Request `n`: a decision, `n` seconds after the epoch. */
static void decide(struct fixture *f, int n, const char *decision, const char *command,
                   unsigned uid, const char *container)
{
    char time[32];
    _cleanup_free_ char *m = mem_printf(
        "\"time\":\"%s\",\"id\":\"00000000-0000-7000-8000-%012d\",\"event\":\"decision\","
        "\"door\":\"shim\",\"command\":\"%s\",\"executable\":{\"path\":\"/usr/bin/%s\"},"
        "\"args\":[\"push\",\"it's %d\"],\"cwd\":\"/app\",\"uid\":%u,\"gid\":%u,\"pid\":7,"
        "\"container\":%s%s%s,\"rule\":\"r\",\"verdict\":\"allow\",\"decision\":\"%s\","
        "\"approver\":null,\"waited_ms\":5,\"executor\":\"local\",\"error\":null",
        clock_format((uint64_t)n * CLOCK_NS_PER_SEC, time), n, command, command, n, uid, uid,
        container ? "\"" : "", container ? container : "null", container ? "\"" : "", decision);
    append(f, m);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_becomes_a_row, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
