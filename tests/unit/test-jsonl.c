/* SPDX-License-Identifier: MIT */
/* The audit log as the warden uses it: appending, restarts, full disks, rotation, foreign hands. */
#include "store/jsonl.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
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
    uv_timer_t timer;
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
    assert_int_equal(uv_timer_init(&f->loop, &f->timer), 0);
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
    uv_close((uv_handle_t *)&f->timer, NULL);
    assert_int_equal(uv_run(&f->loop, UV_RUN_DEFAULT), 0);
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

static void fired(uv_timer_t *t)
{
}

static void spin(struct fixture *f, uint64_t ns)
{
    assert_int_equal(uv_timer_start(&f->timer, fired, ns / CLOCK_NS_PER_MS, 0), 0);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
}

/* Until `*value` is `wanted`, with the loop running; fails after some seconds. */
static void wait_for(struct fixture *f, const int *value, int wanted)
{
    for (int i = 0; i < 5000 && *value != wanted; i++)
        spin(f, CLOCK_NS_PER_MS);
    assert_int_equal(*value, wanted);
}

/* Lines from `first` on (1 is the first) go, until there are `keep` before them. */
static void keep_lines(const char *path, size_t keep)
{
    _cleanup_free_ char *text = help_read(path);
    char *end = text;
    for (size_t i = 0; i < keep; i++)
        end = strchr(end, '\n') + 1;
    help_write(path, text, (size_t)(end - text));
}

static void assert_records(struct fixture *f, const char *event, size_t n)
{
    _cleanup_free_ char *text = help_read(f->t->log);
    _cleanup_free_ char *member = mem_printf("\"event\":\"%s\"", event);
    assert_int_equal(help_count(text, member), n);
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

/* ---- what is refused ---- */

static void a_record_that_is_not_one_line_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    open_log(f);
    _cleanup_free_ char *before = help_read(f->t->log);
    assert_int_equal(append_text(f, "\"a\":1\n", &err), -EINVAL);
    assert_int_equal(append_text(f, "", &err), -EINVAL);
    assert_int_equal(f->done_count, 0);
    _cleanup_free_ char *after = help_read(f->t->log);
    assert_string_equal(before, after);
}

static void a_second_warden_on_the_same_log_is_refused(void **state)
{
    struct fixture *f = *state;
    struct jsonl *other = NULL;
    struct err err = {0};
    open_log(f);
    assert_int_equal(jsonl_open(&f->c, &f->loop, &other, &err), -EBUSY);
    assert_non_null(strstr(err.text, "another warden"));
    assert_null(other);
    append(f, ALLOW("1"));
}

static void what_is_no_regular_file_is_no_log(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    assert_int_equal(symlink("elsewhere", f->t->log), 0);
    assert_int_equal(jsonl_open(&f->c, &f->loop, &f->j, &err), -ELOOP);
    assert_non_null(strstr(err.text, "symbolic link"));
    assert_int_equal(unlink(f->t->log), 0);
    assert_int_equal(mkfifo(f->t->log, 0600), 0);
    assert_int_equal(jsonl_open(&f->c, &f->loop, &f->j, &err), -EINVAL);
    f->c.path = "/dev/null/audit.jsonl";
    assert_true(jsonl_open(&f->c, &f->loop, &f->j, &err) < 0);
}

/* ---- a full disk ---- */

static struct rlimit limit_files(rlim_t bytes)
{
    struct rlimit old, now;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    now = (struct rlimit){bytes, old.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
    return old;
}

static off_t size_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_size;
}

/* The limit of file sizes ends a write in its middle, as a full disk does. */
static void a_full_disk_refuses_and_recovers(void **state)
{
    struct fixture *f = *state;
    struct err err = {0}, why = {0};
    open_log(f);
    append(f, ALLOW("1"));
    assert_int_equal(jsonl_health(f->j, &why), 0);
    off_t before = size_of(f->t->log);
    struct rlimit old = limit_files((rlim_t)before + 50);
    for (int i = 0; i < 3; i++) {
        int r = append_text(f, ALLOW("2"), &err);
        assert_true(r == -ENOSPC || r == -EFBIG);
        assert_non_null(strstr(err.text, "cannot write the audit record"));
        assert_int_equal(size_of(f->t->log), before); /* no half line stays */
    }
    assert_true(jsonl_health(f->j, &why) < 0);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    append(f, ALLOW("3"));
    assert_int_equal(jsonl_health(f->j, &why), 0);
    help_assert_sound(f->t->log, NULL);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_null(strstr(text, ALLOW("2")));
}

