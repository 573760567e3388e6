/* SPDX-License-Identifier: MIT */
/* What the verifier finds: each way to tamper with a log, over one file and over a rotated set, and
 * while a writer writes. The log is made here, by hand, as docs/audit.md says. */
#include "store/verify.h"

#include <errno.h>
#include <pthread.h>

#include "base/clock.h"
#include "store-help.h"
#include "store/head.h"
#include "store/record.h"

struct fixture {
    struct help *t;
    struct buf log; /* of `count` records, one a line */
    uint64_t seq;
    char prev[65];
};

static void add(struct fixture *f, const char *members)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    char hash[65];
    assert_int_equal(record_build(&f->log, h, ++f->seq, f->prev, members, strlen(members), hash),
                     0);
    memcpy(f->prev, hash, 65);
}

static void add_many(struct fixture *f, int n)
{
    for (int i = 0; i < n; i++) {
        char m[64];
        (void)snprintf(m, sizeof(m), "\"event\":\"note\",\"n\":%d", i);
        add(f, m);
    }
}

static void save(struct fixture *f, const char *path)
{
    help_write(path, buf_str(&f->log), f->log.len);
    buf_clear(&f->log);
}

static void save_head(struct fixture *f)
{
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    struct head head = {.seq = f->seq, .file = "x"};
    memcpy(head.hash, f->prev, 65);
    assert_int_equal(head_write(f->t->head, h, &head, 1, NULL), 0);
}

static int set_up(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->t = help_new("test-verify");
    buf_init(&f->log, 64u << 20);
    memcpy(f->prev, record_hash_none, 65);
    *state = f;
    return 0;
}

/* Ten records on disk, and a head file. */
static int set_up_ten(void **state)
{
    int r = set_up(state);
    struct fixture *f = *state;
    add_many(f, 10);
    save(f, f->t->log);
    save_head(f);
    return r;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    help_free(f->t);
    buf_done(&f->log);
    free(f);
    return 0;
}

/* Puts the lines of the log in this order; 0 ends it. */
static void reorder(struct fixture *f, const int *order)
{
    _cleanup_free_ char *text = help_read(f->t->log);
    _cleanup_buf_ struct buf out = BUF_INIT(1u << 20);
    for (; *order; order++) {
        _cleanup_free_ char *line = help_line(text, (size_t)*order);
        (void)buf_printf(&out, "%s\n", line);
    }
    help_write(f->t->log, out.data, out.len);
}

static struct help_findings verify(struct fixture *f)
{
    return help_verify_with(f->t->log, f->t->head, NULL);
}

static void a_sound_log_has_no_problem(void **state)
{
    struct fixture *f = *state;
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.records, 10);
    assert_int_equal(v.result.files, 1);
    assert_int_equal(v.result.first_seq, 1);
    assert_int_equal(v.result.last_seq, 10);
    assert_string_equal(v.result.last_hash, f->prev);
    assert_true(v.result.head_checked);
}

static void an_empty_log_is_sound_without_a_head_file(void **state)
{
    struct fixture *f = *state;
    help_write(f->t->log, "", 0);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.records, 0);
}

/* Any bit of any byte: exactly where it is. */
static void each_changed_bit_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text = help_read(f->t->log);
    size_t n = strlen(text), line = 1;
    for (size_t i = 0; i < n; i++) {
        char was = text[i];
        text[i] = (char)(was ^ (1 << (i % 7)));
        help_write(f->t->log, text, n);
        struct help_findings v = verify(f);
        if (v.count == 0)
            fail_msg("byte %zu: changed and not found", i);
        if (was != '\n' && v.first[0].line != line && v.first[0].line != line + 1)
            fail_msg("byte %zu of line %zu: found at line %" PRIu64, i, line, v.first[0].line);
        text[i] = was;
        line += was == '\n';
    }
}

static void a_removed_record_is_found(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){1, 2, 3, 5, 6, 7, 8, 9, 10, 0});
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_LOST, 4);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.first[0].line, 4);
}

