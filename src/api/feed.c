/* SPDX-License-Identifier: MIT */
/* GET /api/events and GET /api/ws. An event is put into the ring once, for those who may see all of
 * it and for the others; readers that are behind are served in turns, so that a thousand of them do
 * not keep the loop from the shims. While nobody listens, nothing is written down. */
#include "api/feed.h"

#include <errno.h>
#include <inttypes.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "api/feed-kind.h"
#include "api/login.h"
#include "api/ring.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/brief.h"
#include "http/sse.h"
#include "http/ws.h"

#define FEED_TURN 100 /* readers served before the loop looks at its sockets again */
#define FEED_BATCH (64u << 10)
#define FEED_EVENT_MAX (1u << 20)
#define FEED_BEAT_MS 2500 /* and logins are looked at anew */
#define FEED_CURSOR_SIZE 32

struct reader {
    struct list link; /* idle, behind or busy of the feed */
    struct feed *feed;
    struct stream *sse; /* one of the two; both NULL: it is going */
    struct ws *ws;
    enum api_role role;
    unsigned kinds; /* a bit each */
    uint64_t seen;  /* seq of the last event that it got, or did not want */
    uint64_t said_at;
    char who[AUTH_NAME_MAX + 1];
    char proof[CALL_PROOF_SIZE];
};

struct feed {
    struct api *api; /* borrowed */
    struct ring *ring;
    char boot[9];     /* cursors of another run of the warden are told apart */
    struct list idle; /* have got everything */
    struct list behind;
    struct list busy; /* what was sent has not left yet */
    size_t count;
    uv_idle_t pump;
    uv_timer_t beat;
    unsigned handles;
    bool closed;
    uint64_t kept_until; /* loop ms */
    struct buf scratch;
};

static uint64_t feed_now(const struct feed *f)
{
    return uv_now(f->beat.loop);
}

static struct clock_port *feed_clock(const struct feed *f)
{
    return f->api->deps.clock;
}

/* ---- writing events down ---- */

static const char *feed_cursor(const struct feed *f, uint64_t seq, char out[FEED_CURSOR_SIZE])
{
    (void)snprintf(out, FEED_CURSOR_SIZE, "%s-%" PRIu64, f->boot, seq);
    return out;
}

static void feed_put_head(const struct feed *f, struct json_writer *w, uint64_t seq,
                          const char *name, uint64_t time)
{
    char cursor[FEED_CURSOR_SIZE], text[32];
    json_object_begin(w);
    json_field_string(w, "event", name);
    json_field_string(w, "id", feed_cursor(f, seq, cursor));
    json_field_string(w, "time", clock_format(time, text));
}

static void feed_put_policy(const struct feed *f, struct json_writer *w, const char *error)
{
    const struct policy *p = warden_policy(f->api->deps.warden);
    json_key(w, "policy");
    json_object_begin(w);
    json_field_string(w, "name", p ? policy_name(p) : NULL);
    json_field_string(w, "version", p ? policy_digest(p) : NULL);
    json_field_uint(w, "rules", p ? policy_rules_count(p) : 0);
    json_field_string(w, "error", error);
    json_object_end(w);
}

static void feed_put_halt(struct json_writer *w, const struct event *e)
{
    const struct audit_halt *h = e->halt;
    char text[32];
    json_key(w, "order");
    json_object_begin(w);
    json_field_string(w, "scope", h->scope);
    json_field_string(w, "id", h->request ? h->request : h->container_id);
    json_key(w, "container");
    if (h->container)
        json_put_bytes(w, h->container, strlen(h->container));
    else
        json_put_null(w);
    json_field_string(w, "by", h->who);
    json_field_string(w, "reason", h->why);
    json_field_string(w, "signal", h->signal);
    json_field_string(w, "until", h->until ? clock_format(h->until, text) : NULL);
    json_field_uint(w, "failed", e->failed);
    json_object_end(w);
}

static void feed_write(const struct feed *f, const struct event *e, enum feed_kind kind, bool full,
                       struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    struct clock_port *clock = feed_clock(f);
    feed_put_head(f, &w, ring_last(f->ring) + 1, feed_kind_name(kind), e->time);
    if (e->r)
        json_key(&w, "request");
    if (e->r && full)
        queue_put(e->r, &w, clock->realtime(clock), clock->monotonic(clock));
    else if (e->r)
        brief_json(e->r, &w, clock->realtime(clock), clock->monotonic(clock));
    if (kind == FEED_POLICY)
        feed_put_policy(f, &w, e->text);
    if (e->halt)
        feed_put_halt(&w, e);
    json_object_end(&w);
}

