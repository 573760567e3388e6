/* SPDX-License-Identifier: MIT */
/* X-Forwarded-For of a trusted proxy as bytes: whatever it says, the client is an address in its
 * one form, or the proxy itself. */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/forwarded.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(forwarded_freep) struct forwarded *f = NULL;
    char out[FORWARDED_ADDRESS_SIZE], again[FORWARDED_ADDRESS_SIZE], text[8192];
    struct in6_addr in;
    struct err err = {{0}};
    size_t n = size < sizeof(text) - 1 ? size : sizeof(text) - 1;
    if (forwarded_new("127.0.0.1;10.0.0.0/8;2001:db8::/33", &f, &err) < 0)
        abort();
    memcpy(text, data, n);
    text[n] = '\0';
    forwarded_client(f, "127.0.0.1", text, out);
    if (inet_pton(AF_INET, out, &in) != 1 && inet_pton(AF_INET6, out, &in) != 1)
        abort();
    forwarded_client(f, "127.0.0.1", out, again);
    if (strcmp(out, again) != 0)
        abort();
    return 0;
}