/* What the start has to say is written before the first record of a command. */
static void a_start_on_a_full_disk_owes_its_records(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    open_log(f);
    append(f, ALLOW("1"));
    close_log(f);
    struct rlimit old = limit_files((rlim_t)size_of(f->t->log));
    open_log(f);
    assert_true(append_text(f, ALLOW("2"), &err) < 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    append(f, ALLOW("3"));
    _cleanup_free_ char *text = help_read(f->t->log);
    const char *start = strstr(strstr(text, "\"event\":\"stop\""), "\"event\":\"start\"");
    assert_non_null(start);
    const char *interrupted = strstr(start, "\"interrupted\"");
    assert_non_null(interrupted);
    assert_non_null(strstr(interrupted, ALLOW("3")));
    help_assert_sound(f->t->log, NULL);
}

/* ---- syncing ---- */

static int syncs, syncs_to_fail;

static int counted_sync(int fd)
{
    __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&syncs_to_fail, __ATOMIC_SEQ_CST) > 0) {
        __atomic_sub_fetch(&syncs_to_fail, 1, __ATOMIC_SEQ_CST);
        errno = EIO;
        return -1;
    }
    return fdatasync(fd);
}

static void count_syncs(struct fixture *f, enum jsonl_sync mode)
{
    syncs = syncs_to_fail = 0;
    f->c.fdatasync = counted_sync;
    f->c.sync = mode;
}

static void in_always_mode_the_answer_comes_after_the_sync(void **state)
{
    struct fixture *f = *state;
    count_syncs(f, JSONL_SYNC_ALWAYS);
    open_log(f);
    append_many(f, 1, 200);
    assert_int_equal(f->done_count, 0); /* answers come from the loop only */
    wait_for(f, &f->done_count, 200);
    assert_int_equal(f->done_result, 0);
    int n = __atomic_load_n(&syncs, __ATOMIC_SEQ_CST);
    assert_true(n >= 1 && n < 100); /* many by one */
}

static void in_write_mode_the_disk_has_it_within_a_second(void **state)
{
    struct fixture *f = *state;
    count_syncs(f, JSONL_SYNC_WRITE);
    open_log(f);
    append_many(f, 1, 10);
    assert_int_equal(f->done_count, 10);
    spin(f, CLOCK_NS_PER_SEC);
    assert_true(__atomic_load_n(&syncs, __ATOMIC_SEQ_CST) >= 1);
    assert_true(__atomic_load_n(&syncs, __ATOMIC_SEQ_CST) <= 3);
    spin(f, 500 * CLOCK_NS_PER_MS);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_true(v.result.head_checked); /* the head file follows while the warden runs */
}

static void a_failed_sync_fails_the_record_and_those_behind_it(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    count_syncs(f, JSONL_SYNC_ALWAYS);
    open_log(f);
    append(f, ALLOW("1"));
    wait_for(f, &f->done_count, 1);
    assert_int_equal(f->done_result, 0);
    __atomic_store_n(&syncs_to_fail, 1, __ATOMIC_SEQ_CST);
    append(f, ALLOW("2"));
    wait_for(f, &f->done_count, 2);
    assert_int_equal(f->done_result, -EIO);
    assert_int_equal(append_text(f, ALLOW("3"), &err), -EIO);
    assert_non_null(strstr(err.text, "synced"));
    assert_int_equal(jsonl_health(f->j, NULL), -EIO);
    spin(f, 1300 * CLOCK_NS_PER_MS); /* it is tried again each second */
    assert_int_equal(jsonl_health(f->j, NULL), 0);
    append(f, ALLOW("4"));
    wait_for(f, &f->done_count, 3);
    assert_int_equal(f->done_result, 0);
    assert_records(f, "sync-failed", 1);
    help_assert_sound(f->t->log, NULL);
}

static void in_write_mode_a_failed_sync_stops_new_records(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    count_syncs(f, JSONL_SYNC_WRITE);
    open_log(f);
    __atomic_store_n(&syncs_to_fail, 1, __ATOMIC_SEQ_CST);
    append(f, ALLOW("1"));
    spin(f, 800 * CLOCK_NS_PER_MS);
    assert_int_equal(append_text(f, ALLOW("2"), &err), -EIO);
    spin(f, 1500 * CLOCK_NS_PER_MS);
    append(f, ALLOW("3"));
    assert_records(f, "sync-failed", 1);
    help_assert_sound(f->t->log, NULL);
}

