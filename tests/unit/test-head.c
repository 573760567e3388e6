/* SPDX-License-Identifier: MIT */
/* The head file: what is written is read back, and nothing else is. */
#include "store/head.h"

#include <errno.h>

#include "store-help.h"

#define HASH "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static void what_is_written_is_read_back(void **state)
{
    struct help *t = help_new("test-head");
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    struct head in = {.seq = 12, .hash = HASH, .file = "/var/log/\"x\".jsonl"}, out;
    assert_int_equal(head_write(t->head, h, &in, 1, NULL), 0);
    assert_int_equal(head_read(t->head, h, &out, NULL), 0);
    assert_int_equal(out.seq, 12);
    assert_string_equal(out.hash, HASH);
    assert_string_equal(out.file, in.file);
    struct stat st;
    assert_int_equal(stat(t->head, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    help_free(t);
}

static void every_change_and_every_cut_is_noticed(void **state)
{
    struct help *t = help_new("test-head");
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    struct head in = {.seq = 12, .hash = HASH, .file = "f"}, out;
    struct err err = {0};
    assert_int_equal(head_write(t->head, h, &in, 1, NULL), 0);
    _cleanup_free_ char *text = help_read(t->head);
    size_t n = strlen(text);
    for (size_t i = 0; i < n - 3; i++) { /* "}\n" and the quote say nothing */
        text[i] ^= 1;
        help_write(t->head, text, n);
        assert_int_equal(head_read(t->head, h, &out, &err), -EBADMSG);
        text[i] ^= 1;
        help_write(t->head, text, i);
        assert_int_equal(head_read(t->head, h, &out, &err), -EBADMSG);
    }
    assert_non_null(strstr(err.text, "damaged"));
    help_free(t);
}

static void a_head_file_of_another_key_is_refused(void **state)
{
    struct help *t = help_new("test-head");
    _cleanup_free_ char *key = path_join(t->dir, "key");
    help_write(key, "0123456789abcdef", 16);
    _cleanup_(record_hasher_freep) struct record_hasher *plain = record_hasher_new(), *keyed = NULL;
    assert_int_equal(record_hasher_load(key, &keyed, NULL), 0);
    struct head in = {.seq = 12, .hash = HASH, .file = "f"}, out;
    assert_int_equal(head_write(t->head, plain, &in, 1, NULL), 0);
    assert_int_equal(head_read(t->head, keyed, &out, NULL), -EBADMSG);
    assert_int_equal(head_write(t->head, keyed, &in, 1, NULL), 0);
    assert_int_equal(head_read(t->head, keyed, &out, NULL), 0);
    help_free(t);
}

static void none_is_told_from_a_bad_one(void **state)
{
    struct help *t = help_new("test-head");
    _cleanup_(record_hasher_freep) struct record_hasher *h = record_hasher_new();
    struct head out;
    assert_int_equal(head_read(t->head, h, &out, NULL), -ENOENT);
    help_write(t->head, "", 0);
    assert_int_equal(head_read(t->head, h, &out, NULL), -EBADMSG);
    _cleanup_free_ char *big = mem_zalloc(20000);
    help_write(t->head, big, 20000);
    assert_int_equal(head_read(t->head, h, &out, NULL), -EBADMSG);
    help_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(every_change_and_every_cut_is_noticed),
        cmocka_unit_test(a_head_file_of_another_key_is_refused),
        cmocka_unit_test(none_is_told_from_a_bad_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
