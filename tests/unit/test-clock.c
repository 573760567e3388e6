/* SPDX-License-Identifier: MIT */
/* Time as text and back; dates that do not exist are refused. */
#include "base/clock.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void assert_format(uint64_t ns, const char *expect)
{
    char out[32];
    assert_string_equal(clock_format(ns, out), expect);
    uint64_t back;
    assert_int_equal(clock_parse(out, &back), 0);
    assert_int_equal(back, ns);
}

static void times_are_written_in_utc_with_nine_decimals_and_read_back(void **state)
{
    assert_format(0, "1970-01-01T00:00:00.000000000Z");
    assert_format(UINT64_C(1769847300123456789), "2026-01-31T08:15:00.123456789Z");
    assert_format(UINT64_C(1709164800000000001), "2024-02-29T00:00:00.000000001Z");
    /* the last second whose nanoseconds fit entirely */
    assert_format(UINT64_C(18446744072999999999), "2554-07-21T23:34:32.999999999Z");
}

static void every_time_has_a_text(void **state)
{
    char out[32];
    assert_string_equal(clock_format(UINT64_MAX, out), "2554-07-21T23:34:33.709551615Z");
}

static void fewer_decimals_are_read(void **state)
{
    uint64_t ns;
    assert_int_equal(clock_parse("1970-01-01T00:00:01Z", &ns), 0);
    assert_int_equal(ns, CLOCK_NS_PER_SEC);
    assert_int_equal(clock_parse("1970-01-01T00:00:01.5Z", &ns), 0);
    assert_int_equal(ns, 1500 * CLOCK_NS_PER_MS);
    assert_int_equal(clock_parse("1970-01-01T00:00:00.000001Z", &ns), 0);
    assert_int_equal(ns, 1000);
}

static void what_is_not_such_a_time_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T08:15:00",             /* no zone */
        "2026-01-31T08:15:00+00:00",       /* another zone */
        "2026-01-31T08:15:00z",            /* we write Z */
        "2026-01-31 08:15:00Z",            /* no T */
        "2026-01-31T08:15:00.Z",           /* a dot and nothing */
        "2026-01-31T08:15:00.1234567890Z", /* ten decimals */
        "2026-01-31T08:15:00Z ",           /* a rest */
        " 2026-01-31T08:15:00Z",           /* a blank */
        "2026-1-31T08:15:00Z",             /* one digit */
        "2026-+1-31T08:15:00Z",            /* a sign */
        "2026-02-29T00:00:00Z",            /* not a leap year */
        "2026-04-31T00:00:00Z",            /* 30 days */
        "2026-00-10T00:00:00Z",            /* no such month */
        "2026-13-10T00:00:00Z",            /* no such month */
        "2026-01-00T00:00:00Z",            /* no such day */
        "2026-01-31T24:00:00Z",            /* no such hour */
        "2026-01-31T00:60:00Z",            /* no such minute */
        "2016-12-31T23:59:60Z",            /* a leap second: POSIX has none */
        "1969-12-31T23:59:59Z",            /* before the epoch */
        "2554-07-21T23:34:33Z",            /* past 64 bits */
        "9999-12-31T23:59:59Z",            /* past 64 bits */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        uint64_t ns = 7;
        if (clock_parse(bad[i], &ns) != -EINVAL)
            fail_msg("'%s' was read", bad[i]);
        assert_int_equal(ns, 7);
    }
}

static void the_clocks_run(void **state)
{
    uint64_t a = clock_monotonic(), b = clock_monotonic();
    assert_true(a > 0 && b >= a);
    assert_true(clock_realtime() > UINT64_C(1700000000) * CLOCK_NS_PER_SEC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_written_in_utc_with_nine_decimals_and_read_back),
        cmocka_unit_test(every_time_has_a_text),
        cmocka_unit_test(fewer_decimals_are_read),
        cmocka_unit_test(what_is_not_such_a_time_is_refused),
        cmocka_unit_test(the_clocks_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
