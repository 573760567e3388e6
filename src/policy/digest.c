/* SPDX-License-Identifier: MIT */
/* The only user of OpenSSL in this layer. */
#include "policy/digest.h"

#include <stdint.h>
#include <stdlib.h>

#include <openssl/evp.h>

#include "base/str.h"

void digest_hex(const void *p, size_t n, char ret[DIGEST_HEX_SIZE])
{
    uint8_t sum[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_Digest(p, n, sum, &len, EVP_sha256(), NULL) != 1 || len != 32)
        abort();
    str_hex(sum, 32, ret);
}