static void feed_pump(uv_idle_t *h);

/* Everybody who had got everything is behind now. */
static void feed_wake(struct feed *f)
{
    list_foreach(it, &f->idle)
    {
        list_remove(it);
        list_append(&f->behind, it);
    }
    if (!list_empty(&f->behind) && !f->closed)
        (void)uv_idle_start(&f->pump, feed_pump);
}

static void feed_event(void *arg, const struct event *e)
{
    struct feed *f = arg;
    enum feed_kind kind = feed_kind_of(e);
    if (kind == FEED_NOTHING)
        return;
    if (f->count == 0 && feed_now(f) >= f->kept_until) {
        ring_skip(f->ring);
        return;
    }
    _cleanup_buf_ struct buf brief = BUF_INIT(FEED_EVENT_MAX), full = BUF_INIT(FEED_EVENT_MAX);
    feed_write(f, e, kind, false, &brief);
    if (kind == FEED_QUEUED)
        feed_write(f, e, kind, true, &full);
    if (brief.failed)
        ring_skip(f->ring); /* not reached: brief is short; readers would be told of a gap */
    else
        ring_put(f->ring, kind, &brief, kind == FEED_QUEUED && !full.failed ? &full : NULL);
    feed_wake(f);
}

/* ---- readers ---- */

static bool reader_busy(const struct reader *r)
{
    return r->sse ? stream_busy(r->sse) : ws_busy(r->ws);
}

static void reader_cut(struct reader *r)
{
    if (r->sse)
        stream_cut(r->sse);
    else if (r->ws)
        ws_cut(r->ws);
}

static void reader_move(struct reader *r)
{
    struct feed *f = r->feed;
    struct list *to = &f->idle;
    if (reader_busy(r))
        to = &f->busy;
    else if (r->seen < ring_last(f->ring))
        to = &f->behind;
    list_remove(&r->link);
    list_append(to, &r->link);
    if (to == &f->behind && !f->closed)
        (void)uv_idle_start(&f->pump, feed_pump);
}

static void reader_drained(void *arg)
{
    struct reader *r = arg;
    if (r->sse || r->ws)
        reader_move(r);
}

static void reader_gone(void *arg)
{
    struct reader *r = arg;
    struct feed *f = r->feed;
    list_remove(&r->link);
    f->count--;
    f->kept_until = feed_now(f) + FEED_KEPT_MS;
    if (f->count == 0 && !f->closed)
        (void)uv_timer_stop(&f->beat);
    free(r);
}

static const struct stream_ops reader_sse_ops = {NULL, reader_drained, reader_gone};
static const struct ws_ops reader_ws_ops = {reader_drained, reader_gone};

/* False: the reader is gone. */
static bool reader_say(struct reader *r, const char *id, const char *name, const char *json,
                       size_t n)
{
    struct feed *f = r->feed;
    r->said_at = feed_now(f);
    if (r->ws)
        return ws_text(r->ws, json, n) == 0;
    sse_put(&f->scratch, id, name, json, n);
    return true;
}

static bool reader_flush(struct reader *r)
{
    struct buf *b = &r->feed->scratch;
    bool ok = !r->sse || b->len == 0 || stream_send(r->sse, buf_str(b), b->len) == 0;
    buf_clear(b);
    return ok;
}

/* Sends what it has not seen, up to a batch. False: the reader is gone. */
static bool reader_catch_up(struct reader *r)
{
    struct feed *f = r->feed;
    char cursor[FEED_CURSOR_SIZE];
    size_t sent = 0;
    while (sent < FEED_BATCH && r->seen < ring_last(f->ring)) {
        const struct ring_entry *e = ring_get(f->ring, r->seen + 1);
        if (!e) {
            reader_cut(r); /* slower than the ring: it may come again, and is told what it missed */
            return false;
        }
        bool full = e->full && r->role >= API_ROLE_APPROVER;
        const char *json = full ? e->full : e->brief;
        size_t n = full ? e->full_len : e->brief_len;
        r->seen++;
        if (!(r->kinds & 1u << e->kind))
            continue;
        sent += n;
        if (!reader_say(r, feed_cursor(f, e->seq, cursor), feed_kind_name(e->kind), json, n))
            return false;
    }
    return reader_flush(r);
}

