/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <zlib.h>

#include "http/entity.h"

static void a_tag_names_the_bytes(void **state)
{
    char a[ENTITY_TAG_SIZE], b[ENTITY_TAG_SIZE], list[128];
    entity_tag("x", 1, a);
    entity_tag("y", 1, b);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), ENTITY_TAG_SIZE - 1);
    assert_true(entity_matches(a, a) && entity_matches("*", a) && entity_matches(a + 2, a));
    (void)snprintf(list, sizeof(list), "\"z\", %s", a);
    assert_true(entity_matches(list, a));
    assert_false(entity_matches(b, a) || entity_matches(NULL, a) || entity_matches("", a));
    assert_false(entity_matches(a, "") || entity_matches("**", a));
}

static void gzip_is_taken_by_who_says_so(void **state)
{
    static const char *const yes[] = {"gzip",       "GZIP",      "br, gzip",
                                      "gzip;q=0.5", "gzip; q=1", "deflate,gzip;q=0.001",
                                      "gzip, *;q=0"};
    static const char *const no[] = {"",      "br",    "gzip;q=0", "gzip;q=0.0", "gzip; q=0.000",
                                     "xgzip", "gzipx", "identity"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
        assert_true(entity_takes_gzip(yes[i]));
    for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
        assert_false(entity_takes_gzip(no[i]));
    assert_false(entity_takes_gzip(NULL));
}

static void what_is_packed_is_smaller_and_comes_back(void **state)
{
    static char text[50000], back[50000];
    struct buf out = BUF_INIT(1u << 20);
    memset(text, 'a', sizeof(text));
    assert_int_equal(entity_gzip(text, sizeof(text), &out), 0);
    assert_in_range(out.len, 20, 1000);
    z_stream z = {.next_in = (Bytef *)out.data,
                  .avail_in = (uInt)out.len,
                  .next_out = (Bytef *)back,
                  .avail_out = sizeof(back)};
    assert_int_equal(inflateInit2(&z, 15 + 16), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    (void)inflateEnd(&z);
    assert_memory_equal(text, back, sizeof(text));
    buf_done(&out);
}

static void what_is_short_long_or_random_stays_as_it_is(void **state)
{
    static char noise[5000];
    struct buf out = BUF_INIT(1u << 20);
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (char)((x = x * 1664525u + 1013904223u) >> 24);
    assert_int_equal(entity_gzip("abc", 3, &out), -EMSGSIZE);
    assert_int_equal(entity_gzip(noise, sizeof(noise), &out), -EMSGSIZE);
    assert_int_equal(entity_gzip(noise, ENTITY_GZIP_MAX + 1, &out), -EMSGSIZE);
    assert_int_equal(out.len, 0);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tag_names_the_bytes),
        cmocka_unit_test(gzip_is_taken_by_who_says_so),
        cmocka_unit_test(what_is_packed_is_smaller_and_comes_back),
        cmocka_unit_test(what_is_short_long_or_random_stays_as_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
