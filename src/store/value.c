/* SPDX-License-Identifier: MIT */
/* Turns tagged values back into the bytes that they stand for. */
#include "store/value.h"

#include <string.h>

#include "base/str.h"

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

/* Base64 with padding (RFC 4648, 4). */
static bool base64(const char *s, size_t n, struct buf *out)
{
    size_t before = out->len;
    for (size_t i = 0; i < n; i += 4) {
        bool last = i + 4 >= n;
        size_t pad = last && n - i == 4 ? (size_t)(s[i + 3] == '=') + (s[i + 2] == '=') : 0;
        unsigned v = 0;
        for (size_t k = 0; k < 4; k++) {
            int d = i + k < n ? (last && k >= 4 - pad ? 0 : digit(s[i + k])) : -1;
            if (d < 0) {
                out->len = before;
                return false;
            }
            v = v << 6 | (unsigned)d;
        }
        char three[3] = {(char)(v >> 16), (char)(v >> 8), (char)v};
        (void)buf_append(out, three, 3 - pad);
    }
    return true;
}

bool value_bytes(const struct json *j, struct buf *out)
{
    size_t n;
    const char *s = json_string(j, &n);
    if (s)
        return buf_append(out, s, n) == 0;
    s = json_is_object(j) && json_count(j) == 1 ? json_string(json_get(j, "bytes"), &n) : NULL;
    return s && base64(s, n, out) && !out->failed;
}

static void quote(const struct json *word, struct buf *scratch, struct buf *out)
{
    buf_clear(scratch);
    if (value_bytes(word, scratch))
        (void)str_shell_quote(out, buf_str(scratch), scratch->len);
    else
        (void)buf_append_char(out, '?');
}

bool value_command_line(const struct json *record, struct buf *out)
{
    const struct json *first = json_get(record, "argv0"), *args = json_get(record, "args");
    if (!first || json_is_null(first))
        first = json_get(record, "command");
    if (!first || json_is_null(first))
        return false;
    _cleanup_buf_ struct buf scratch = BUF_INIT(out->limit);
    quote(first, &scratch, out);
    for (size_t i = 0; json_is_array(args) && i < json_count(args); i++) {
        (void)buf_append_char(out, ' ');
        quote(json_at(args, i), &scratch, out);
    }
    return true;
}
