/* SPDX-License-Identifier: MIT */
#include "wire/v1.h"

#include <errno.h>

#include "wire/bytes.h"

int v1_length_decode(const uint8_t in[4], uint32_t *ret)
{
    uint32_t len = bytes_get_u32(in);

    if (len == 0)
        return -EBADMSG;
    if (len > V1_REQUEST_BYTES_MAX)
        return -E2BIG;
    *ret = len;
    return 0;
}

void v1_frame_encode(enum v1_frame type, uint32_t len, uint8_t out[V1_FRAME_HEAD_SIZE])
{
    out[0] = (uint8_t)type;
    bytes_put_u32(out + 1, len);
}

int v1_frame_decode(const uint8_t in[V1_FRAME_HEAD_SIZE], uint8_t *ret_type, uint32_t *ret_len)
{
    uint32_t len = bytes_get_u32(in + 1);

    if (in[0] < V1_STDOUT || in[0] > V1_CANCEL)
        return -EBADMSG;
    if (len > V1_FRAME_BYTES_MAX)
        return -E2BIG;
    *ret_type = in[0];
    *ret_len = len;
    return 0;
}
