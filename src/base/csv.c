/* SPDX-License-Identifier: MIT */
#include "base/csv.h"

#include <string.h>

#include "base/str.h"

static bool csv_is_plain(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < 0x20 || (unsigned char)p[i] >= 0x7f || p[i] == '"')
            return false;
    return true;
}

static void csv_put(struct buf *out, const char *p, size_t n)
{
    const char *end = p + n;
    while (p < end) {
        const char *quote = memchr(p, '"', (size_t)(end - p));
        size_t k = quote ? (size_t)(quote - p) + 1 : (size_t)(end - p);
        (void)buf_append(out, p, k);
        if (quote)
            (void)buf_append_char(out, '"');
        p += k;
    }
}

void csv_cell(struct buf *out, bool first, const char *p, size_t n)
{
    (void)buf_append_str(out, first ? "\"" : ",\"");
    if (n > 0 && strchr("=+-@|%", p[0]))
        (void)buf_append_char(out, '\'');
    if (csv_is_plain(p, n)) {
        (void)buf_append(out, p, n);
    } else {
        _cleanup_buf_ struct buf visible = BUF_INIT(out->limit);
        (void)str_escape(&visible, p, n);
        csv_put(out, buf_str(&visible), visible.len);
    }
    (void)buf_append_char(out, '"');
}

void csv_end(struct buf *out)
{
    (void)buf_append(out, "\r\n", 2);
}