static void closing_answers_who_waits(void **state)
{
    struct fixture *f = *state;
    count_syncs(f, JSONL_SYNC_ALWAYS);
    open_log(f);
    append_many(f, 1, 5);
    close_log(f);
    assert_int_equal(f->done_count, 5);
    assert_int_equal(f->done_result, 0);
}

static void closing_says_what_was_not_synced(void **state)
{
    struct fixture *f = *state;
    count_syncs(f, JSONL_SYNC_ALWAYS);
    open_log(f);
    __atomic_store_n(&syncs_to_fail, 1000, __ATOMIC_SEQ_CST);
    append(f, ALLOW("1"));
    close_log(f);
    assert_int_equal(f->done_count, 1);
    assert_int_equal(f->done_result, -EIO);
}

/* ---- starts ---- */

static void a_torn_end_is_kept_elsewhere_and_recorded(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    help_append(f->t->log, "{\"v\":1,\"seq\":6,\"pr", 18);
    open_log(f);
    assert_records(f, "repair", 1);
    assert_records(f, "chain-break", 0);
    _cleanup_free_ char *torn = help_find(f->t, ".torn-");
    assert_non_null(torn);
    _cleanup_free_ char *kept = help_read(torn);
    assert_string_equal(kept, "{\"v\":1,\"seq\":6,\"pr");
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_non_null(strstr(text, "\"event\":\"repair\",\"bytes\":18,\"kept\":\"audit.jsonl.torn-"));
    append_many(f, 4, 5);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.repairs, 1);
}

/* The fixture's clock stands still, so both ends would get the same name. */
static void a_second_torn_end_of_the_same_moment_is_kept_too(void **state)
{
    struct fixture *f = *state;
    for (unsigned i = 0; i < 2; i++) {
        open_log(f);
        append_many(f, 1 + i, 1 + i);
        close_log(f);
        help_append(f->t->log, "{\"v\":1,\"seq\":6,\"pr", 18);
    }
    open_log(f);
    assert_records(f, "repair", 2);
    _cleanup_free_ char *second = help_find(f->t, "Z-1");
    assert_non_null(second);
    help_assert_sound(f->t->log, f->t->head);
}

static void an_end_of_zeros_is_kept_elsewhere_too(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    _cleanup_free_ char *zeros = mem_zalloc(300000);
    help_append(f->t->log, zeros, 300000);
    open_log(f);
    assert_records(f, "repair", 1);
    _cleanup_free_ char *torn = help_find(f->t, ".torn-");
    assert_int_equal(size_of(torn), 300000);
    help_assert_sound(f->t->log, f->t->head);
}

static void a_cut_tail_goes_on_record_and_stays_visible(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 5);
    close_log(f); /* 7 records */
    keep_lines(f->t->log, 4);
    for (int i = 0; i < 3; i++) {
        open_log(f);
        close_log(f);
    }
    assert_records(f, "chain-break", 1); /* once, not at each start */
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_non_null(strstr(text, "{\"v\":1,\"seq\":8,")); /* numbers are not used twice */
    assert_null(strstr(text, "{\"v\":1,\"seq\":5,"));
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 2); /* the gap, and the record about it */
    help_assert_found(&v, CHAIN_LOST, 5);
    assert_int_equal(v.first[1].kind, CHAIN_BREAK);
}

static void a_log_that_is_gone_goes_on_record(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 5);
    close_log(f);
    assert_int_equal(unlink(f->t->log), 0);
    open_log(f);
    close_log(f);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_true(str_starts(text, "{\"v\":1,\"seq\":8,"));
    _cleanup_free_ char *first = help_line(text, 1);
    assert_non_null(strstr(first, "\"event\":\"chain-break\""));
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_true(v.count >= 1);
}

static void a_changed_byte_goes_on_record_at_the_next_start(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 5);
    close_log(f);
    _cleanup_free_ char *text = help_read(f->t->log);
    *strstr(text, "\"n\":3") = 'X';
    help_write(f->t->log, text, strlen(text));
    open_log(f);
    _cleanup_free_ char *after = help_read(f->t->log);
    assert_true(str_starts(after, text)); /* what is there is left as it is */
    assert_non_null(strstr(after, "\"event\":\"chain-break\""));
    assert_non_null(strstr(after, "record 4 was changed"));
    append_many(f, 6, 6);
}

