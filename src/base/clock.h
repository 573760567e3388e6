/* SPDX-License-Identifier: MIT */
/* Time. Nanoseconds everywhere; core gets its clock through a port so that tests can move it. */
#pragma once

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CLOCK_NS_PER_SEC UINT64_C(1000000000)
#define CLOCK_NS_PER_MS UINT64_C(1000000)

uint64_t clock_monotonic(void);
uint64_t clock_realtime(void); /* since 1970-01-01 UTC */

/* RFC 3339 in UTC with nine decimals: "2026-01-31T08:15:00.123456789Z"; 30 characters. */
const char *clock_format(uint64_t realtime_ns, char out[32]);
/* Accepts what clock_format() writes, with 0 to 9 decimals. 0 or -EINVAL. */
int clock_parse(const char *s, uint64_t *ret_realtime_ns);
