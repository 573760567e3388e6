/* SPDX-License-Identifier: MIT */
/* Places in the queue of before: for their owner, once, for a while. */
#include "core/claims.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char summary[] = "{\"command\":\"git\"}";

static struct queue_row row(uint8_t n)
{
    return (struct queue_row){
        .id = {n}, .digest = "d", .pid = 10 + n, .start_time = 5, .summary = summary};
}

static void a_place_goes_to_its_process_once(void **state)
{
    _cleanup_(claims_freep) struct claims *c = claims_new();
    const struct queue_row r = row(1);
    claims_keep(c, &r, 100);
    assert_null(claims_take(c, r.id, 12, 5));
    assert_null(claims_take(c, r.id, 11, 6));
    struct queue_row *mine = claims_take(c, r.id, 11, 5);
    assert_non_null(mine);
    assert_string_equal(mine->summary, summary);
    assert_ptr_not_equal(mine->summary, summary);
    assert_null(claims_take(c, r.id, 11, 5));
    assert_int_equal(claims_next(c), UINT64_MAX);
    claims_row_free(mine);
}

static void unclaimed_places_fall_due(void **state)
{
    _cleanup_(claims_freep) struct claims *c = claims_new();
    const struct queue_row a = row(1), b = row(2);
    claims_keep(c, &a, 100);
    claims_keep(c, &b, 200);
    assert_int_equal(claims_next(c), 100);
    assert_null(claims_take_due(c, 99));
    struct queue_row *due = claims_take_due(c, 100);
    assert_memory_equal(due->id, a.id, 16);
    claims_row_free(due);
    assert_null(claims_take_due(c, 100));
    assert_int_equal(claims_next(c), 200);
    assert_null(claims_take(c, a.id, 11, 5));
}

static void the_same_id_twice_is_one_place(void **state)
{
    _cleanup_(claims_freep) struct claims *c = claims_new();
    struct queue_row a = row(1);
    char id[UUID_TEXT_SIZE];
    claims_keep(c, &a, 100);
    a.pid = 99; /* a damaged index does not hand the place to somebody else */
    claims_keep(c, &a, 100);
    assert_null(claims_take(c, a.id, 99, 5));
    uuid_format(a.id, id);
    assert_true(claims_has(c, id));
    assert_false(claims_has(c, "x"));
    claims_row_free(claims_take(c, a.id, 11, 5));
    assert_false(claims_has(c, id));
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(a_place_goes_to_its_process_once),
        T(unclaimed_places_fall_due),
        T(the_same_id_twice_is_one_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
