/* SPDX-License-Identifier: MIT */
/* SHA-256 as lower-case hex. */
#pragma once

#include <stddef.h>

#define DIGEST_HEX_SIZE 65

/* Ends the process when OpenSSL cannot hash: a policy without its version must not be used. */
void digest_hex(const void *p, size_t n, char ret[DIGEST_HEX_SIZE]);
