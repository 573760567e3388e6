/* SPDX-License-Identifier: MIT */
/* JSON. Reading is jansson behind a scan that bounds what a text may cost; writing is our own and
 * appends to a buf. A struct json is a json_t under another name, and no one else knows. */

/* jansson has functions (these two) and macros of the names that our header declares. */
#define json_string jansson_string
#define json_integer jansson_integer
#include <jansson.h>
#undef json_string
#undef json_integer
#undef json_is_object
#undef json_is_array
#undef json_is_string
#undef json_is_integer
#undef json_is_null

#include "base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"

#define JSON_DEPTH_MAX 32

/* ---- reading: the scan ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_structure(char c)
{
    return c && strchr("{}[],:\"", c);
}

/* The index behind the string that starts at `i`, or `len`. */
static size_t skip_string(const char *s, size_t len, size_t i)
{
    for (i++; i < len && s[i] != '"'; i++)
        if (s[i] == '\\')
            i++;
    return i < len ? i + 1 : len;
}

static size_t skip_blanks(const char *s, size_t len, size_t i)
{
    while (i < len && is_blank(s[i]))
        i++;
    return i;
}

static size_t skip_word(const char *s, size_t len, size_t i)
{
    while (i < len && !is_blank(s[i]) && !is_structure(s[i]))
        i++;
    return i;
}

/* Counts values (keys are not) and depth. Exact up to the first fault in the text, and behind that
 * the parser does not go. */
static int json_scan(const char *s, size_t len, size_t nodes_max, struct err *err)
{
    size_t nodes = 0, depth = 0;
    for (size_t i = 0; (i = skip_blanks(s, len, i)) < len;) {
        size_t start = i;
        bool value = true;
        if (s[i] == '"') {
            i = skip_string(s, len, i);
            size_t next = skip_blanks(s, len, i);
            value = next >= len || s[next] != ':';
        } else if (s[i] == '{' || s[i] == '[') {
            depth++;
            i++;
        } else if (is_structure(s[i])) {
            if (s[i] == '}' || s[i] == ']')
                depth -= depth > 0;
            value = false;
            i++;
        } else {
            i = skip_word(s, len, i);
        }
        if (depth > JSON_DEPTH_MAX)
            return err_set(err, -E2BIG, "JSON nested deeper than %d at byte %zu", JSON_DEPTH_MAX,
                           start);
        if (value && ++nodes > nodes_max)
            return err_set(err, -E2BIG, "JSON of more than %zu values", nodes_max);
    }
    return 0;
}

/* ---- reading ---- */

/* jansson's words quote the text they complain about. */
static int json_malformed(const json_error_t *e, struct err *err)
{
    _cleanup_buf_ struct buf words = BUF_INIT(ERR_TEXT_MAX);
    (void)str_escape(&words, e->text, strlen(e->text));
    return err_set(err, -EBADMSG, "malformed JSON at line %d, column %d: %s", e->line, e->column,
                   buf_str(&words));
}

int json_parse(const char *text, size_t len, size_t nodes_max, struct json **ret_root,
               struct err *err)
{
    int r = json_scan(text, len, nodes_max, err);
    if (r < 0)
        return r;
    json_error_t e;
    /* JSON_ALLOW_NUL: "\u0000" is legal; callers see it in the length. */
    json_t *root =
        json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (!root)
        return json_malformed(&e, err);
    *ret_root = (struct json *)root;
    return 0;
}

struct json *json_free(struct json *root)
{
    json_decref((json_t *)root);
    return NULL;
}

static json_t *jansson(const struct json *j)
{
    return (json_t *)j;
}

static bool json_has_type(const struct json *j, json_type type)
{
    return j && json_typeof(jansson(j)) == type;
}

bool json_is_object(const struct json *j)
{
    return json_has_type(j, JSON_OBJECT);
}

bool json_is_array(const struct json *j)
{
    return json_has_type(j, JSON_ARRAY);
}

bool json_is_string(const struct json *j)
{
    return json_has_type(j, JSON_STRING);
}

bool json_is_integer(const struct json *j)
{
    return json_has_type(j, JSON_INTEGER);
}