static void a_rewritten_log_of_the_same_length_is_told_by_the_head_file(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    _cleanup_free_ char *head = help_read(f->t->head);
    assert_int_equal(unlink(f->t->log), 0);
    assert_int_equal(unlink(f->t->head), 0);
    open_log(f);
    append_many(f, 7, 9);
    close_log(f);
    help_write(f->t->head, head, strlen(head));
    help_assert_sound(f->t->log, NULL); /* what an unkeyed chain alone cannot tell */
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    help_assert_found(&v, CHAIN_HEAD, 5);
    open_log(f);
    assert_records(f, "chain-break", 1);
}

static void a_missing_head_file_is_said(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    close_log(f);
    assert_int_equal(unlink(f->t->head), 0);
    open_log(f);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_non_null(strstr(text, "\"head\":\"missing\""));
    close_log(f);
    help_write(f->t->head, "{}\n", 3);
    open_log(f);
    assert_records(f, "chain-break", 1);
}

static void a_crash_is_told_from_a_stop(void **state)
{
    struct fixture *f = *state;
    pid_t child = fork();
    if (child == 0) {
        open_log(f);
        append_many(f, 1, 3);
        _exit(0);
    }
    assert_int_equal(waitpid(child, NULL, 0), child);
    open_log(f);
    close_log(f);
    open_log(f);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.unclean, 1);
}

static void a_decision_without_an_end_becomes_interrupted_once(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append(f, ALLOW("a"));
    append(f, ALLOW("b"));
    append(f, END("a"));
    append(f, "\"id\":\"c\",\"event\":\"decision\",\"decision\":\"deny\",\"command\":\"rm\"");
    append(f, "\"id\":\"d\",\"event\":\"decision\",\"decision\":\"ask-approved\",\"command\":"
              "{\"bytes\":\"/w==\"}");
    append(f, "\"id\":\"e\",\"event\":\"decision\",\"decision\":\"ask-denied\",\"command\":\"x\"");
    close_log(f);
    for (int i = 0; i < 2; i++) {
        open_log(f);
        close_log(f);
    }
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_int_equal(help_count(text, "\"interrupted\""), 2);
    assert_non_null(strstr(text, "\"id\":\"b\",\"event\":\"end\",\"command\":\"git\",\"decision\":"
                                 "\"interrupted\""));
    assert_non_null(strstr(text, "\"id\":\"d\",\"event\":\"end\",\"command\":{\"bytes\":\"/w==\"},"
                                 "\"decision\":\"interrupted\""));
    help_assert_sound(f->t->log, f->t->head);
}

static void with_a_key_only_the_key_verifies(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *key = path_join(f->t->dir, "key"), *other = path_join(f->t->dir, "other");
    help_write(key, "0123456789abcdef", 16);
    help_write(other, "0123456789abcdeX", 16);
    f->c.key_path = key;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, key);
    assert_int_equal(v.count, 0);
    assert_true(v.result.head_checked);
    v = help_verify_with(f->t->log, NULL, NULL);
    help_assert_found(&v, CHAIN_CHANGED, 1);
    assert_int_equal(v.count, 5);
    v = help_verify_with(f->t->log, NULL, other);
    assert_int_equal(v.count, 5);
    v = help_verify_with(f->t->log, f->t->head, other);
    assert_int_equal(v.first[0].kind, CHAIN_HEAD);
}

/* A key is turned on, changed or left out: the log is not gone on with, and stays as it is. */
static void a_log_of_another_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    _cleanup_free_ char *key = path_join(f->t->dir, "key"), *other = path_join(f->t->dir, "other");
    help_write(key, "0123456789abcdef", 16);
    help_write(other, "0123456789abcdeX", 16);
    const char *const keys[] = {NULL, key, other};
    for (size_t was = 0; was < 2; was++)
        for (size_t rotated = 0; rotated < 2; rotated++) {
            f->c.key_path = keys[was];
            open_log(f);
            append_many(f, 1, 3);
            if (rotated) /* and not even the file before it is asked for another word */
                assert_int_equal(jsonl_rotate(f->j, NULL), 0);
            close_log(f);
            _cleanup_free_ char *before = help_read(f->t->log);
            for (size_t now = 0; now < 3; now++) {
                f->c.key_path = keys[now];
                if (now == was)
                    continue;
                assert_int_equal(jsonl_open(&f->c, &f->loop, &f->j, &err), -EKEYREJECTED);
                assert_non_null(strstr(err.text, "--audit-key"));
                assert_non_null(strstr(err.text, f->t->log));
                _cleanup_free_ char *after = help_read(f->t->log);
                assert_string_equal(before, after);
            }
            if (!rotated)
                continue;
            _cleanup_free_ char *old = help_find(f->t, "Z-1");
            assert_int_equal(unlink(old), 0);
            assert_int_equal(unlink(f->t->log), 0);
            assert_int_equal(unlink(f->t->head), 0);
        }
}

