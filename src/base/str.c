/* SPDX-License-Identifier: MIT */
/* Strings: tests, UTF-8, making bytes visible, quoting for a shell, durations, small numbers.
 * Everything that shows untrusted text to a person goes through str_escape() or str_shell_quote()
 * here: a byte that they let through can lie to the reviewer. */
#include "base/str.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

bool str_eq(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool str_starts(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool str_ends(const char *s, const char *suffix)
{
    size_t n = strlen(s), k = strlen(suffix);
    return n >= k && memcmp(s + n - k, suffix, k) == 0;
}

const char *str_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* ---- UTF-8 ---- */

size_t str_utf8_next(const char *s, size_t n, uint32_t *ret_code_point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}; /* less is overlong */
    if (n == 0)
        return 0;
    unsigned char c = (unsigned char)s[0];
    size_t len = c < 0x80 ? 1 : (c & 0xe0) == 0xc0 ? 2 : (c & 0xf0) == 0xe0 ? 3 : 4;
    if ((len == 4 && (c & 0xf8) != 0xf0) || len > n)
        return 0;
    uint32_t v = len == 1 ? c : c & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        unsigned char d = (unsigned char)s[i];
        if ((d & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (d & 0x3f);
    }
    if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    if (ret_code_point)
        *ret_code_point = v;
    return len;
}

#define EACH_BYTE(x) (0x0101010101010101u * (uint64_t)(x))

/* Not zero when a byte of `v`, all below 0x80, is `c`. */
static uint64_t has_byte(uint64_t v, unsigned char c)
{
    v ^= EACH_BYTE(c);
    return ~(v + EACH_BYTE(0x7f)) & EACH_BYTE(0x80);
}

size_t str_plain(const char *s, size_t n)
{
    size_t i = 0;
    for (uint64_t v; n - i >= sizeof(v); i += sizeof(v)) {
        memcpy(&v, s + i, sizeof(v));
        if (v & EACH_BYTE(0x80) || ~(v + EACH_BYTE(0x80 - 0x20)) & EACH_BYTE(0x80) ||
            has_byte(v, '"') | has_byte(v, '\\') | has_byte(v, 0x7f))
            break;
    }
    while (i < n && s[i] >= 0x20 && s[i] < 0x7f && s[i] != '"' && s[i] != '\\')
        i++;
    return i;
}

bool str_utf8_valid(const char *s, size_t n)
{
    while (n > 0) {
        size_t plain = str_plain(s, n);
        s += plain;
        n -= plain;
        if (n == 0)
            break;
        size_t k = str_utf8_next(s, n, NULL);
        if (k == 0)
            return false;
        s += k;
        n -= k;
    }
    return true;
}

/* ---- making bytes visible ---- */

/* Code points that act on a terminal, show nothing, or cannot be told from a blank: Unicode's Cc,
 * Cf, Zl, Zp, Zs (save U+0020), fillers, variation selectors, private use and noncharacters. */
static const struct {
    uint32_t first, last;
} unseen[] = {
    {0x0000, 0x001f},   {0x007f, 0x00a0},    {0x00ad, 0x00ad},   {0x034f, 0x034f},
    {0x0600, 0x0605},   {0x061c, 0x061c},    {0x06dd, 0x06dd},   {0x070f, 0x070f},
    {0x0890, 0x0891},   {0x08e2, 0x08e2},    {0x115f, 0x1160},   {0x1680, 0x1680},
    {0x17b4, 0x17b5},   {0x180b, 0x180f},    {0x2000, 0x200f},   {0x2028, 0x202f},
    {0x205f, 0x206f},   {0x2800, 0x2800},    {0x3000, 0x3000},   {0x3164, 0x3164},
    {0xe000, 0xf8ff},   {0xfdd0, 0xfdef},    {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},
    {0xffa0, 0xffa0},   {0xfff0, 0xfffb},    {0xfffe, 0xffff},   {0x110bd, 0x110bd},
    {0x110cd, 0x110cd}, {0x13430, 0x1343f},  {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a},
    {0xe0000, 0xe0fff}, {0xf0000, 0x10ffff},
};

static bool is_unseen(uint32_t c)
{
    for (size_t i = 0; i < ARRAY_LEN(unseen) && c >= unseen[i].first; i++)
        if (c <= unseen[i].last)
            return true;
    return (c & 0xfffe) == 0xfffe; /* the two noncharacters at the end of each plane */
}

/* The letter of \n \t \r \e, or 0. */
static char escape_letter(uint32_t c)
{
    switch (c) {
    case '\n':
        return 'n';
    case '\t':
        return 't';
    case '\r':
        return 'r';
    case 0x1b:
        return 'e';
    }
    return 0;
}

int str_escape(struct buf *out, const char *s, size_t n)
{
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = (unsigned char)s[i];
        k = str_utf8_next(s + i, n - i, &c);
        bool valid = k > 0;
        if (!valid)
            k = 1;
        if (valid && c == '\\')
            (void)buf_append(out, "\\\\", 2);
        else if (valid && !is_unseen(c))
            (void)buf_append(out, s + i, k);
        else if (escape_letter(c))
            (void)buf_printf(out, "\\%c", escape_letter(c));
        else if (valid && c >= 0x80)
            (void)buf_printf(out, "\\u{%04x}", c);
        else
            (void)buf_printf(out, "\\x%02x", c);
    }
    return out->failed;
}

/* ---- quoting for a shell ---- */

enum quoting { QUOTE_NONE, QUOTE_SINGLE, QUOTE_DOLLAR };

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("_@%+:,./-", c));
}

