/* SPDX-License-Identifier: MIT */
/* What the warden says, made safe and readable. Everything passes through str_escape() or
 * str_shell_quote(); combining marks beyond what a letter needs are escaped too, since a pile of
 * them covers neighbouring lines. */
#include "cli/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/table.h"

#define MARKS_MAX 2 /* combining marks on one letter */
#define ID_SHOWN                                                                                   \
    12 /* the last characters of a UUIDv7: its beginning is the time, its end is random */

/* ---- bytes ---- */

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

static char *decode_base64(const char *s, size_t n, size_t *ret_len)
{
    char *out = mem_zalloc(n / 4 * 3 + 4);
    size_t len = 0;
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < n; i++) {
        int v = base64_value(s[i]);
        if (v < 0)
            continue; /* padding */
        bits = bits << 6 | (uint32_t)v;
        have += 6;
        if (have >= 8) {
            have -= 8;
            out[len++] = (char)(bits >> have);
        }
    }
    *ret_len = len;
    return out;
}

char *show_bytes(const struct json *j, size_t *ret_len)
{
    size_t n = 0, ignored = 0;
    size_t *len = ret_len ? ret_len : &ignored;
    const char *s = json_string(j, &n);
    *len = n;
    if (s) { /* may have NUL bytes in it */
        char *copy = mem_zalloc(n + 1);
        memcpy(copy, s, n);
        return copy;
    }
    s = json_is_object(j) ? json_string(json_get(j, "bytes"), &n) : NULL;
    *len = 0;
    return s ? decode_base64(s, n, len) : mem_strdup("");
}

static bool is_mark(uint32_t c, const char *s, size_t n)
{
    char one[5] = {0};
    memcpy(one, s, n);
    return c >= 0x300 && table_width(one) == 0;
}

/* Copies text that is safe already but for piled-up marks. */
static char *unpile(const char *s)
{
    struct buf out = BUF_INIT(8ul * SHOW_BYTES_MAX);
    size_t n = strlen(s), marks = 0;
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = 0;
        k = str_utf8_next(s + i, n - i, &c);
        k = k ? k : 1;
        marks = is_mark(c, s + i, k) ? marks + 1 : 0;
        if (marks > MARKS_MAX)
            (void)buf_printf(&out, "\\u{%04x}", c);
        else
            (void)buf_append(&out, s + i, k);
    }
    return buf_steal(&out);
}

static char *finish(struct buf *b)
{
    char *text = unpile(buf_str(b));
    buf_done(b);
    return text;
}

char *show_text(const struct json *o, const char *key)
{
    const struct json *j = o ? json_get(o, key) : NULL;
    if (j && json_is_integer(j))
        return mem_printf("%lld", (long long)json_integer(j, 0));
    if (j && json_is_bool(j))
        return mem_strdup(json_bool(j, false) ? "yes" : "no");
    size_t n;
    _cleanup_free_ char *bytes = j ? show_bytes(j, &n) : NULL;
    if (!bytes)
        return mem_strdup("");
    struct buf b = BUF_INIT(8ul * SHOW_BYTES_MAX);
    (void)str_escape(&b, bytes, n);
    return finish(&b);
}

char *show_raw(const struct json *o, const char *key)
{
    size_t n;
    const char *s = o ? json_string(json_get(o, key), &n) : NULL;
    if (!s)
        return mem_strdup("");
    /* Safe text has no controls: if there are some it is not what the warden should send. */
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7f)
            return show_text(o, key);
    return unpile(s);
}

char *show_quoted(const struct json *o, const char *key)
{
    const struct json *j = o ? json_get(o, key) : NULL;
    if (!j || json_is_null(j))
        return mem_strdup("");
    size_t n;
    _cleanup_free_ char *bytes = show_bytes(j, &n);
    struct buf b = BUF_INIT(8ul * SHOW_BYTES_MAX);
    (void)str_shell_quote(&b, bytes, n);
    return finish(&b);
}

bool show_is_short(const struct json *request)
{
    return json_bool(json_get(request, "shortened"), false);
}

char *show_command(const struct json *request)
{
    const struct json *args = json_get(request, "args");
    struct buf b = BUF_INIT(8ul * SHOW_BYTES_MAX);
    _cleanup_free_ char *name = show_quoted(request, "command");
    (void)buf_append_str(&b, name);
    for (size_t i = 0; args && i < json_count(args); i++) {
        size_t n;
        _cleanup_free_ char *bytes = show_bytes(json_at(args, i), &n);
        (void)buf_append_char(&b, ' ');
        (void)str_shell_quote(&b, bytes, n);
    }
    const struct json *omitted = json_get(request, "args_omitted");
    if (omitted)
        (void)buf_printf(&b, " (%lld arguments, too long for a record)",
                         (long long)json_integer(omitted, 0));
    if (show_is_short(request)) {
        _cleanup_free_ char *id = show_id(request);
        (void)buf_printf(&b, " (%lld arguments, too long for a list: clawrden queue %s)",
                         (long long)json_integer(json_get(request, "args_count"), 0), id);
    }
    return finish(&b);
}

