/* SPDX-License-Identifier: MIT */
/* What was asked and how it ended: pages of the store's index, read outside of the loop thread. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"

#define HISTORY_LIMIT_DEFAULT 50

/* The parameters of one query; `q` points into the others. */
struct history_asked {
    struct api_history_query q;
    char *cursor, *id, *command, *decision, *container, *text; /* owned */
    struct err err;
};

static void history_asked_done(struct history_asked *h)
{
    free(h->cursor);
    free(h->id);
    free(h->command);
    free(h->decision);
    free(h->container);
    free(h->text);
}

static bool history_text(struct history_asked *h, char **field, const char *key, const char *value)
{
    if (*field) {
        (void)err_set(&h->err, -EINVAL, "'%s' is given twice", key);
        return false;
    }
    *field = mem_strdup(value);
    return true;
}

static bool history_number(struct history_asked *h, const char *key, const char *value,
                           uint64_t max, uint64_t *ret)
{
    if (str_parse_u64(value, max, ret) == 0)
        return true;
    (void)err_set(&h->err, -EINVAL, "'%s' must be a number up to %llu", key,
                  (unsigned long long)max);
    return false;
}

static bool history_time(struct history_asked *h, const char *key, const char *value, uint64_t *ret)
{
    if (clock_parse(value, ret) == 0)
        return true;
    (void)err_set(&h->err, -EINVAL, "'%s' must be a time like 2026-01-31T08:15:00Z", key);
    return false;
}

static bool history_parameter(void *arg, const char *key, const char *value)
{
    struct history_asked *h = arg;
    uint64_t n = 0;
    if (str_eq(key, "cursor") || str_eq(key, "before"))
        return history_text(h, &h->cursor, key, value);
    if (str_eq(key, "id"))
        return history_text(h, &h->id, key, value);
    if (str_eq(key, "command"))
        return history_text(h, &h->command, key, value);
    if (str_eq(key, "decision"))
        return history_text(h, &h->decision, key, value);
    if (str_eq(key, "container"))
        return history_text(h, &h->container, key, value);
    if (str_eq(key, "text"))
        return history_text(h, &h->text, key, value);
    if (str_eq(key, "since"))
        return history_time(h, key, value, &h->q.since);
    if (str_eq(key, "until"))
        return history_time(h, key, value, &h->q.until);
    if (str_eq(key, "uid")) {
        bool ok = history_number(h, key, value, UINT32_MAX, &n);
        h->q.uid = (int64_t)n;
        return ok;
    }
    if (str_eq(key, "limit")) {
        bool ok = history_number(h, key, value, API_HISTORY_MAX, &n) && n > 0;
        h->q.limit = (size_t)n;
        return ok;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(512);
    (void)str_escape(&b, key, strlen(key));
    (void)err_set(&h->err, -EINVAL, "unknown parameter '%s'", buf_str(&b));
    return false;
}

static bool history_known_decision(const char *s)
{
    for (int d = DECISION_NONE + 1; d <= DECISION_INTERRUPTED; d++)
        if (str_eq(s, decision_name((enum decision)d)))
            return true;
    return false;
}

static bool history_read(struct exchange *x, struct history_asked *h)
{
    bool ok = exchange_each_query(x, history_parameter, h);
    if (ok && h->decision && !history_known_decision(h->decision)) {
        (void)err_set(&h->err, -EINVAL, "no decision has this name; see docs/api.md");
        ok = false;
    }
    if (!ok)
        call_error(x, 400, "bad_query", NULL, "%s",
                   h->err.text[0] ? h->err.text : "a parameter cannot be read");
    h->q.cursor = h->cursor;
    h->q.id = h->id;
    h->q.command = h->command;
    h->q.decision = h->decision;
    h->q.container = h->container;
    h->q.text = h->text;
    return ok;
}

/* The caller may have gone by now, and the API too: only the exchange is touched. */
static void history_done(void *arg, int result, const char *rows, size_t len, const char *next,
                         const char *words)
{
    _cleanup_(exchange_unrefp) struct exchange *x = arg;
    if (result < 0) {
        bool asked_wrong = result == -EINVAL;
        call_error(x, asked_wrong ? 400 : 503, asked_wrong ? "bad_query" : "unavailable", NULL,
                   "%s", words && words[0] ? words : "the history cannot be read");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_key(&w, "history");
    json_array_begin(&w);
    if (len > 0)
        json_put_raw(&w, rows, len);
    json_array_end(&w);
    json_field_string(&w, "next", next && next[0] ? next : NULL);
    json_object_end(&w);
    call_json(x, &b);
}

void history_page(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct history_asked h = {
        .q = {.limit = HISTORY_LIMIT_DEFAULT, .uid = -1, .until = UINT64_MAX}};
    struct err err = {""};
    if (!c->api->deps.history) {
        call_error(x, 503, "unavailable", NULL, "this warden keeps no index of its history");
        return;
    }
    if (history_read(x, &h)) {
        int r = c->api->deps.history(c->api->deps.arg, &h.q, history_done, exchange_ref(x), &err);
        if (r < 0) {
            (void)exchange_unref(x);
            call_error(x, r == -EINVAL ? 400 : 503, r == -EINVAL ? "bad_query" : "unavailable",
                       NULL, "%s", err.text);
        }
    }
    history_asked_done(&h);
}
