/* SPDX-License-Identifier: MIT */
/* UUIDs: version and time, order of making, exact text. */
#include "base/uuid.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static uint64_t ms_of(const uint8_t id[16])
{
    uint64_t ms = 0;
    for (int i = 0; i < 6; i++)
        ms = ms << 8 | id[i];
    return ms;
}

static void an_id_holds_version_variant_and_time(void **state)
{
    uint8_t id[16];
    uuid_new(UINT64_C(0x0198aabbccdd) * CLOCK_NS_PER_MS + 999999, id);
    assert_int_equal(ms_of(id), UINT64_C(0x0198aabbccdd));
    assert_int_equal(id[6] >> 4, 7);
    assert_int_equal(id[8] >> 6, 2);
}

static void ids_of_one_millisecond_sort_as_made(void **state)
{
    uint64_t now = UINT64_C(0x0298aabbccdd) * CLOCK_NS_PER_MS;
    uint8_t last[16], id[16];
    uuid_new(now, last);
    for (int i = 0; i < 100000; i++) {
        uuid_new(now, id);
        assert_true(memcmp(last, id, sizeof(id)) < 0);
        memcpy(last, id, sizeof(id));
    }
}

static void ids_sort_as_made_when_the_clock_steps_back_a_little(void **state)
{
    uint64_t now = UINT64_C(0x0398aabbccdd) * CLOCK_NS_PER_MS;
    uint8_t a[16], b[16], c[16];
    uuid_new(now, a);
    uuid_new(now - 5 * CLOCK_NS_PER_SEC, b);
    uuid_new(now + CLOCK_NS_PER_MS, c);
    assert_true(memcmp(a, b, sizeof(a)) < 0);
    assert_true(memcmp(b, c, sizeof(b)) < 0);
}

static void a_clock_put_back_far_is_followed(void **state)
{
    uint8_t id[16];
    uuid_new(UINT64_C(0x0498aabbccdd) * CLOCK_NS_PER_MS, id);
    uuid_new(UINT64_C(0x0498aabb0000) * CLOCK_NS_PER_MS, id);
    assert_int_equal(ms_of(id), UINT64_C(0x0498aabb0000));
}

static void the_tail_is_random(void **state)
{
    uint8_t a[16], b[16];
    uuid_new(clock_realtime(), a);
    uuid_new(clock_realtime(), b);
    assert_memory_not_equal(a + 10, b + 10, 6);
}

static void text_is_canonical_and_reads_back(void **state)
{
    static const uint8_t id[16] = {0x01, 0x98, 0xaa, 0xbb, 0xcc, 0xdd, 0x7e, 0xff,
                                   0x80, 0x00, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc};
    char text[UUID_TEXT_SIZE];
    uuid_format(id, text);
    assert_string_equal(text, "0198aabb-ccdd-7eff-8000-123456789abc");
    uint8_t back[16];
    assert_int_equal(uuid_parse(text, back), 0);
    assert_memory_equal(back, id, 16);
    assert_int_equal(uuid_parse("0198AABB-CCDD-7EFF-8000-123456789ABC", back), 0);
    assert_memory_equal(back, id, 16);
}

static void other_text_is_refused_and_changes_nothing(void **state)
{
    static const char *const bad[] = {
        "",
        "0198aabb-ccdd-7eff-8000-123456789ab",   /* short */
        "0198aabb-ccdd-7eff-8000-123456789abcd", /* long */
        "0198aabbccdd7eff8000123456789abc",      /* no dashes */
        "0198aabbc-cdd-7eff-8000-123456789abc",  /* a dash elsewhere */
        "0198aabb-ccdd-7eff-8000-123456789abg",  /* not a digit */
        "0198aabb-ccdd-7eff-8000_123456789abc",
        "{198aabb-ccdd-7eff-8000-123456789abc",
        "0198aabb-ccdd-7eff-8000-123456789ab ",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint8_t id[16] = {7};
        assert_int_equal(uuid_parse(bad[i], id), -EINVAL);
        assert_int_equal(id[0], 7);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_holds_version_variant_and_time),
        cmocka_unit_test(ids_of_one_millisecond_sort_as_made),
        cmocka_unit_test(ids_sort_as_made_when_the_clock_steps_back_a_little),
        cmocka_unit_test(a_clock_put_back_far_is_followed),
        cmocka_unit_test(the_tail_is_random),
        cmocka_unit_test(text_is_canonical_and_reads_back),
        cmocka_unit_test(other_text_is_refused_and_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
