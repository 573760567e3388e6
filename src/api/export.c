/* SPDX-License-Identifier: MIT */
/* All of the history that fits a question, as CSV, JSON array or JSON lines: part by part from the
 * index, at the pace of the reader. One part is read while the one before leaves, so memory stays
 * what two parts are, however long it is. An end without the last chunk (HTTP/1.1) says that it is
 * not complete. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/asked.h"
#include "api/call.h"
#include "api/login.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/stream.h"

#define EXPORT_AT_ONCE 4
#define EXPORT_PART_MAX (512u << 20) /* one row can be large */

struct export
{
    struct api *api;       /* borrowed; not touched once the stream is gone */
    struct stream *stream; /* NULL: gone */
    struct asked asked;
    char proof[CALL_PROOF_SIZE];
    char cursor[32];
    struct buf part; /* has come and waits for the one before to leave */
    bool has_part, asking, last, began, chunked;
};

static void export_free(struct export *e)
{
    asked_done(&e->asked);
    buf_done(&e->part);
    free(e);
}

static void export_came(void *arg, int result, const char *rows, size_t len, const char *next,
                        const char *words);

static void export_ask(struct export *e)
{
    struct err err = {""};
    e->asking = true;
    e->asked.q.cursor = e->cursor[0] ? e->cursor : NULL;
    int r = e->api->deps.history(e->api->deps.arg, &e->asked.q, export_came, e, &err);
    if (r == 0)
        return;
    e->asking = false;
    log_warn(NULL, "api: an export ends early: %s", err.text);
    stream_cut(e->stream);
}

/* ---- sending ---- */

static bool export_send(struct export *e, const char *p, size_t n)
{
    char head[24];
    int k = snprintf(head, sizeof(head), "%zx\r\n", n);
    if (n == 0)
        return true;
    if (!e->chunked)
        return stream_send(e->stream, p, n) == 0;
    return stream_send(e->stream, head, (size_t)k) == 0 && stream_send(e->stream, p, n) == 0 &&
           stream_send(e->stream, "\r\n", 2) == 0;
}

static void export_end(struct export *e)
{
    if (e->asked.q.format == API_HISTORY_JSON && !export_send(e, "\n]\n", 3))
        return;
    if (e->chunked && stream_send(e->stream, "0\r\n\r\n", 5) < 0)
        return;
    stream_end(e->stream); /* frees `e` */
}

/* What goes between two parts of an array. */
static bool export_glue(struct export *e)
{
    bool array = e->asked.q.format == API_HISTORY_JSON, first = !e->began;
    e->began = true;
    if (!array)
        return true;
    return first ? export_send(e, "[\n", 2) : e->part.len == 0 || export_send(e, ",\n", 2);
}

/* Sends the part that has come, once the one before has left, and asks for the next. */
static void export_push(struct export *e)
{
    if (!e->has_part || stream_busy(e->stream))
        return;
    if (!login_still_valid(e->api, e->proof)) {
        stream_cut(e->stream);
        return;
    }
    if (!export_glue(e) || !export_send(e, buf_str(&e->part), e->part.len))
        return;
    e->has_part = false;
    buf_done(&e->part);
    if (e->last)
        export_end(e);
    else
        export_ask(e);
}

static void export_drained(void *arg)
{
    export_push(arg);
}

static void export_gone(void *arg)
{
    struct export *e = arg;
    e->stream = NULL;
    e->api->exports--;
    if (!e->asking)
        export_free(e);
}

static const struct stream_ops export_ops = {NULL, export_drained, export_gone};

/* ---- reading ---- */

static void export_came(void *arg, int result, const char *rows, size_t len, const char *next,
                        const char *words)
{
    struct export *e = arg;
    e->asking = false;
    if (!e->stream) {
        export_free(e);
        return;
    }
    if (result < 0 || buf_append(&e->part, rows ? rows : "", len) < 0) {
        log_warn(NULL, "api: an export ends early: %s", words ? words : "a part is too long");
        stream_cut(e->stream);
        return;
    }
    e->has_part = true;
    e->last = !next || !next[0];
    (void)snprintf(e->cursor, sizeof(e->cursor), "%s", next ? next : "");
    export_push(e);
}

/* ---- the call ---- */

static const struct {
    const char *type, *disposition;
} export_forms[] = {
    [API_HISTORY_JSON] = {"application/json", "attachment; filename=\"history.json\""},
    [API_HISTORY_LINES] = {"application/x-ndjson", "attachment; filename=\"history.jsonl\""},
    [API_HISTORY_CSV] = {"text/csv; charset=utf-8", "attachment; filename=\"history.csv\""},
};

static bool export_admit(struct call *c)
{
    if (c->api->deps.history && c->api->exports < EXPORT_AT_ONCE)
        return true;
    if (c->api->deps.history)
        exchange_add_header(c->x, "Retry-After", "10");
    call_error(c->x, 503, "unavailable", NULL, "%s",
               c->api->deps.history ? "too many exports are under way"
                                    : "this warden keeps no index of its history");
    return false;
}

/* A question that is wrong is refused before the answer begins. */
static bool export_check(struct export *e, struct exchange *x)
{
    struct err err = {""};
    if (!e->api->deps.check_history ||
        e->api->deps.check_history(e->api->deps.arg, &e->asked.q, &err) == 0)
        return true;
    call_error(x, 400, "bad_query", NULL, "%s", err.text);
    return false;
}

static void export_open(struct export *e, struct exchange *x)
{
    enum api_history_format format = e->asked.q.format;
    exchange_add_header(x, "Content-Disposition", export_forms[format].disposition);
    if (e->chunked)
        exchange_add_header(x, "Transfer-Encoding", "chunked");
    e->stream = stream_take(x, 200, export_forms[format].type, &export_ops, e);
    if (!e->stream) {
        export_free(e);
        return;
    }
    e->api->exports++;
    export_ask(e);
}

void export_history(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    if (!export_admit(c))
        return;
    struct export *e = mem_new(struct export);
    e->api = c->api;
    e->chunked = exchange_takes_chunks(x);
    buf_init(&e->part, EXPORT_PART_MAX);
    (void)snprintf(e->proof, sizeof(e->proof), "%s", c->proof);
    if (!asked_read(x, true, &e->asked) || !export_check(e, x)) {
        export_free(e);
    } else if (strcmp(exchange_method(x), "HEAD") == 0) {
        exchange_reply(x, 200, export_forms[e->asked.q.format].type, NULL);
        export_free(e);
    } else {
        export_open(e, x);
    }
}
