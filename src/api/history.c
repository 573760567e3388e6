/* SPDX-License-Identifier: MIT */
/* What was asked and how it ended: pages of the store's index, read outside of the loop thread. */
#include <errno.h>
#include <string.h>

#include "api/adapters.h"
#include "api/asked.h"
#include "api/call.h"

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
    _cleanup_asked_ struct asked h = {0};
    struct err err = {""};
    if (!c->api->deps.history) {
        call_error(x, 503, "unavailable", NULL, "this warden keeps no index of its history");
        return;
    }
    if (!asked_read(x, false, &h))
        return;
    int r = c->api->deps.history(c->api->deps.arg, &h.q, history_done, exchange_ref(x), &err);
    if (r < 0) {
        (void)exchange_unref(x);
        call_error(x, r == -EINVAL ? 400 : 503, r == -EINVAL ? "bad_query" : "unavailable", NULL,
                   "%s", err.text);
    }
}

void history_rebuild(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    static const char *const none[] = {NULL};
    if (!call_only(c, none))
        return;
    if (!c->api->deps.rebuild_history) {
        call_error(x, 503, "unavailable", NULL, "this warden keeps no index of its history");
        return;
    }
    c->api->deps.rebuild_history(c->api->deps.arg);
    _cleanup_buf_ struct buf b = BUF_INIT(256);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_bool(&w, "rebuilding", true);
    json_object_end(&w);
    call_json(x, &b);
}