/* An empty active file says nothing; the one before it does. */
static void a_rotated_file_of_another_key_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    _cleanup_free_ char *key = path_join(f->t->dir, "key");
    help_write(key, "0123456789abcdef", 16);
    open_log(f);
    append_many(f, 1, 3);
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    close_log(f);
    help_write(f->t->log, "", 0);
    f->c.key_path = key;
    assert_int_equal(jsonl_open(&f->c, &f->loop, &f->j, &err), -EKEYREJECTED);
}

/* The attack that needs the key: everything is written again, without a gap. */
static void a_full_rewrite_is_proved_by_the_key_only(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *key = path_join(f->t->dir, "key");
    help_write(key, "0123456789abcdef", 16);
    open_log(f); /* the forger has no key */
    append_many(f, 1, 3);
    close_log(f);
    help_assert_sound(f->t->log, f->t->head);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, key);
    assert_int_equal(v.first[0].kind, CHAIN_HEAD);
    assert_int_equal(v.first[1].kind, CHAIN_CHANGED);
}

/* ---- rotation ---- */

static void rotation_carries_the_chain_over(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_size = 2000;
    open_log(f);
    append(f, ALLOW("open"));
    append_many(f, 1, 100);
    assert_true(size_of(f->t->log) <= 2000);
    _cleanup_free_ char *text = help_read(f->t->log), *first = help_line(text, 1);
    assert_non_null(strstr(first, "\"event\":\"rotate\",\"from\":\"audit.jsonl.20260131T081500Z-"));
    assert_non_null(strstr(first, "\"open\":[{\"id\":\"open\",\"command\":\"git\"}]"));
    close_log(f);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_true(v.result.files > 5);
    assert_int_equal(v.result.first_seq, 1);
    assert_true(v.result.head_checked);
    f->c.rotate_size = 0;
    open_log(f); /* what is open is found from the active file alone */
    append_many(f, 1, 1);
    text = (free(text), help_read(f->t->log));
    assert_int_equal(help_count(text, "\"interrupted\""), 1);
    help_assert_sound(f->t->log, f->t->head);
}

static int slow_sync(int fd)
{
    (void)usleep(3000);
    return fdatasync(fd);
}

/* A file that is rotated away while it is synced stays open until that is done. */
static void rotation_under_a_slow_sync_loses_nothing(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_size = 1000;
    f->c.sync = JSONL_SYNC_ALWAYS;
    f->c.fdatasync = slow_sync;
    open_log(f);
    for (int i = 1; i <= 100; i++) {
        append_many(f, i, i);
        spin(f, CLOCK_NS_PER_MS);
    }
    wait_for(f, &f->done_count, 100);
    assert_int_equal(f->done_result, 0);
    assert_int_equal(jsonl_health(f->j, NULL), 0);
    help_assert_sound(f->t->log, NULL);
}

/* Order is by number, not by time: a clock that is set back costs nothing but a later rotation. */
static void a_clock_that_jumps_back_breaks_nothing(void **state)
{
    struct fixture *f = *state;
    const uint64_t hour = 3600 * CLOCK_NS_PER_SEC;
    f->c.rotate_age = hour;
    f->c.keep_age = 24 * hour;
    open_log(f);
    append_many(f, 1, 2);
    f->clock.now -= 48 * hour;
    append_many(f, 3, 4);
    assert_records(f, "rotate", 0);
    assert_int_equal(jsonl_rotate(f->j, NULL), 0); /* named by an earlier time than it was begun */
    append_many(f, 5, 5);
    f->clock.now -= 10 * 365 * 24 * hour;
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    append_many(f, 6, 6);
    close_log(f);
    f->clock.now = 1; /* a machine without a battery */
    open_log(f);
    append_many(f, 7, 7);
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    assert_records(f, "chain-break", 0);
    close_log(f);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.files, 5);
    assert_int_equal(v.result.first_seq, 1);
    assert_int_equal(v.result.records, v.result.last_seq);
}

