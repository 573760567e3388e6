/* SPDX-License-Identifier: MIT */
/* UUID version 7. Behind the time stand 26 bits that count within one millisecond, from a random
 * start with room above it, and 48 fresh random bits in every id. */
#include "base/uuid.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/str.h"

#define COUNTER_BITS 26
#define COUNTER_MAX ((UINT32_C(1) << COUNTER_BITS) - 1)
#define STEP_BACK_MS 10000 /* a clock put back by less keeps the order, by more is followed */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_ms;
static uint32_t last_counter;

/* Decides time and counter of the next id. `random` starts a counter. */
static void uuid_next(uint64_t *ms, uint32_t *counter, uint32_t random)
{
    uint32_t start = random & (COUNTER_MAX >> 1);
    (void)pthread_mutex_lock(&lock);
    if (*ms > last_ms || last_ms - *ms > STEP_BACK_MS) {
        last_ms = *ms;
        last_counter = start;
    } else if (last_counter < COUNTER_MAX) {
        last_counter++;
    } else {
        last_ms++; /* run ahead of the clock rather than repeat */
        last_counter = start;
    }
    *ms = last_ms;
    *counter = last_counter;
    (void)pthread_mutex_unlock(&lock);
}

void uuid_new(uint64_t realtime_ns, uint8_t ret[16])
{
    uint8_t random[10];
    if (getentropy(random, sizeof(random)) < 0)
        abort(); /* guessable ids are worse than none */
    uint32_t start;
    memcpy(&start, random, sizeof(start));
    uint64_t ms = realtime_ns / CLOCK_NS_PER_MS;
    uint32_t counter;
    uuid_next(&ms, &counter, start);

    for (int i = 0; i < 6; i++)
        ret[i] = (uint8_t)(ms >> (40 - 8 * i));
    ret[6] = (uint8_t)(0x70 | (counter >> 22)); /* version 7, 4 bits of the counter */
    ret[7] = (uint8_t)(counter >> 14);
    ret[8] = (uint8_t)(0x80 | ((counter >> 8) & 0x3f)); /* variant 10, 6 bits */
    ret[9] = (uint8_t)counter;
    memcpy(ret + 10, random + 4, 6);
}

void uuid_format(const uint8_t id[16], char out[UUID_TEXT_SIZE])
{
    char hex[33];
    str_hex(id, 16, hex);
    static const int part[] = {8, 4, 4, 4, 12};
    const char *s = hex;
    for (size_t i = 0; i < ARRAY_LEN(part); i++) {
        memcpy(out, s, (size_t)part[i]);
        out += part[i];
        s += part[i];
        *out++ = '-';
    }
    out[-1] = '\0';
}

int uuid_parse(const char *s, uint8_t ret[16])
{
    if (strlen(s) != UUID_TEXT_SIZE - 1)
        return -EINVAL;
    char hex[33];
    size_t n = 0;
    for (size_t i = 0; i < UUID_TEXT_SIZE - 1; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash != (s[i] == '-'))
            return -EINVAL;
        if (!dash)
            hex[n++] = s[i];
    }
    hex[n] = '\0';
    return str_unhex(hex, ret, 16);
}
