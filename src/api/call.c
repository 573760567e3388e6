/* SPDX-License-Identifier: MIT */
#include "api/call.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/str.h"

void call_error(struct exchange *x, unsigned status, const char *code, const char *id,
                const char *fmt, ...)
{
    char words[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(words, sizeof(words), fmt, ap);
    va_end(ap);
    _cleanup_buf_ struct buf b = BUF_INIT(16384);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_key(&w, "error");
    json_object_begin(&w);
    json_field_string(&w, "code", code);
    json_field_string(&w, "message", words);
    if (id && id[0])
        json_field_string(&w, "id", id);
    json_field_string(&w, "request_id", exchange_id(x));
    json_object_end(&w);
    json_object_end(&w);
    (void)buf_append_char(&b, '\n');
    if (status >= 500)
        log_warn(NULL, "api: request %s of %s answered with %u %s: %s", exchange_id(x),
                 exchange_peer(x)->address, status, code, words);
    exchange_reply(x, status, "application/json", &b);
}

void call_json(struct exchange *x, struct buf *b)
{
    (void)buf_append_char(b, '\n');
    if (b->failed)
        call_error(x, 500, "too_large", NULL, "the answer is longer than %u MiB",
                   CALL_ANSWER_MAX >> 20);
    else
        exchange_reply(x, 200, "application/json", b);
}

const char *call_string(const struct call *c, const char *key, size_t max, bool *bad)
{
    const struct json *j = c->body ? json_get(c->body, key) : NULL;
    if (!j || json_is_null(j))
        return NULL;
    size_t n = 0;
    const char *s = json_string(j, &n);
    if (s && n <= max && strlen(s) == n)
        return s;
    *bad = true;
    return NULL;
}

bool call_bool(const struct call *c, const char *key, bool *bad)
{
    const struct json *j = c->body ? json_get(c->body, key) : NULL;
    if (!j || json_is_null(j))
        return false;
    if (!json_is_bool(j))
        *bad = true;
    return json_bool(j, false);
}

bool call_only(struct call *c, const char *const *keys)
{
    void *iter = NULL;
    const char *key;
    const struct json *value;
    while (c->body && json_next(c->body, &iter, &key, &value)) {
        size_t i = 0;
        while (keys[i] && !str_eq(keys[i], key))
            i++;
        if (keys[i])
            continue;
        _cleanup_buf_ struct buf b = BUF_INIT(256);
        (void)str_escape(&b, key, strnlen(key, 32));
        call_error(c->x, 400, "bad_body", NULL, "unknown member '%s' in the body", buf_str(&b));
        return false;
    }
    return true;
}