static void rotation_by_age(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_age = 3600 * CLOCK_NS_PER_SEC;
    open_log(f);
    append_many(f, 1, 2);
    f->clock.now += 3599 * CLOCK_NS_PER_SEC;
    append_many(f, 3, 3);
    assert_records(f, "rotate", 0);
    f->clock.now += 2 * CLOCK_NS_PER_SEC;
    append_many(f, 4, 4);
    assert_records(f, "rotate", 1);
    _cleanup_free_ char *old = help_find(f->t, "audit.jsonl.20260131T091501Z-1");
    assert_non_null(old);
    help_assert_sound(f->t->log, NULL);
}

static size_t count_rotated(struct fixture *f)
{
    size_t n = 0;
    DIR *d = opendir(f->t->dir);
    for (struct dirent *e; (e = readdir(d));)
        n += str_starts(e->d_name, "audit.jsonl.2026");
    (void)closedir(d);
    return n;
}

static void old_files_are_pruned_and_that_is_recorded(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_size = 2000;
    f->c.keep_count = 3;
    open_log(f);
    append_many(f, 1, 200);
    close_log(f);
    assert_int_equal(count_rotated(f), 3);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
    assert_true(v.result.first_seq > 1);
    assert_int_equal(v.result.pruned_before, v.result.first_seq);
    /* Whoever deletes one more is found. */
    _cleanup_free_ char *first = mem_printf("Z-%" PRIu64, v.result.first_seq);
    _cleanup_free_ char *oldest = help_find(f->t, first);
    assert_non_null(oldest);
    assert_int_equal(unlink(oldest), 0);
    v = help_verify_with(f->t->log, f->t->head, NULL);
    help_assert_found(&v, CHAIN_LOST, 1);
}

static void old_files_are_pruned_by_age(void **state)
{
    struct fixture *f = *state;
    f->c.keep_age = 24 * 3600 * CLOCK_NS_PER_SEC;
    open_log(f);
    for (int i = 0; i < 5; i++) {
        f->clock.now += 10 * 3600 * CLOCK_NS_PER_SEC;
        append_many(f, i, i);
        assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    }
    close_log(f);
    assert_int_equal(count_rotated(f), 3);
    struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
    assert_int_equal(v.count, 0);
}

static void a_rotation_that_stopped_halfway_is_undone(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 3);
    close_log(f);
    _cleanup_free_ char *next = mem_printf("%s.new", f->t->log);
    _cleanup_free_ char *second = mem_printf("%s.20260131T081500Z-1", f->t->log);
    help_write(next, "{\"v\":1", 6);
    assert_int_equal(link(f->t->log, second), 0);
    open_log(f);
    append_many(f, 4, 4);
    assert_int_equal(access(next, F_OK), -1);
    assert_int_equal(access(second, F_OK), -1);
    help_assert_sound(f->t->log, f->t->head);
}

static void a_rotation_that_fails_costs_no_record(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_size = 1000;
    open_log(f);
    append_many(f, 1, 1);
    _cleanup_free_ char *next = mem_printf("%s.new", f->t->log);
    assert_int_equal(mkdir(next, 0700), 0); /* cannot be unlinked */
    append_many(f, 2, 20);
    assert_records(f, "rotate", 0);
    assert_records(f, "note", 20);
    assert_int_equal(rmdir(next), 0);
    help_assert_sound(f->t->log, NULL);
}

/* ---- foreign hands ---- */

static void a_removed_log_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append(f, ALLOW("open"));
    assert_int_equal(unlink(f->t->log), 0);
    append_many(f, 1, 1);
    _cleanup_free_ char *text = help_read(f->t->log), *first = help_line(text, 1);
    assert_non_null(strstr(first, "\"seq\":3,"));
    assert_non_null(strstr(first, "\"event\":\"chain-break\",\"words\":\"somebody removed"));
    assert_non_null(strstr(first, "{\"id\":\"open\",\"command\":\"git\"}"));
    assert_records(f, "note", 1);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    assert_int_equal(v.first[0].kind, CHAIN_BREAK);
    close_log(f);
    open_log(f);
    assert_records(f, "end", 1); /* "open" is not forgotten */
}

static void a_renamed_log_is_begun_anew(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 2);
    _cleanup_free_ char *moved = mem_printf("%s.1", f->t->log);
    assert_int_equal(rename(f->t->log, moved), 0);
    help_write(f->t->log, "mine", 4);
    append_many(f, 3, 3);
    assert_records(f, "chain-break", 1);
    _cleanup_free_ char *foreign = help_find(f->t, ".foreign-");
    assert_non_null(foreign);
    _cleanup_free_ char *content = help_read(foreign);
    assert_string_equal(content, "mine"); /* never written to */
    _cleanup_free_ char *old = help_read(moved);
    assert_int_equal(help_count(old, "\n"), 3); /* and the old one is left as it was */
}