/* ---- times ---- */

char *show_duration(uint64_t ns)
{
    uint64_t s = ns / CLOCK_NS_PER_SEC;
    unsigned long long h = s / 3600, m = s / 60 % 60;
    if (s < 60)
        return mem_printf("%llus", (unsigned long long)s);
    if (s < 3600)
        return s % 60 && s < 600 ? mem_printf("%llum%llus", m, (unsigned long long)s % 60)
                                 : mem_printf("%llum", m);
    if (s < 86400)
        return m ? mem_printf("%lluh%llum", h, m) : mem_printf("%lluh", h);
    return mem_printf("%llud", h / 24);
}

static bool get_time(const struct json *o, const char *key, uint64_t *ret)
{
    const char *s = o ? json_string(json_get(o, key), NULL) : NULL;
    return s && clock_parse(s, ret) == 0;
}

char *show_age(const struct json *o, const char *key)
{
    uint64_t then, now = clock_realtime();
    if (!get_time(o, key, &then))
        return mem_strdup("");
    return show_duration(now > then ? now - then : 0);
}

char *show_left(const struct json *o, const char *key)
{
    uint64_t then, now = clock_realtime();
    if (!get_time(o, key, &then))
        return mem_strdup("");
    return show_duration(then > now ? then - now : 0);
}

char *show_time(const struct json *o, const char *key)
{
    uint64_t t;
    if (!get_time(o, key, &t))
        return mem_strdup("");
    time_t seconds = (time_t)(t / CLOCK_NS_PER_SEC);
    struct tm tm;
    char out[64] = "";
    if (localtime_r(&seconds, &tm))
        (void)strftime(out, sizeof(out), "%Y-%m-%d %H:%M:%S", &tm);
    return mem_strdup(out);
}

char *show_id(const struct json *o)
{
    _cleanup_free_ char *id = show_text(o, "id");
    size_t n = strlen(id), from = n > ID_SHOWN ? n - ID_SHOWN : 0;
    while (from > 0 && from < n && ((unsigned char)id[from] & 0xc0) == 0x80)
        from++; /* the rest of a character alone may be a control */
    return mem_strdup(id + from);
}

/* ---- JSON ---- */

/* JSON text may stand on a terminal too: characters that act there or do not show become \\uNNNN,
 * which a parser reads back as the same. */
static char *unseen_as_ascii(const struct buf *json)
{
    struct buf out = BUF_INIT(8ul * SHOW_BYTES_MAX);
    const char *s = buf_str(json);
    size_t marks = 0;
    for (size_t i = 0, k; i < json->len; i += k) {
        uint32_t c = 0;
        k = str_utf8_next(s + i, json->len - i, &c);
        k = k ? k : 1;
        _cleanup_buf_ struct buf shown = BUF_INIT(64);
        if (c >= 0x7f)
            (void)str_escape(&shown, s + i, k);
        marks = is_mark(c, s + i, k) ? marks + 1 : 0;
        bool seen = c < 0x7f || (shown.len == k && memcmp(buf_str(&shown), s + i, k) == 0);
        if (seen && marks <= MARKS_MAX)
            (void)buf_append(&out, s + i, k);
        else if (c < 0x10000)
            (void)buf_printf(&out, "\\u%04x", c);
        else
            (void)buf_printf(&out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                             0xdc00 + ((c - 0x10000) & 0x3ff));
    }
    return buf_steal(&out);
}

static char *json_text(const struct json *j)
{
    _cleanup_buf_ struct buf b = BUF_INIT(8ul * SHOW_BYTES_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_put_tree(&w, j);
    return unseen_as_ascii(&b);
}

void show_json_line(const struct json *j)
{
    _cleanup_free_ char *text = json_text(j);
    (void)printf("%s\n", text);
}

void show_json_lines(const struct json *array)
{
    size_t n = array ? json_count(array) : 0;
    (void)printf("[");
    for (size_t i = 0; i < n; i++) {
        _cleanup_free_ char *text = json_text(json_at(array, i));
        (void)printf("%s\n%s", i ? "," : "", text);
    }
    (void)printf("%s]\n", n ? "\n" : "");
}
