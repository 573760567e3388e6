/* SPDX-License-Identifier: MIT */
/* SHA-256 (FIPS 180-4) for the static programs, which link no library. The warden uses OpenSSL. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define SHA256_SIZE 32
#define SHA256_BLOCK_SIZE 64

struct sha256 {
    uint32_t state[8];
    uint64_t bytes; /* hashed so far, what waits in `block` included */
    uint8_t block[SHA256_BLOCK_SIZE];
};

void sha256_init(struct sha256 *h);
void sha256_update(struct sha256 *h, const void *data, size_t len);
/* Ends it; sha256_init() before the next use. */
void sha256_final(struct sha256 *h, uint8_t ret[SHA256_SIZE]);
