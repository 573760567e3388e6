/* SPDX-License-Identifier: MIT */
/* The audit log as the warden uses it: appending, restarts, full disks, rotation, foreign hands. */
#include "store/jsonl.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <uv.h>

#include "base/clock.h"
#include "store-help.h"

struct test_clock {
    struct clock_port port;
    uint64_t now;
};

static uint64_t moved_clock(struct clock_port *c)
{
    return container_of(c, struct test_clock, port)->now;
}

struct fixture {
    struct help *t;
    uv_loop_t loop;
    struct jsonl_config c;
    struct jsonl *j;
    struct test_clock clock;
    int done_count, done_result;
};

static int set_up(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->t = help_new("test-jsonl");
    assert_int_equal(uv_loop_init(&f->loop), 0);
    jsonl_config_default(&f->c);
    f->c.path = f->t->log;
    f->c.head_path = f->t->head;
    f->c.check_every = 0;
    f->clock = (struct test_clock){.port = {moved_clock, moved_clock},
                                   .now = UINT64_C(1769847300) * CLOCK_NS_PER_SEC};
    f->c.clock = &f->clock.port;
    *state = f;
    return 0;
}

static void open_log(struct fixture *f)
{
    struct err err = {0};
    if (jsonl_open(&f->c, &f->loop, &f->j, &err) != 0)
        fail_msg("open: %s", err.text);
}

static void close_log(struct fixture *f)
{
    jsonl_close(f->j);
    f->j = NULL;
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    if (f->j)
        close_log(f);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    help_free(f->t);
    free(f);
    return 0;
}

static void done(void *arg, int result)
{
    struct fixture *f = arg;
    f->done_count++;
    f->done_result = result;
}

static int append_text(struct fixture *f, const char *members, struct err *err)
{
    struct audit_log *l = jsonl_log(f->j);
    return l->append(l, members, strlen(members), done, f, err);
}

static void append(struct fixture *f, const char *members)
{
    struct err err = {0};
    if (append_text(f, members, &err) != 0)
        fail_msg("append: %s", err.text);
}

static void append_many(struct fixture *f, int from, int to)
{
    for (int i = from; i <= to; i++) {
        char m[64];
        (void)snprintf(m, sizeof(m), "\"event\":\"note\",\"n\":%d", i);
        append(f, m);
    }
}

#define ALLOW(id)                                                                                  \
    "\"id\":\"" id "\",\"event\":\"decision\",\"decision\":\"allow\",\"command\":\"git\""
#define END(id) "\"id\":\"" id "\",\"event\":\"end\",\"decision\":\"allow\",\"exit_code\":0"

static void records_are_written_before_the_answer(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append(f, ALLOW("1"));
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->done_result, 0);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_int_equal(help_count(text, "\n"), 2);
    assert_int_equal(help_count(text, "\"event\":\"start\""), 1);
    assert_non_null(strstr(text, ALLOW("1")));
    help_assert_sound(f->t->log, NULL);
}

static void a_restart_goes_on_with_the_chain(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    open_log(f);
    append_many(f, 4, 5);
    close_log(f);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.records, 9); /* start 1 2 3 stop start 4 5 stop */
    assert_int_equal(v.result.unclean, 0);
    assert_true(v.result.head_checked);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_are_written_before_the_answer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_restart_goes_on_with_the_chain, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