static void feed_pump(uv_idle_t *h)
{
    struct feed *f = h->data;
    for (int i = 0; i < FEED_TURN && !list_empty(&f->behind); i++) {
        struct reader *r = list_item(f->behind.next, struct reader, link);
        if (reader_catch_up(r))
            reader_move(r);
        buf_clear(&f->scratch);
    }
    if (list_empty(&f->behind))
        (void)uv_idle_stop(h);
}

/* ---- heartbeats ---- */

static void reader_beat(struct reader *r)
{
    struct feed *f = r->feed;
    if (feed_now(f) - r->said_at + FEED_BEAT_MS <= FEED_HEARTBEAT_MS)
        return;
    r->said_at = feed_now(f);
    if (r->ws) {
        if (!ws_ping(r->ws))
            ws_cut(r->ws); /* the last one was not answered */
        return;
    }
    sse_put_comment(&f->scratch);
    (void)reader_flush(r);
}

/* Who lost its login meanwhile hears no more. */
static void feed_check_logins(struct feed *f, struct list *readers)
{
    list_foreach(it, readers)
    {
        struct reader *r = list_item(it, struct reader, link);
        if (!login_still_valid(f->api, r->proof))
            reader_cut(r);
    }
}

static void feed_beat(uv_timer_t *t)
{
    struct feed *f = t->data;
    feed_check_logins(f, &f->idle);
    feed_check_logins(f, &f->behind);
    feed_check_logins(f, &f->busy);
    list_foreach(it, &f->idle) reader_beat(list_item(it, struct reader, link));
}

/* ---- a new reader ---- */

struct feed_asked {
    char since[FEED_CURSOR_SIZE];
    bool has_since;
    unsigned kinds;
    const char *words; /* what is wrong */
};

static bool feed_ask_kinds(struct feed_asked *q, const char *value)
{
    q->words = "'events' is a list of names with commas between: " FEED_KIND_NAMES;
    q->kinds = feed_kinds_parse(value);
    return q->kinds != 0;
}

static bool feed_ask_since(struct feed_asked *q, const char *value)
{
    q->words = "'since' is no cursor of this feed";
    if (strlen(value) >= sizeof(q->since))
        return false;
    (void)snprintf(q->since, sizeof(q->since), "%s", value);
    q->has_since = true;
    return true;
}

static bool feed_parameter(void *arg, const char *key, const char *value)
{
    struct feed_asked *q = arg;
    if (str_eq(key, "since") && !q->has_since)
        return feed_ask_since(q, value);
    if (str_eq(key, "events") && q->kinds == FEED_ALL)
        return feed_ask_kinds(q, value);
    q->words = "a parameter is unknown or given twice; there are 'since' and 'events'";
    return false;
}

static bool feed_read_asked(struct exchange *x, struct feed_asked *q)
{
    const char *last = exchange_header(x, "Last-Event-ID");
    *q = (struct feed_asked){.kinds = FEED_ALL, .words = "a parameter cannot be read"};
    if (!exchange_each_query(x, feed_parameter, q)) {
        call_error(x, 400, "bad_query", NULL, "%s", q->words);
        return false;
    }
    /* A browser that connects again sends the header beside the address of before. */
    if (last && *last && !feed_ask_since(q, last))
        q->has_since = true; /* none of ours: something is missed */
    return true;
}

/* Where a reader begins. False: it has missed something. */
static bool feed_place(const struct feed *f, const struct feed_asked *q, uint64_t *ret)
{
    size_t n = strlen(f->boot);
    *ret = ring_last(f->ring);
    if (!q->has_since)
        return true;
    uint64_t seq = 0;
    if (strncmp(q->since, f->boot, n) != 0 || q->since[n] != '-' ||
        str_parse_u64(q->since + n + 1, UINT64_MAX, &seq) < 0 || !ring_has_all_after(f->ring, seq))
        return false;
    *ret = seq;
    return true;
}

static size_t feed_count_of(const struct feed *f, const char *who)
{
    const struct list *const lists[] = {&f->idle, &f->behind, &f->busy};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        for (const struct list *it = lists[i]->next; it != lists[i]; it = it->next)
            n += str_eq(list_item(it, const struct reader, link)->who, who);
    return n;
}

