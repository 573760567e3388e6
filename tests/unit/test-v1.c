/* SPDX-License-Identifier: MIT */
/* cmocka.h needs these four before it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "wire/v1.h"

static void a_request_length_is_between_one_and_ten_mebibytes(void **state)
{
    const uint8_t zero[4] = {0}, one[4] = {0, 0, 0, 1}, most[4] = {0, 0xa0, 0, 0};
    const uint8_t more[4] = {0, 0xa0, 0, 1}, all[4] = {255, 255, 255, 255};
    uint32_t len = 77;

    assert_int_equal(v1_length_decode(zero, &len), -EBADMSG);
    assert_int_equal(v1_length_decode(more, &len), -E2BIG);
    assert_int_equal(v1_length_decode(all, &len), -E2BIG);
    assert_int_equal(len, 77);
    assert_int_equal(v1_length_decode(one, &len), 0);
    assert_int_equal(len, 1);
    assert_int_equal(v1_length_decode(most, &len), 0);
    assert_int_equal(len, V1_REQUEST_BYTES_MAX);
}

static void a_frame_head_is_type_and_big_endian_length(void **state)
{
    const uint8_t want[V1_FRAME_HEAD_SIZE] = {2, 0x00, 0x01, 0x02, 0x03};
    uint8_t got[V1_FRAME_HEAD_SIZE], type = 0;
    uint32_t len = 0;

    v1_frame_encode(V1_STDERR, 0x010203, got);
    assert_memory_equal(got, want, sizeof(want));
    assert_int_equal(v1_frame_decode(got, &type, &len), 0);
    assert_int_equal(type, V1_STDERR);
    assert_int_equal(len, 0x010203);
}

static void an_unknown_frame_type_is_refused(void **state)
{
    uint8_t in[V1_FRAME_HEAD_SIZE] = {0}, type;
    uint32_t len;

    for (int t = 0; t < 256; t++) {
        in[0] = (uint8_t)t;
        assert_int_equal(v1_frame_decode(in, &type, &len), t >= 1 && t <= 4 ? 0 : -EBADMSG);
    }
}

static void a_frame_over_the_limit_is_refused(void **state)
{
    uint8_t in[V1_FRAME_HEAD_SIZE], type;
    uint32_t len;

    v1_frame_encode(V1_STDOUT, V1_FRAME_BYTES_MAX, in);
    assert_int_equal(v1_frame_decode(in, &type, &len), 0);
    v1_frame_encode(V1_STDOUT, V1_FRAME_BYTES_MAX + 1, in);
    assert_int_equal(v1_frame_decode(in, &type, &len), -E2BIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_length_is_between_one_and_ten_mebibytes),
        cmocka_unit_test(a_frame_head_is_type_and_big_endian_length),
        cmocka_unit_test(an_unknown_frame_type_is_refused),
        cmocka_unit_test(a_frame_over_the_limit_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
