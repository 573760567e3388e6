/* SPDX-License-Identifier: MIT */
/* UUID version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then random bits from getrandom(2).
 * Ids made by one process in one millisecond still sort in the order of their making. */
#pragma once

#include <stdint.h>

#define UUID_TEXT_SIZE 37 /* 36 characters and NUL */

void uuid_new(uint64_t realtime_ns, uint8_t ret[16]);
void uuid_format(const uint8_t id[16], char out[UUID_TEXT_SIZE]);
int uuid_parse(const char *s, uint8_t ret[16]); /* canonical lower or upper case; 0 or -EINVAL */
