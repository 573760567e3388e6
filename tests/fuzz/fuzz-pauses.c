/* SPDX-License-Identifier: MIT */
/* paused.json as bytes: it is refused and nothing of it is kept, or what is written of it reads
 * back to the same text. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/holds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(holds_freep) struct holds *h = holds_new(), *again = holds_new();
    _cleanup_buf_ struct buf first = BUF_INIT(16u << 20), second = BUF_INIT(16u << 20);
    struct err err = {{0}};
    if (holds_read(h, (const char *)data, size, &err) < 0) {
        must(holds_count(h) == 0);
        return 0;
    }
    must(holds_count(h) <= HOLDS_MAX);
    holds_write(h, &first);
    must(holds_read(again, buf_str(&first), first.len, &err) == 0);
    must(holds_count(again) == holds_count(h));
    holds_write(again, &second);
    must(first.len == second.len && memcmp(buf_str(&first), buf_str(&second), first.len) == 0);
    return 0;
}
