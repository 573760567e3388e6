/* SPDX-License-Identifier: MIT */
/* The shim's protocol, version 1, kept so that existing shims work: u32 length and a JSON request
 * from the client; one ack byte, or V1_ACK_PENDING and then one more; then frames both ways.
 * Bytes only. The JSON itself is read by the door. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define V1_REQUEST_BYTES_MAX 10485760u
#define V1_FRAME_BYTES_MAX 10485760u
#define V1_FRAME_HEAD_SIZE 5
#define V1_FRAME_CHUNK 65536u /* what we send at most in one frame */

enum v1_ack { V1_ACK_ALLOWED = 0, V1_ACK_DENIED = 1, V1_ACK_PENDING = 2 };
enum v1_frame { V1_STDOUT = 1, V1_STDERR = 2, V1_EXIT = 3, V1_CANCEL = 4 };

/* 0, or -E2BIG over V1_REQUEST_BYTES_MAX, -EBADMSG for zero. */
int v1_length_decode(const uint8_t in[4], uint32_t *ret);
void v1_frame_encode(enum v1_frame type, uint32_t len, uint8_t out[V1_FRAME_HEAD_SIZE]);
/* -EBADMSG for an unknown type, -E2BIG for a length over the limit. */
int v1_frame_decode(const uint8_t in[V1_FRAME_HEAD_SIZE], uint8_t *ret_type, uint32_t *ret_len);