static void a_log_without_a_place_refuses(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    _cleanup_free_ char *dir = path_join(f->t->dir, "logs"), *moved = path_join(f->t->dir, "moved");
    _cleanup_free_ char *log = path_join(dir, "audit.jsonl");
    _cleanup_free_ char *old_log = path_join(moved, "audit.jsonl"),
                        *old_lock = path_join(moved, "audit.jsonl.lock"),
                        *lock = path_join(dir, "audit.jsonl.lock");
    f->c.path = log;
    open_log(f);
    append_many(f, 1, 1);
    assert_int_equal(rename(dir, moved), 0);
    assert_int_equal(append_text(f, ALLOW("1"), &err), -ENOENT);
    assert_non_null(strstr(err.text, "renamed and cannot be created anew"));
    assert_int_equal(mkdir(dir, 0700), 0);
    append_many(f, 2, 2);
    close_log(f);
    struct help_findings v = help_verify_with(log, NULL, NULL);
    assert_int_equal(v.first[0].kind, CHAIN_BREAK);
    (void)unlink(lock);
    assert_int_equal(unlink(old_log) | unlink(old_lock) | unlink(log) | rmdir(dir) | rmdir(moved),
                     0);
}

static void a_log_cut_under_us_goes_on_record(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 5);
    keep_lines(f->t->log, 3);
    append_many(f, 6, 6);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    help_assert_found(&v, CHAIN_LOST, 4);
    assert_int_equal(v.first[1].kind, CHAIN_BREAK);
    assert_int_equal(v.count, 2);
    assert_records(f, "note", 3);
}

static void a_log_cut_inside_a_line_goes_on_record(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 5);
    assert_int_equal(truncate(f->t->log, size_of(f->t->log) - 20), 0);
    append_many(f, 6, 6);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    help_assert_found(&v, CHAIN_MALFORMED, 0);
    assert_int_equal(v.first[1].kind, CHAIN_BREAK);
    assert_int_equal(v.count, 2);
}

static void an_emptied_log_goes_on_record(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append(f, ALLOW("open"));
    assert_int_equal(truncate(f->t->log, 0), 0);
    append_many(f, 1, 1);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_true(str_starts(text, "{\"v\":1,\"seq\":3,"));
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    assert_int_equal(v.first[0].kind, CHAIN_BREAK);
    close_log(f);
    open_log(f);
    assert_records(f, "end", 1);
}

static void foreign_lines_in_the_log_go_on_record(void **state)
{
    struct fixture *f = *state;
    open_log(f);
    append_many(f, 1, 2);
    help_append(f->t->log, "hello", 5);
    append_many(f, 3, 4);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    help_assert_found(&v, CHAIN_MALFORMED, 0);
    assert_int_equal(v.first[1].kind, CHAIN_BREAK);
    assert_int_equal(v.count, 2);
}

/* ---- listeners ---- */

struct heard {
    char *text;
    uint64_t seq;
};

static void hear(void *arg, uint64_t seq, const char *line, size_t len)
{
    struct heard *h = arg;
    assert_true(h->seq == 0 || seq == h->seq + 1);
    h->seq = seq;
    char *more = mem_printf("%s%.*s\n", h->text ? h->text : "", (int)len, line);
    free(h->text);
    h->text = more;
}

static void a_listener_hears_each_line_as_it_was_written(void **state)
{
    struct fixture *f = *state;
    struct heard h = {0};
    open_log(f);
    append_many(f, 1, 2);
    jsonl_listen(f->j, hear, &h);
    _cleanup_free_ char *before = help_read(f->t->log);
    append_many(f, 3, 4);
    _cleanup_free_ char *text = help_read(f->t->log);
    assert_string_equal(h.text, text + strlen(before));
    assert_int_equal(h.seq, jsonl_seq(f->j));
    assert_int_equal(jsonl_rotate(f->j, NULL), 0);
    _cleanup_free_ char *rotated = help_read(f->t->log);
    assert_true(str_ends(h.text, rotated));
    jsonl_listen(f->j, NULL, NULL);
    free(h.text);
}

/* ---- crashes ---- */