bool json_is_bool(const struct json *j)
{
    return json_has_type(j, JSON_TRUE) || json_has_type(j, JSON_FALSE);
}

bool json_is_null(const struct json *j)
{
    return json_has_type(j, JSON_NULL);
}

const struct json *json_get(const struct json *object, const char *key)
{
    return (const struct json *)json_object_get(jansson(object), key);
}

size_t json_count(const struct json *array_or_object)
{
    if (json_is_array(array_or_object))
        return json_array_size(jansson(array_or_object));
    return json_object_size(jansson(array_or_object)); /* 0 for the rest */
}

const struct json *json_at(const struct json *array, size_t i)
{
    return (const struct json *)json_array_get(jansson(array), i);
}

bool json_next(const struct json *object, void **iter, const char **ret_key,
               const struct json **ret_value)
{
    *iter =
        *iter ? json_object_iter_next(jansson(object), *iter) : json_object_iter(jansson(object));
    if (!*iter)
        return false;
    *ret_key = json_object_iter_key(*iter);
    *ret_value = (const struct json *)json_object_iter_value(*iter);
    return true;
}

const char *json_string(const struct json *j, size_t *ret_len)
{
    if (ret_len)
        *ret_len = json_string_length(jansson(j)); /* 0 unless a string */
    return json_string_value(jansson(j));
}

int64_t json_integer(const struct json *j, int64_t otherwise)
{
    return json_is_integer(j) ? json_integer_value(jansson(j)) : otherwise;
}

bool json_bool(const struct json *j, bool otherwise)
{
    return json_is_bool(j) ? json_has_type(j, JSON_TRUE) : otherwise;
}

double json_number(const struct json *j, double otherwise)
{
    return json_is_integer(j) || json_has_type(j, JSON_REAL) ? json_number_value(jansson(j))
                                                             : otherwise;
}

/* ---- writing ---- */

/* Before each value and each key. */
static void json_separate(struct json_writer *w)
{
    if (w->comma)
        (void)buf_append_char(w->out, ',');
    w->comma = true;
}

static void json_begin(struct json_writer *w, char bracket)
{
    json_separate(w);
    (void)buf_append_char(w->out, bracket);
    w->comma = false;
}

static void json_end(struct json_writer *w, char bracket)
{
    (void)buf_append_char(w->out, bracket);
    w->comma = true;
}

void json_object_begin(struct json_writer *w)
{
    json_begin(w, '{');
}

void json_object_end(struct json_writer *w)
{
    json_end(w, '}');
}

void json_array_begin(struct json_writer *w)
{
    json_begin(w, '[');
}

void json_array_end(struct json_writer *w)
{
    json_end(w, ']');
}

/* The escape of a character below 0xa0; returns its length. */
static size_t json_escape(uint32_t c, char out[6])
{
    static const char letters[] = "btn\0fr"; /* of 0x08 to 0x0d */
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    if (c == '"' || c == '\\' || (c >= 0x08 && c <= 0x0d && letters[c - 0x08])) {
        out[1] = c == '"' || c == '\\' ? (char)c : letters[c - 0x08];
        return 2;
    }
    out[1] = 'u';
    out[2] = out[3] = '0';
    out[4] = digits[c >> 4 & 15];
    out[5] = digits[c & 15];
    return 6;
}

/* `s` is valid UTF-8. Escapes what RFC 8259 asks for, and DEL and C1, so that a line of JSON on a
 * terminal is harmless too. */
static void json_quote(struct buf *out, const char *s, size_t n)
{
    char escape[6];
    (void)buf_append_char(out, '"');
    size_t done = 0;
    for (size_t i = 0, k; (i += str_plain(s + i, n - i)) < n; i += k) {
        uint32_t c = 0;
        k = str_utf8_next(s + i, n - i, &c);
        if (k == 0)
            break; /* not reached */
        if (c >= 0xa0)
            continue;
        (void)buf_append(out, s + done, i - done);
        done = i + k;
        (void)buf_append(out, escape, json_escape(c, escape));
    }
    (void)buf_append(out, s + done, n - done);
    (void)buf_append_char(out, '"');
}