static void removed_records_are_found_at_their_place(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){1, 5, 6, 9, 10, 0});
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 2);
    help_assert_found(&v, CHAIN_LOST, 2);
    assert_non_null(strstr(v.first[0].text, "records 2 to 4 are missing"));
    assert_int_equal(v.first[1].seq, 7);
}

static void reordered_records_are_found(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){1, 2, 3, 5, 4, 6, 7, 8, 9, 10, 0});
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 2);
    help_assert_found(&v, CHAIN_LOST, 4);
    assert_int_equal(v.first[1].kind, CHAIN_REORDERED);
    assert_int_equal(v.first[1].seq, 4);
    assert_int_equal(v.first[1].line, 5);
}

static void a_duplicated_record_is_found(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){1, 2, 3, 3, 4, 5, 2, 6, 7, 8, 9, 10, 0});
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 2);
    help_assert_found(&v, CHAIN_DUPLICATE, 3);
    assert_int_equal(v.first[1].kind, CHAIN_DUPLICATE);
    assert_int_equal(v.first[1].seq, 2);
}

static void a_tail_cut_at_a_line_is_found_by_the_head_file(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){1, 2, 3, 4, 5, 6, 7, 0});
    help_assert_sound(f->t->log, NULL); /* the chain alone cannot know */
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_CUT, 8);
    assert_int_equal(v.count, 1);
    assert_non_null(strstr(v.first[0].text, "3 were cut"));
}

static void a_tail_cut_inside_a_line_is_found(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->t->log, &st), 0);
    assert_int_equal(truncate(f->t->log, st.st_size - 30), 0);
    struct help_findings v = help_verify_with(f->t->log, NULL, NULL);
    help_assert_found(&v, CHAIN_TORN, 0);
    assert_int_equal(v.first[0].line, 10);
    v = verify(f);
    assert_int_equal(v.count, 2);
    assert_int_equal(v.first[1].kind, CHAIN_CUT);
}

static void a_log_cut_to_nothing_is_found(void **state)
{
    struct fixture *f = *state;
    help_write(f->t->log, "", 0);
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_CUT, 1);
}

static void an_end_of_zeros_is_found(void **state)
{
    struct fixture *f = *state;
    char zeros[5000] = {0};
    help_append(f->t->log, zeros, sizeof(zeros));
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_TORN, 0);
    help_append(f->t->log, "\n", 1);
    v = verify(f);
    help_assert_found(&v, CHAIN_MALFORMED, 0);
    assert_non_null(strstr(v.first[0].text, "5000 zero bytes"));
}

static void a_line_that_is_no_record_is_found_once(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *text = help_read(f->t->log);
    char *fourth = strstr(text, "{\"v\":1,\"seq\":4");
    fourth[0] = 'x';
    help_write(f->t->log, text, strlen(text));
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_MALFORMED, 0);
    assert_int_equal(v.count, 1);
    assert_int_equal(v.first[0].line, 4);
    fourth[0] = '{';
    _cleanup_free_ char *inserted = mem_printf("%.*shello\n%s", (int)(fourth - text), text, fourth);
    help_write(f->t->log, inserted, strlen(inserted));
    v = verify(f);
    assert_int_equal(v.count, 1);
    help_assert_found(&v, CHAIN_MALFORMED, 0);
}

/* The forger keeps the chain whole from the changed record on: the head file knows better. */
static void a_tail_written_anew_is_found_by_the_head_file(void **state)
{
    struct fixture *f = *state;
    f->seq = 0;
    memcpy(f->prev, record_hash_none, 65);
    add_many(f, 5);
    add(f, "\"event\":\"forged\"");
    add_many(f, 4);
    save(f, f->t->log);
    help_assert_sound(f->t->log, NULL);
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_HEAD, 10);
    assert_int_equal(v.count, 1);
}