/* Appends until it is killed, and tells each record that was acknowledged. */
static _Noreturn void append_for_ever(struct fixture *f, int out)
{
    open_log(f);
    for (uint32_t i = 1;; i++) {
        char m[4096];
        int n = snprintf(m, sizeof(m), "\"event\":\"note\",\"n\":%u,\"pad\":\"", i);
        memset(m + n, 'x', i * 37 % 3000);
        (void)snprintf(m + n + i * 37 % 3000, 8, "\"");
        if (append_text(f, m, NULL) != 0 || write(out, &i, sizeof(i)) != sizeof(i))
            _exit(1);
    }
}

static void a_kill_loses_nothing_that_was_acknowledged(void **state)
{
    struct fixture *f = *state;
    f->c.rotate_size = 200000;
    unsigned seed = 7;
    for (int round = 0; round < 15; round++) {
        int p[2];
        assert_int_equal(pipe(p), 0);
        pid_t child = fork();
        if (child == 0)
            append_for_ever(f, p[1]);
        (void)close(p[1]);
        uint32_t n = 0, last = 0;
        uint32_t stop = 1 + (uint32_t)rand_r(&seed) % 700;
        while (last < stop && read(p[0], &n, sizeof(n)) == sizeof(n))
            last = n;
        assert_int_equal(kill(child, SIGKILL), 0);
        while (read(p[0], &n, sizeof(n)) == sizeof(n))
            last = n;
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        (void)close(p[0]);
        open_log(f);
        append_many(f, 0, 0);
        close_log(f);
        struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
        if (v.count)
            fail_msg("round %d: %s", round, v.first[0].text);
        _cleanup_free_ char *text = help_read(f->t->log), *rotated = help_find(f->t, "Z-");
        _cleanup_free_ char *member = mem_printf("\"n\":%u,", last);
        if (!strstr(text, member) && !rotated)
            fail_msg("round %d: record %u was acknowledged and is lost", round, last);
    }
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(records_are_written_before_the_answer),
        TEST(a_restart_goes_on_with_the_chain),
        TEST(a_record_that_is_not_one_line_is_refused),
        TEST(a_second_warden_on_the_same_log_is_refused),
        TEST(what_is_no_regular_file_is_no_log),
        TEST(a_full_disk_refuses_and_recovers),
        TEST(a_start_on_a_full_disk_owes_its_records),
        TEST(in_always_mode_the_answer_comes_after_the_sync),
        TEST(in_write_mode_the_disk_has_it_within_a_second),
        TEST(a_failed_sync_fails_the_record_and_those_behind_it),
        TEST(in_write_mode_a_failed_sync_stops_new_records),
        TEST(closing_answers_who_waits),
        TEST(closing_says_what_was_not_synced),
        TEST(a_torn_end_is_kept_elsewhere_and_recorded),
        TEST(a_second_torn_end_of_the_same_moment_is_kept_too),
        TEST(an_end_of_zeros_is_kept_elsewhere_too),
        TEST(a_cut_tail_goes_on_record_and_stays_visible),
        TEST(a_log_that_is_gone_goes_on_record),
        TEST(a_changed_byte_goes_on_record_at_the_next_start),
        TEST(a_rewritten_log_of_the_same_length_is_told_by_the_head_file),
        TEST(a_missing_head_file_is_said),
        TEST(a_crash_is_told_from_a_stop),
        TEST(a_decision_without_an_end_becomes_interrupted_once),
        TEST(with_a_key_only_the_key_verifies),
        TEST(a_log_of_another_key_is_refused),
        TEST(a_rotated_file_of_another_key_is_refused),
        TEST(a_full_rewrite_is_proved_by_the_key_only),
        TEST(rotation_carries_the_chain_over),
        TEST(a_clock_that_jumps_back_breaks_nothing),
        TEST(rotation_under_a_slow_sync_loses_nothing),
        TEST(rotation_by_age),
        TEST(old_files_are_pruned_and_that_is_recorded),
        TEST(old_files_are_pruned_by_age),
        TEST(a_rotation_that_stopped_halfway_is_undone),
        TEST(a_rotation_that_fails_costs_no_record),
        TEST(a_removed_log_is_begun_anew),
        TEST(a_renamed_log_is_begun_anew),
        TEST(a_log_without_a_place_refuses),
        TEST(a_log_cut_under_us_goes_on_record),
        TEST(a_log_cut_inside_a_line_goes_on_record),
        TEST(an_emptied_log_goes_on_record),
        TEST(foreign_lines_in_the_log_go_on_record),
        TEST(a_listener_hears_each_line_as_it_was_written),
        TEST(a_kill_loses_nothing_that_was_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
