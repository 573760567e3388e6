/* SPDX-License-Identifier: MIT */
/* A v1 conversation as bytes: a length with its JSON, then frames. What is accepted must lie inside
 * the limits and be written back as it came. */
#include <stdlib.h>
#include <string.h>

#include "wire/v1.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint32_t len;

    if (size < 4 || v1_length_decode(data, &len) < 0)
        return 0;
    if (len == 0 || len > V1_REQUEST_BYTES_MAX)
        abort();
    data += 4, size -= 4;
    if (len > size)
        return 0;
    data += len, size -= len;
    while (size >= V1_FRAME_HEAD_SIZE) {
        uint8_t type, again[V1_FRAME_HEAD_SIZE];

        if (v1_frame_decode(data, &type, &len) < 0)
            return 0;
        v1_frame_encode(type, len, again);
        if (memcmp(again, data, sizeof(again)) != 0 || len > V1_FRAME_BYTES_MAX)
            abort();
        data += V1_FRAME_HEAD_SIZE, size -= V1_FRAME_HEAD_SIZE;
        if (len > size)
            return 0;
        data += len, size -= len;
    }
    return 0;
}
