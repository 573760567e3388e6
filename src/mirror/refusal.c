/* SPDX-License-Identifier: MIT */
#include "mirror/refusal.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include "wire/bytes.h"
#include "wire/v1.h"
#include "wire/v2.h"

#define EXIT_CANNOT 125
#define TEXT_MAX 512

static size_t encode_v1(const char *text, size_t n, uint8_t *out)
{
    uint8_t *p = out;
    *p++ = V1_ACK_ALLOWED;
    v1_frame_encode(V1_STDERR, (uint32_t)n, p);
    p += V1_FRAME_HEAD_SIZE;
    memcpy(p, text, n);
    p += n;
    v1_frame_encode(V1_EXIT, 1, p);
    p += V1_FRAME_HEAD_SIZE;
    *p++ = EXIT_CANNOT;
    return (size_t)(p - out);
}

static size_t encode_v2(const char *text, size_t n, uint8_t *out)
{
    v2_head_encode(V2_REFUSED, (uint32_t)(V2_REFUSED_HEAD_SIZE + n), out);
    bytes_put_u32(out + V2_HEAD_SIZE, EXIT_CANNOT);
    memcpy(out + V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE, text, n);
    return V2_HEAD_SIZE + V2_REFUSED_HEAD_SIZE + n;
}

void refusal_say(int conn, bool v1, const char *text)
{
    uint8_t out[TEXT_MAX + 64];
    size_t n = strlen(text);
    if (n > TEXT_MAX)
        n = TEXT_MAX;
    n = v1 ? encode_v1(text, n, out) : encode_v2(text, n, out);
    (void)send(conn, out, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}