static void one_record_written_anew_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    _cleanup_free_ char *text = help_read(f->t->log), *fifth = help_line(text, 5);
    _cleanup_buf_ struct buf out = BUF_INIT(1u << 20);
    struct record r;
    char hash[65];
    assert_int_equal(record_split(fifth, strlen(fifth), &r), 0);
    char *at = strstr(text, fifth);
    (void)buf_append(&out, text, (size_t)(at - text));
    assert_int_equal(record_build(&out, h, 5, r.prev, "\"event\":\"forged\"", 16, hash), 0);
    (void)buf_append_str(&out, at + strlen(fifth) + 1);
    help_write(f->t->log, out.data, out.len);
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_LINK, 6);
    assert_int_equal(v.count, 1);
}

static void a_log_without_its_beginning_is_found(void **state)
{
    struct fixture *f = *state;
    reorder(f, (const int[]){4, 5, 6, 7, 8, 9, 10, 0});
    struct help_findings v = verify(f);
    help_assert_found(&v, CHAIN_LOST, 4);
}

static void a_missing_or_damaged_head_file_is_a_finding(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *head = help_read(f->t->head);
    assert_int_equal(unlink(f->t->head), 0);
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 1);
    help_assert_found(&v, CHAIN_HEAD, 0);
    *strstr(head, "\"seq\":10") = ' ';
    help_write(f->t->head, head, strlen(head));
    v = verify(f);
    assert_int_equal(v.count, 1);
    help_assert_found(&v, CHAIN_HEAD, 0);
}

static void what_cannot_be_read_is_an_error_and_not_a_finding(void **state)
{
    struct fixture *f = *state;
    struct chain_result r;
    struct err err = {0};
    struct verify_options o = {.path = f->t->log};
    assert_int_equal(verify_log(&o, NULL, NULL, &r, &err), -ENOENT);
    o.path = f->t->dir;
    assert_int_equal(verify_log(&o, NULL, NULL, &r, &err), -EINVAL);
    o.path = f->t->log;
    o.key = f->t->head;
    assert_int_equal(verify_log(&o, NULL, NULL, &r, &err), -ENOENT);
}

/* ---- sets of files ---- */

/* 1-5, 6-10, 11-15 in three files, each of the later two begun by "rotate". */
static int set_up_set(void **state)
{
    int r = set_up(state);
    struct fixture *f = *state;
    _cleanup_free_ char *a = mem_printf("%s.20260131T081500Z-1", f->t->log);
    _cleanup_free_ char *b = mem_printf("%s.20260131T081501Z-6", f->t->log);
    add_many(f, 5);
    save(f, a);
    add(f, "\"event\":\"rotate\",\"open\":[]");
    add_many(f, 4);
    save(f, b);
    add(f, "\"event\":\"rotate\",\"open\":[]");
    add_many(f, 4);
    save(f, f->t->log);
    save_head(f);
    return r;
}

static char *rotated(struct fixture *f, const char *end)
{
    char *p = help_find(f->t, end);
    assert_non_null(p);
    return p;
}

static void a_set_is_followed_from_file_to_file(void **state)
{
    struct fixture *f = *state;
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.files, 3);
    assert_int_equal(v.result.records, 15);
}

static void one_file_of_a_set_can_be_checked_alone(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *b = rotated(f, "Z-6");
    struct help_findings v = help_verify_with(b, NULL, NULL);
    assert_int_equal(v.count, 0);
    assert_int_equal(v.result.files, 1);
    assert_int_equal(v.result.first_seq, 6);
}

static void a_missing_file_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *b = rotated(f, "Z-6"), *a = rotated(f, "Z-1");
    _cleanup_free_ char *b_text = help_read(b);
    assert_int_equal(unlink(b), 0);
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 1);
    help_assert_found(&v, CHAIN_LOST, 6);
    help_write(b, b_text, strlen(b_text));
    assert_int_equal(unlink(a), 0);
    v = verify(f);
    assert_int_equal(v.count, 1);
    help_assert_found(&v, CHAIN_LOST, 1);
}