static enum quoting quoting_of(const char *s, size_t n)
{
    bool plain = n > 0;
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c;
        k = str_utf8_next(s + i, n - i, &c);
        if (k == 0 || is_unseen(c))
            return QUOTE_DOLLAR;
        /* '=' only in --option=value: NAME=value as a first word would be an assignment. */
        if (!is_plain(s[i]) && !(s[i] == '=' && s[0] == '-'))
            plain = false;
    }
    return plain ? QUOTE_NONE : QUOTE_SINGLE;
}

static void quote_single(struct buf *out, const char *s, size_t n)
{
    (void)buf_append_char(out, '\'');
    for (size_t i = 0; i < n; i++)
        if (s[i] == '\'')
            (void)buf_append_str(out, "'\\''");
        else
            (void)buf_append_char(out, s[i]);
    (void)buf_append_char(out, '\'');
}

/* Bytes in octal, always three digits: a hexadecimal escape has no agreed end. */
static void quote_dollar(struct buf *out, const char *s, size_t n)
{
    (void)buf_append_str(out, "$'");
    for (size_t i = 0, k; i < n; i += k) {
        uint32_t c = 0;
        k = str_utf8_next(s + i, n - i, &c);
        bool shown = k > 0 && !is_unseen(c);
        if (k == 0)
            k = 1;
        if (shown && (c == '\\' || c == '\''))
            (void)buf_printf(out, "\\%c", s[i]);
        else if (shown)
            (void)buf_append(out, s + i, k);
        else if (escape_letter((unsigned char)s[i]))
            (void)buf_printf(out, "\\%c", escape_letter((unsigned char)s[i]));
        else
            for (size_t j = 0; j < k; j++)
                (void)buf_printf(out, "\\%03o", (unsigned char)s[i + j]);
    }
    (void)buf_append_char(out, '\'');
}

static int quote_as(struct buf *out, enum quoting how, const char *s, size_t n)
{
    switch (how) {
    case QUOTE_NONE:
        return buf_append(out, s, n);
    case QUOTE_SINGLE:
        quote_single(out, s, n);
        return out->failed;
    case QUOTE_DOLLAR:
        break;
    }
    quote_dollar(out, s, n);
    return out->failed;
}

int str_shell_quote(struct buf *out, const char *s, size_t n)
{
    return quote_as(out, quoting_of(s, n), s, n);
}

/* A plain word that a shell would take for its grammar where a command name stands. */
static bool is_reserved(const char *s)
{
    static const char *const words[] = {"case",   "coproc", "do",   "done",  "elif",     "else",
                                        "esac",   "fi",     "for",  "if",    "function", "in",
                                        "select", "then",   "time", "until", "while"};
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (str_eq(s, words[i]))
            return true;
    return false;
}

int str_shell_quote_argv(struct buf *out, const char *const *argv, size_t argc)
{
    for (size_t i = 0; i < argc; i++) {
        size_t n = strlen(argv[i]);
        if (i > 0)
            (void)buf_append_char(out, ' ');
        (void)quote_as(out, i == 0 && is_reserved(argv[i]) ? QUOTE_SINGLE : quoting_of(argv[i], n),
                       argv[i], n);
    }
    return out->failed;
}

/* ---- durations and numbers ---- */