static struct reader *feed_admit(struct call *c, struct feed_asked *q)
{
    struct feed *f = c->api->feed;
    if (!feed_read_asked(c->x, q))
        return NULL;
    if (f->closed || f->count >= FEED_READERS_MAX ||
        feed_count_of(f, c->who) >= FEED_READERS_OF_ONE) {
        exchange_add_header(c->x, "Retry-After", "10");
        call_error(c->x, 503, "unavailable", NULL, "too many are listening to the feed");
        return NULL;
    }
    struct reader *r = mem_new(struct reader);
    list_init(&r->link);
    r->feed = f;
    r->role = c->role;
    r->kinds = q->kinds;
    r->said_at = feed_now(f);
    (void)snprintf(r->who, sizeof(r->who), "%s", c->who);
    (void)snprintf(r->proof, sizeof(r->proof), "%s", c->proof);
    return r;
}

/* The first word: where the reader stands, and whether it must look at everything anew. */
static void feed_welcome(struct reader *r, const struct feed_asked *q)
{
    struct feed *f = r->feed;
    char cursor[FEED_CURSOR_SIZE];
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&b);
    struct clock_port *clock = feed_clock(f);
    bool missed = !feed_place(f, q, &r->seen);
    feed_put_head(f, &w, r->seen, "hello", clock->realtime(clock));
    json_field_bool(&w, "missed", missed);
    json_object_end(&w);
    list_append(&f->idle, &r->link);
    if (f->count++ == 0)
        (void)uv_timer_start(&f->beat, feed_beat, FEED_BEAT_MS, FEED_BEAT_MS);
    buf_clear(&f->scratch);
    if (reader_say(r, feed_cursor(f, r->seen, cursor), "hello", b.data, b.len) && reader_flush(r))
        reader_move(r);
}

void feed_events(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct feed_asked q;
    if (str_eq(exchange_method(x), "HEAD")) {
        exchange_reply(x, 200, "text/event-stream", NULL);
        return;
    }
    struct reader *r = feed_admit(c, &q);
    if (!r)
        return;
    r->sse = sse_open(x, &reader_sse_ops, r);
    if (r->sse)
        feed_welcome(r, &q);
    else
        free(r);
}

void feed_socket(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct feed_asked q;
    struct err err = {""};
    if (!login_check_origin(c))
        return;
    struct reader *r = feed_admit(c, &q);
    if (!r)
        return;
    int e = ws_open(x, &reader_ws_ops, r, &r->ws, &err);
    if (e == 0) {
        feed_welcome(r, &q);
        return;
    }
    free(r);
    exchange_add_header(x, "Upgrade", "websocket");
    exchange_add_header(x, "Sec-WebSocket-Version", "13");
    call_error(x, 426, "upgrade_required", NULL, "%s", err.text);
}

/* ---- life ---- */

struct feed *feed_new(uv_loop_t *loop, struct api *a)
{
    struct feed *f = mem_new(struct feed);
    uint8_t random[4] = {0};
    f->api = a;
    f->ring = ring_new(FEED_EVENTS_MAX, FEED_BYTES_MAX);
    (void)RAND_bytes(random, sizeof(random)); /* only to tell runs apart */
    str_hex(random, sizeof(random), f->boot);
    list_init(&f->idle);
    list_init(&f->behind);
    list_init(&f->busy);
    buf_init(&f->scratch, FEED_BATCH + 2 * FEED_EVENT_MAX);
    (void)uv_idle_init(loop, &f->pump); /* these two cannot fail */
    (void)uv_timer_init(loop, &f->beat);
    f->pump.data = f->beat.data = f;
    f->handles = 2;
    events_subscribe(warden_events(a->deps.warden), feed_event, f);
    return f;
}

static void feed_handle_closed(uv_handle_t *h)
{
    struct feed *f = h->data;
    if (--f->handles > 0)
        return;
    ring_free(f->ring);
    buf_done(&f->scratch);
    free(f);
}

void feed_close(struct feed *f)
{
    f->closed = true;
    events_unsubscribe(warden_events(f->api->deps.warden), feed_event, f);
    list_foreach(it, &f->behind)(void) reader_catch_up(list_item(it, struct reader, link));
    uv_close((uv_handle_t *)&f->pump, feed_handle_closed);
    uv_close((uv_handle_t *)&f->beat, feed_handle_closed);
}

size_t feed_readers(const struct feed *f)
{
    return f->count;
}