static void a_cut_inside_the_set_is_found(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *a = rotated(f, "Z-1");
    struct stat st;
    assert_int_equal(stat(a, &st), 0);
    assert_int_equal(truncate(a, st.st_size - 10), 0);
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 2);
    help_assert_found(&v, CHAIN_TORN, 0);
    assert_int_equal(v.first[0].line, 5);
    assert_int_equal(v.first[1].kind, CHAIN_LOST);
    assert_int_equal(v.first[1].seq, 5);
}

static void a_head_file_older_than_the_active_file_agrees(void **state)
{
    struct fixture *f = *state;
    _cleanup_free_ char *b = rotated(f, "Z-6"), *text = help_read(b), *line = help_line(text, 5);
    struct record r;
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    assert_int_equal(record_split(line, strlen(line), &r), 0);
    struct head head = {.seq = 10};
    memcpy(head.hash, r.hash, 65);
    assert_int_equal(head_write(f->t->head, h, &head, 1, NULL), 0);
    struct help_findings v = verify(f);
    assert_int_equal(v.count, 0);
    assert_true(v.result.head_checked);
}

/* ---- beside a writer ---- */

struct writer {
    struct fixture *f;
    int stop;
};

/* Writes each line in two halves, so that a reader meets torn ends. */
static void *write_slowly(void *arg)
{
    struct writer *w = arg;
    for (int i = 0; i < 300 && !__atomic_load_n(&w->stop, __ATOMIC_SEQ_CST); i++) {
        add_many(w->f, 1);
        help_append(w->f->t->log, w->f->log.data, w->f->log.len / 2);
        (void)usleep(1000);
        help_append(w->f->t->log, w->f->log.data + w->f->log.len / 2,
                    w->f->log.len - w->f->log.len / 2);
        buf_clear(&w->f->log);
    }
    return NULL;
}

static void a_log_being_written_is_sound(void **state)
{
    struct fixture *f = *state;
    struct writer w = {.f = f};
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, write_slowly, &w), 0);
    for (int i = 0; i < 20; i++) {
        struct help_findings v = help_verify_with(f->t->log, f->t->head, NULL);
        if (v.count)
            fail_msg("round %d: %s", i, v.first[0].text);
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_SEQ_CST);
    assert_int_equal(pthread_join(t, NULL), 0);
}

int main(void)
{
#define TEST(t, up) cmocka_unit_test_setup_teardown(t, up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_sound_log_has_no_problem, set_up_ten),
        TEST(an_empty_log_is_sound_without_a_head_file, set_up),
        TEST(each_changed_bit_is_found, set_up_ten),
        TEST(a_removed_record_is_found, set_up_ten),
        TEST(removed_records_are_found_at_their_place, set_up_ten),
        TEST(reordered_records_are_found, set_up_ten),
        TEST(a_duplicated_record_is_found, set_up_ten),
        TEST(a_tail_cut_at_a_line_is_found_by_the_head_file, set_up_ten),
        TEST(a_tail_cut_inside_a_line_is_found, set_up_ten),
        TEST(a_log_cut_to_nothing_is_found, set_up_ten),
        TEST(an_end_of_zeros_is_found, set_up_ten),
        TEST(a_line_that_is_no_record_is_found_once, set_up_ten),
        TEST(a_tail_written_anew_is_found_by_the_head_file, set_up_ten),
        TEST(one_record_written_anew_is_found, set_up_ten),
        TEST(a_log_without_its_beginning_is_found, set_up_ten),
        TEST(a_missing_or_damaged_head_file_is_a_finding, set_up_ten),
        TEST(what_cannot_be_read_is_an_error_and_not_a_finding, set_up),
        TEST(a_set_is_followed_from_file_to_file, set_up_set),
        TEST(one_file_of_a_set_can_be_checked_alone, set_up_set),
        TEST(a_missing_file_is_found, set_up_set),
        TEST(a_cut_inside_the_set_is_found, set_up_set),
        TEST(a_head_file_older_than_the_active_file_agrees, set_up_set),
        TEST(a_log_being_written_is_sound, set_up_ten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