static void json_base64(struct buf *out, const char *s, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char some[1024];
    size_t len = 0;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = 0;
        for (size_t j = 0; j < 3; j++)
            v = v << 8 | (i + j < n ? (unsigned char)s[i + j] : 0);
        some[len++] = digits[v >> 18];
        some[len++] = digits[v >> 12 & 63];
        some[len++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        some[len++] = i + 2 < n ? digits[v & 63] : '=';
        if (len == sizeof(some)) {
            (void)buf_append(out, some, len);
            len = 0;
        }
    }
    (void)buf_append(out, some, len);
}

void json_key(struct json_writer *w, const char *key)
{
    json_separate(w);
    json_quote(w->out, key, strlen(key));
    (void)buf_append_char(w->out, ':');
    w->comma = false;
}

void json_put_bytes(struct json_writer *w, const char *s, size_t n)
{
    json_separate(w);
    if (str_utf8_valid(s, n)) {
        json_quote(w->out, s, n);
        return;
    }
    (void)buf_append_str(w->out, "{\"bytes\":\"");
    json_base64(w->out, s, n);
    (void)buf_append_str(w->out, "\"}");
}

void json_put_string(struct json_writer *w, const char *s)
{
    if (s)
        json_put_bytes(w, s, strlen(s));
    else
        json_put_null(w);
}

static void put_digits(struct buf *out, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);
    do
        text[--at] = (char)('0' + v % 10);
    while ((v /= 10) > 0);
    (void)buf_append(out, text + at, sizeof(text) - at);
}

void json_put_int(struct json_writer *w, int64_t v)
{
    json_separate(w);
    if (v < 0)
        (void)buf_append_char(w->out, '-');
    put_digits(w->out, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

void json_put_uint(struct json_writer *w, uint64_t v)
{
    json_separate(w);
    put_digits(w->out, v);
}

void json_put_double(struct json_writer *w, double v)
{
    if (!isfinite(v)) {
        json_put_null(w); /* JSON has no words for these */
        return;
    }
    char text[40];
    for (int digits = 15; digits <= 17; digits++) { /* the fewest that read back as the same */
        (void)snprintf(text, sizeof(text), "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    for (char *s = text; *s; s++)
        if (!strchr("0123456789+-e", *s))
            *s = '.'; /* whatever the locale writes there */
    json_separate(w);
    (void)buf_append_str(w->out, text);
}

void json_put_bool(struct json_writer *w, bool v)
{
    json_separate(w);
    (void)buf_append_str(w->out, v ? "true" : "false");
}

void json_put_null(struct json_writer *w)
{
    json_separate(w);
    (void)buf_append_str(w->out, "null");
}

void json_put_raw(struct json_writer *w, const char *json, size_t n)
{
    json_separate(w);
    (void)buf_append(w->out, json, n);
}

void json_field_string(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    json_put_string(w, s);
}

void json_field_int(struct json_writer *w, const char *key, int64_t v)
{
    json_key(w, key);
    json_put_int(w, v);
}

void json_field_uint(struct json_writer *w, const char *key, uint64_t v)
{
    json_key(w, key);
    json_put_uint(w, v);
}

void json_field_bool(struct json_writer *w, const char *key, bool v)
{
    json_key(w, key);
    json_put_bool(w, v);
}

void json_put_tree(struct json_writer *w, const struct json *j)
{
    if (json_is_object(j)) {
        void *iter = NULL;
        const char *key;
        const struct json *value;
        json_object_begin(w);
        while (json_next(j, &iter, &key, &value)) {
            json_key(w, key);
            json_put_tree(w, value);
        }
        json_object_end(w);
    } else if (json_is_array(j)) {
        json_array_begin(w);
        for (size_t i = 0; i < json_count(j); i++)
            json_put_tree(w, json_at(j, i));
        json_array_end(w);
    } else if (json_is_string(j)) {
        size_t n;
        const char *s = json_string(j, &n);
        json_put_bytes(w, s, n);
    } else if (json_is_integer(j)) {
        json_put_int(w, json_integer(j, 0));
    } else if (json_is_bool(j)) {
        json_put_bool(w, json_bool(j, false));
    } else if (json_is_null(j)) {
        json_put_null(w);
    } else {
        json_put_double(w, json_number(j, 0));
    }
}
