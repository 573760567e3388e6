/* SPDX-License-Identifier: MIT */
/* Reads the two clocks and writes and reads times as text. UTC only, the locale plays no part. */
#include "base/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;
    if (clock_gettime(id, &ts) < 0 || ts.tv_sec < 0)
        return 0; /* not reached with these two clocks on a sane machine */
    return (uint64_t)ts.tv_sec * CLOCK_NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

uint64_t clock_realtime(void)
{
    return clock_read(CLOCK_REALTIME);
}

static void put_digits(char **p, unsigned v, int digits, char after)
{
    for (int i = digits; i-- > 0; v /= 10)
        (*p)[i] = (char)('0' + v % 10);
    *p += digits;
    *(*p)++ = after;
}

const char *clock_format(uint64_t realtime_ns, char out[32])
{
    time_t sec = (time_t)(realtime_ns / CLOCK_NS_PER_SEC);
    struct tm tm;
    char *p = out;
    gmtime_r(&sec, &tm); /* 64 bits of nanoseconds end in 2554: the year has four digits */
    put_digits(&p, (unsigned)tm.tm_year + 1900, 4, '-');
    put_digits(&p, (unsigned)tm.tm_mon + 1, 2, '-');
    put_digits(&p, (unsigned)tm.tm_mday, 2, 'T');
    put_digits(&p, (unsigned)tm.tm_hour, 2, ':');
    put_digits(&p, (unsigned)tm.tm_min, 2, ':');
    put_digits(&p, (unsigned)tm.tm_sec, 2, '.');
    put_digits(&p, (unsigned)(realtime_ns % CLOCK_NS_PER_SEC), 9, 'Z');
    *p = '\0';
    return out;
}

/* Exactly `digits` decimal digits at *s, moving it behind them. */
static bool take_number(const char **s, int digits, int *ret)
{
    int v = 0;
    for (int i = 0; i < digits; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        v = v * 10 + (**s - '0');
    }
    *ret = v;
    return true;
}

/* ".5" is 500000000; no dot is 0. */
static bool take_fraction(const char **s, uint64_t *ret_ns)
{
    *ret_ns = 0;
    if (**s != '.')
        return true;
    (*s)++;
    int digits = 0;
    for (; **s >= '0' && **s <= '9' && digits < 9; (*s)++, digits++)
        *ret_ns = *ret_ns * 10 + (uint64_t)(**s - '0');
    for (int i = digits; i < 9; i++)
        *ret_ns *= 10;
    return digits > 0;
}

int clock_parse(const char *s, uint64_t *ret_realtime_ns)
{
    static const struct {
        int digits;
        char after; /* '\0': what follows is read elsewhere */
    } part[6] = {{4, '-'}, {2, '-'}, {2, 'T'}, {2, ':'}, {2, ':'}, {2, '\0'}};
    int v[6];
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        if (!take_number(&s, part[i].digits, &v[i]))
            return -EINVAL;
        if (part[i].after && *s++ != part[i].after)
            return -EINVAL;
    }
    uint64_t ns;
    if (!take_fraction(&s, &ns) || strcmp(s, "Z") != 0)
        return -EINVAL;

    struct tm tm = {.tm_year = v[0] - 1900,
                    .tm_mon = v[1] - 1,
                    .tm_mday = v[2],
                    .tm_hour = v[3],
                    .tm_min = v[4],
                    .tm_sec = v[5]};
    struct tm back = tm;
    time_t sec = timegm(&back); /* makes 31 February a day of March: compare */
    if (back.tm_year != tm.tm_year || back.tm_mon != tm.tm_mon || back.tm_mday != tm.tm_mday ||
        back.tm_hour != tm.tm_hour || back.tm_min != tm.tm_min || back.tm_sec != tm.tm_sec)
        return -EINVAL;
    if (sec < 0 || (uint64_t)sec >= UINT64_MAX / CLOCK_NS_PER_SEC)
        return -EINVAL;
    *ret_realtime_ns = (uint64_t)sec * CLOCK_NS_PER_SEC + ns;
    return 0;
}
