/* SPDX-License-Identifier: MIT */
/* The map: put, get, remove, growth, tombstones, and removing inside a loop. */
#include "base/map.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static int one, two;

static const char *key_of(int i, char out[24])
{
    (void)snprintf(out, 24, "key-%d", i);
    return out;
}

static void an_empty_map_has_nothing(void **state)
{
    _cleanup_(map_freep) struct map *m = map_new();
    size_t i = 0;
    assert_null(map_get(m, "a"));
    assert_null(map_remove(m, "a"));
    assert_int_equal(map_count(m), 0);
    assert_false(map_next(m, &i, NULL, NULL));
    assert_null(map_free(NULL));
}

static void what_was_put_is_found_and_replaced(void **state)
{
    _cleanup_(map_freep) struct map *m = map_new();
    assert_null(map_put(m, "a", &one));
    assert_null(map_put(m, "", &two));
    assert_ptr_equal(map_get(m, "a"), &one);
    assert_ptr_equal(map_get(m, ""), &two);
    assert_ptr_equal(map_put(m, "a", &two), &one);
    assert_ptr_equal(map_get(m, "a"), &two);
    assert_int_equal(map_count(m), 2);
    assert_ptr_equal(map_remove(m, "a"), &two);
    assert_null(map_get(m, "a"));
    assert_int_equal(map_count(m), 1);
}

static void keys_are_copied(void **state)
{
    _cleanup_(map_freep) struct map *m = map_new();
    char key[] = "abc";
    (void)map_put(m, key, &one);
    key[0] = 'x';
    assert_ptr_equal(map_get(m, "abc"), &one);
    assert_null(map_get(m, "xbc"));
}

static void keys_of_all_lengths_are_told_apart(void **state)
{
    _cleanup_(map_freep) struct map *m = map_new();
    char key[66] = "";
    static int values[65];
    for (int i = 0; i < 65; i++) {
        assert_null(map_put(m, key, &values[i]));
        key[i] = 'a';
    }
    memset(key, 0, sizeof(key));
    for (int i = 0; i < 65; i++) {
        assert_ptr_equal(map_get(m, key), &values[i]);
        key[i] = 'a';
    }
}

static void thousands_are_kept_and_each_is_met_once(void **state)
{
    enum { N = 10000 };
    static int values[N];
    memset(values, 0, sizeof(values));
    _cleanup_(map_freep) struct map *m = map_new();
    char key[24];
    for (int i = 0; i < N; i++)
        assert_null(map_put(m, key_of(i, key), &values[i]));
    assert_int_equal(map_count(m), N);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(map_get(m, key_of(i, key)), &values[i]);
    const char *k;
    void *v;
    for (size_t i = 0; map_next(m, &i, &k, &v);) {
        assert_string_equal(k, key_of((int)((int *)v - values), key));
        (*(int *)v)++;
    }
    for (int i = 0; i < N; i++)
        assert_int_equal(values[i], 1);
}

static void the_current_entry_may_be_removed_inside_the_loop(void **state)
{
    enum { N = 1000 };
    static int values[N];
    _cleanup_(map_freep) struct map *m = map_new();
    char key[24];
    for (int i = 0; i < N; i++)
        (void)map_put(m, key_of(i, key), &values[i]);
    const char *k;
    void *v;
    int met = 0;
    for (size_t i = 0; map_next(m, &i, &k, &v); met++)
        if (((int *)v - values) % 2)
            assert_ptr_equal(map_remove(m, k), v);
    assert_int_equal(met, N);
    assert_int_equal(map_count(m), N / 2);
    for (int i = 0; i < N; i++)
        assert_ptr_equal(map_get(m, key_of(i, key)), i % 2 ? NULL : &values[i]);
}

/* A queue of one entry leaves a tombstone each time: they must be swept, or no search would end. */
static void coming_and_going_for_ever_does_not_fill_the_map(void **state)
{
    _cleanup_(map_freep) struct map *m = map_new();
    (void)map_put(m, "stays", &two);
    char key[24];
    for (int i = 0; i < 100000; i++) {
        assert_null(map_put(m, key_of(i, key), &one));
        assert_ptr_equal(map_remove(m, key), &one);
    }
    assert_int_equal(map_count(m), 1);
    assert_ptr_equal(map_get(m, "stays"), &two);
    size_t slots = 0;
    for (size_t i = 0; map_next(m, &i, NULL, NULL);)
        slots = i;
    assert_true(slots <= 64);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_map_has_nothing),
        cmocka_unit_test(what_was_put_is_found_and_replaced),
        cmocka_unit_test(keys_are_copied),
        cmocka_unit_test(keys_of_all_lengths_are_told_apart),
        cmocka_unit_test(thousands_are_kept_and_each_is_met_once),
        cmocka_unit_test(the_current_entry_may_be_removed_inside_the_loop),
        cmocka_unit_test(coming_and_going_for_ever_does_not_fill_the_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