static const struct unit {
    const char *name;
    uint64_t ns;
} units[] = {
    {"d", 86400 * CLOCK_NS_PER_SEC}, {"h", 3600 * CLOCK_NS_PER_SEC}, {"m", 60 * CLOCK_NS_PER_SEC},
    {"s", CLOCK_NS_PER_SEC},         {"ms", CLOCK_NS_PER_MS},
};

/* The unit at `s`, among those smaller than the last one; NULL if none. */
static const struct unit *find_unit(const char *s, size_t n, const struct unit *last)
{
    for (const struct unit *u = last ? last + 1 : units; u < units + ARRAY_LEN(units); u++)
        if (strlen(u->name) == n && memcmp(u->name, s, n) == 0)
            return u;
    return NULL;
}

int str_parse_duration(const char *s, uint64_t *ret_ns, struct err *err)
{
    static const char like[] = "is not a duration: write it like 90s, 15m, 1h30m or 500ms";
    uint64_t sum = 0;
    const struct unit *u = NULL;
    for (const char *p = s; *p || p == s;) {
        size_t digits = strspn(p, "0123456789");
        uint64_t v = 0;
        bool fits = true;
        for (size_t i = 0; i < digits; i++)
            fits = fits && !__builtin_mul_overflow(v, 10, &v) &&
                   !__builtin_add_overflow(v, (uint64_t)(p[i] - '0'), &v);
        p += digits;
        size_t letters = strcspn(p, "0123456789");
        u = find_unit(p, letters, u);
        if (digits == 0 || !u)
            return err_set(err, -EINVAL, "'%.64s' %s", s, like);
        if (!fits || __builtin_mul_overflow(v, u->ns, &v) || __builtin_add_overflow(sum, v, &sum))
            return err_set(err, -ERANGE, "'%.64s' is too long a time", s);
        p += letters;
    }
    *ret_ns = sum;
    return 0;
}

const char *str_format_duration(uint64_t ns, char out[48])
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        uint64_t v = ns / units[i].ns;
        ns %= units[i].ns;
        if (v > 0)
            n += (size_t)snprintf(out + n, 48 - n, "%llu%s", (unsigned long long)v, units[i].name);
    }
    if (n == 0)
        memcpy(out, "0s", sizeof("0s"));
    return out;
}

int str_parse_u64(const char *s, uint64_t max, uint64_t *ret)
{
    size_t n = strspn(s, "0123456789");
    if (n == 0 || s[n])
        return -EINVAL;
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s[i] - '0'), &v))
            return -ERANGE;
    if (v > max)
        return -ERANGE;
    *ret = v;
    return 0;
}

/* ---- did you mean ---- */

#define NEAREST_WORD_MAX 64
#define NEAREST_DISTANCE_MAX 2

static size_t min_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Insertions, deletions, substitutions and swaps of neighbours; both at most NEAREST_WORD_MAX. */
static size_t edit_distance(const char *a, size_t n, const char *b, size_t m)
{
    size_t row[3][NEAREST_WORD_MAX + 1]; /* of i - 2, i - 1 and i, in turn */
    for (size_t j = 0; j <= m; j++)
        row[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = row[i % 3], *above = row[(i + 2) % 3], *above2 = row[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] =
                min_of(min_of(above[j], now[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = min_of(now[j], above2[j - 2] + 1);
        }
    }
    return row[n % 3][m];
}

const char *str_nearest(const char *word, const char *const *candidates)
{
    size_t n = strlen(word);
    if (n > NEAREST_WORD_MAX)
        return NULL;
    const char *best = NULL;
    size_t best_distance = NEAREST_DISTANCE_MAX + 1;
    for (; *candidates; candidates++) {
        size_t m = strlen(*candidates);
        if (m > NEAREST_WORD_MAX)
            continue;
        size_t d = edit_distance(word, n, *candidates, m);
        if (d < best_distance && 2 * d < n) {
            best = *candidates;
            best_distance = d;
        }
    }
    return best;
}

/* ---- hexadecimal ---- */

void str_hex(const void *p, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *s = p;
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[s[i] >> 4];
        out[2 * i + 1] = digits[s[i] & 15];
    }
    out[2 * n] = '\0';
}

static unsigned hex_value(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a' + 10);
}

int str_unhex(const char *s, void *out, size_t n)
{
    if (strspn(s, "0123456789abcdefABCDEF") != 2 * n || s[2 * n])
        return -EINVAL;
    unsigned char *p = out;
    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(hex_value(s[2 * i]) << 4 | hex_value(s[2 * i + 1]));
    return 0;
}
