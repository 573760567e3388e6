/* SPDX-License-Identifier: MIT */
/* Small values that people and files write: durations, times, numbers, ids, hex. What is accepted
 * is written back to something that means the same. Also escaping and quoting, of any bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "store/logset.h"
#include "store/pages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool ok)
{
    if (!ok)
        abort();
}

static void duration(const char *s)
{
    uint64_t ns, again;
    char text[48];
    struct err err = {{0}};
    if (str_parse_duration(s, &ns, &err) < 0) {
        must(err.text[0]);
        return;
    }
    must(str_parse_duration(str_format_duration(ns, text), &again, NULL) == 0 && again == ns);
}

static void moment(const char *s)
{
    uint64_t ns, again;
    char text[32];
    if (clock_parse(s, &ns) == 0)
        must(clock_parse(clock_format(ns, text), &again) == 0 && again == ns);
}

static void names(const char *s)
{
    uint8_t id[16], again[16], bytes[8];
    char text[UUID_TEXT_SIZE], hex[17];
    uint64_t n;
    _cleanup_free_ char *log = NULL;
    if (uuid_parse(s, id) == 0) {
        uuid_format(id, text);
        must(uuid_parse(text, again) == 0 && memcmp(id, again, 16) == 0);
    }
    if (str_unhex(s, bytes, sizeof(bytes)) == 0) {
        str_hex(bytes, sizeof(bytes), hex);
        must(strlen(s) == 16 && strcasecmp(s, hex) == 0);
    }
    if (str_parse_u64(s, 1000, &n) == 0)
        must(n <= 1000 && s[strspn(s, "0123456789")] == '\0');
    if (logset_is_rotated(s, &log))
        must(str_starts(s, log) && s[strlen(log)] == '.');
    struct history_query q = {.before = s};
    struct err err = {{0}};
    must(pages_check(&q, &err) == 0 || err.text[0]);
}

static void visible(const struct buf *out)
{
    must(str_utf8_valid(buf_str(out), out->len));
    for (size_t i = 0; i < out->len; i++)
        must((uint8_t)out->data[i] >= 0x20 && out->data[i] != 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_free_ char *s = mem_strndup((const char *)data, size);
    _cleanup_buf_ struct buf out = BUF_INIT(64u << 20);
    duration(s);
    moment(s);
    names(s);
    must(str_escape(&out, (const char *)data, size) == 0);
    visible(&out);
    buf_clear(&out);
    must(str_shell_quote(&out, (const char *)data, size) == 0 && out.len > 0);
    visible(&out);
    return 0;
}
