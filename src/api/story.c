/* SPDX-License-Identifier: MIT */
/* One request from its first moment to its last, as a list of what happened when: what the index
 * has of it, and what only the warden knows while it lives. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/uuid.h"
#include "core/brief.h"
#include "core/describe.h"
#include "core/looks.h"

#define STORY_LIVE_MAX (1u << 20)
#define STORY_NODES_MAX 100000
#define STORY_MOMENTS_MAX 1100 /* orders in the index's answer, looks, and the request's own */

struct story {
    struct exchange *x;      /* a reference */
    char id[UUID_TEXT_SIZE]; /* canonical */
    struct buf live;         /* the request while it lived, or empty */
};

struct moment {
    uint64_t time;
    const char *event;
    const struct json *by, *words; /* NULL: none */
    const struct json *more;       /* of whose members `keys` are told too */
    const char *const *keys;
};

struct moments {
    struct moment list[STORY_MOMENTS_MAX];
    size_t count;
};

static const char *const story_nothing[] = {NULL};
static const char *const story_of_judgement[] = {"rule", NULL};
static const char *const story_of_answer[] = {"rule", "channel", NULL};
static const char *const story_of_order[] = {"scope", "container", "signal",
                                             "until", "error",     NULL};
static const char *const story_of_end[] = {"exit_code", "signal", "duration_ms",
                                           "timeout_violation", NULL};

static bool story_time(const struct json *o, const char *key, uint64_t *ret)
{
    const char *text = o ? json_string(json_get(o, key), NULL) : NULL;
    return text && clock_parse(text, ret) == 0;
}

static struct moment *story_add(struct moments *m, uint64_t time, const char *event)
{
    static struct moment lost;
    struct moment *e = m->count < STORY_MOMENTS_MAX ? &m->list[m->count++] : &lost;
    *e = (struct moment){.time = time, .event = event, .keys = story_nothing};
    return e;
}

/* ---- what happened ---- */

static uint64_t story_came(const char *id)
{
    uint8_t bytes[16] = {0};
    uint64_t ms = 0;
    if (uuid_parse(id, bytes) == 0)
        for (int i = 0; i < 6; i++)
            ms = ms << 8 | bytes[i];
    return ms * CLOCK_NS_PER_MS;
}

static void story_add_waiting(struct moments *m, const struct json *r)
{
    uint64_t time = 0;
    const char *decision = json_string(json_get(r, "decision"), NULL);
    bool asked = decision && str_starts(decision, "ask-");
    int64_t waited = json_integer(json_get(r, "waited_ms"), 0);
    if (!story_time(r, "waiting_at", &time)) {
        if ((waited <= 0 && !asked) || !story_time(r, "time", &time))
            return;
        time -= (uint64_t)waited * CLOCK_NS_PER_MS;
    }
    struct moment *e = story_add(m, time, "waiting");
    e->words = json_get(r, "reason");
    e->more = r;
    e->keys = story_of_judgement;
}

static void story_add_looks(struct moments *m, const struct json *looks)
{
    for (size_t i = 0; looks && json_is_array(looks) && i < json_count(looks); i++) {
        const struct json *l = json_at(looks, i);
        uint64_t time = 0;
        bool explained = json_bool(json_get(l, "explained"), false);
        if (story_time(l, "time", &time))
            story_add(m, time, explained ? "explained" : "seen")->by = json_get(l, "by");
    }
}

static void story_add_orders(struct moments *m, const struct json *orders)
{
    static const char *const names[][2] = {
        {"kill", "killed"}, {"pause", "paused"}, {"resume", "resumed"}};
    for (size_t i = 0; orders && i < json_count(orders); i++) {
        const struct json *o = json_at(orders, i);
        const char *event = json_string(json_get(o, "event"), NULL);
        uint64_t time = 0;
        for (size_t k = 0; k < ARRAY_LEN(names); k++)
            if (event && str_eq(event, names[k][0]) && story_time(o, "time", &time)) {
                struct moment *e = story_add(m, time, names[k][1]);
                e->by = json_get(o, "by");
                e->words = json_get(o, "reason");
                e->more = o;
                e->keys = story_of_order;
            }
    }
}

/* "interrupted" has taken the place of what was decided before: it ran, so it was allowed. */
static const char *story_decision(const struct json *r)
{
    static const char *const names[][2] = {
        {"deny", "denied"},       {"allow", "allowed"},       {"ask-approved", "approved"},
        {"ask-denied", "denied"}, {"ask-expired", "expired"}, {"withdrawn", "withdrawn"},
        {"limited", "limited"},   {"error", "failed"},
    };
    const char *decision = json_string(json_get(r, "decision"), NULL);
    bool person = json_string(json_get(r, "approver"), NULL) != NULL;
    for (size_t i = 0; decision && i < ARRAY_LEN(names); i++)
        if (str_eq(decision, names[i][0]))
            return names[i][1];
    return person ? "approved" : "allowed";
}

static bool story_went_on(const struct json *r)
{
    const char *what = story_decision(r);
    return str_eq(what, "allowed") || str_eq(what, "approved");
}

static bool story_interrupted(const struct json *r)
{
    const char *decision = json_string(json_get(r, "decision"), NULL);
    return decision && str_eq(decision, "interrupted");
}

static void story_add_decision(struct moments *m, const struct json *r)
{
    uint64_t time = 0;
    if (!story_time(r, "time", &time))
        return;
    const char *what = story_decision(r);
    bool answered = str_eq(what, "approved") || str_eq(what, "denied");
    struct moment *e = story_add(m, time, what);
    e->by = answered ? json_get(r, "approver") : NULL;
    e->words = json_string(json_get(r, "approver"), NULL) && answered ? json_get(r, "comment")
               : story_went_on(r) || answered                         ? json_get(r, "reason")
                                                                      : json_get(r, "error");
    e->more = r;
    e->keys = story_of_answer;
}

/* Of the index: the beginning is the end less what it took. One whose record does not say whether
 * it ever began is taken to have, when it took time. */
static bool story_began(const struct json *r, uint64_t end, uint64_t *ret)
{
    const struct json *started = json_get(r, "started");
    int64_t took = json_integer(json_get(r, "duration_ms"), 0);
    *ret = end - (uint64_t)(took > 0 ? took : 0) * CLOCK_NS_PER_MS;
    return started && json_is_bool(started) ? json_bool(started, false) : took > 0;
}

static void story_add_end(struct moments *m, const struct json *r)
{
    uint64_t end = 0, began = 0, time = 0;
    if (!story_time(r, "end_time", &end)) {
        if (story_time(r, "started_at", &began))
            (void)story_add(m, began, "started");
        return;
    }
    if (story_began(r, end, &began)) { /* whole milliseconds: not before it was allowed */
        if (story_time(r, "time", &time) && began < time)
            began = time;
        (void)story_add(m, began, "started");
    }
    struct moment *e = story_add(m, end, story_interrupted(r) ? "interrupted" : "ended");
    e->by = json_get(r, "killed_by");
    e->words = json_get(r, "error");
    e->more = r;
    e->keys = story_of_end;
}

/* ---- the answer ---- */

static void story_put_moment(struct json_writer *w, const struct moment *e)
{
    char time[32];
    json_object_begin(w);
    json_field_string(w, "time", clock_format(e->time, time));
    json_field_string(w, "event", e->event);
    json_key(w, "by");
    e->by ? json_put_tree(w, e->by) : json_put_null(w);
    json_key(w, "words");
    e->words ? json_put_tree(w, e->words) : json_put_null(w);
    for (const char *const *k = e->keys; *k; k++) {
        const struct json *v = json_get(e->more, *k);
        if (!v || json_is_null(v))
            continue;
        json_key(w, *k);
        json_put_tree(w, v);
    }
    json_object_end(w);
}

/* By time; what happened in one moment stays in the order in which it was added. */
static void story_sort(struct moments *m)
{
    for (size_t i = 1; i < m->count; i++)
        for (size_t k = i; k > 0 && m->list[k].time < m->list[k - 1].time; k--) {
            struct moment e = m->list[k];
            m->list[k] = m->list[k - 1];
            m->list[k - 1] = e;
        }
}

static const char *story_state(const struct json *row, const struct json *live)
{
    uint64_t end;
    if (row && (story_time(row, "end_time", &end) || !story_went_on(row)))
        return "ended";
    const char *state = live ? json_string(json_get(live, "state"), NULL) : NULL;
    if (state && !(row && str_eq(state, "waiting")))
        return state;
    return state ? "starting" : "unknown";
}

/* `row` or `live` or both. */
static void story_reply(struct story *s, const struct json *root, const struct json *live_root)
{
    const struct json *row = json_get(root, "request"),
                      *live = live_root ? json_get(live_root, "request") : NULL;
    row = row && json_is_object(row) ? row : NULL;
    _cleanup_free_ struct moments *m = mem_new(struct moments);
    const struct json *r = row ? row : live, *looks = json_get(row ? row : live_root, "looks");
    (void)story_add(m, story_came(s->id), "asked");
    story_add_waiting(m, r);
    story_add_looks(m, looks);
    story_add_decision(m, r);
    uint64_t end;
    story_add_end(m, row && (story_time(row, "end_time", &end) || !live) ? row : live);
    story_add_orders(m, json_get(root, "orders"));
    story_sort(m);
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "id", s->id);
    json_field_string(&w, "state", story_state(row, live));
    json_field_bool(&w, "shortened", json_bool(json_get(row ? root : live, "shortened"), false));
    json_key(&w, "timeline");
    json_array_begin(&w);
    for (size_t i = 0; i < m->count; i++)
        story_put_moment(&w, &m->list[i]);
    json_array_end(&w);
    json_key(&w, "request");
    row ? json_put_tree(&w, row) : json_put_null(&w);
    json_key(&w, "live");
    live && (!row || !str_eq(story_state(row, live), "ended")) ? json_put_tree(&w, live)
                                                               : json_put_null(&w);
    json_object_end(&w);
    call_json(s->x, &b);
}

static void story_answer(struct story *s, const char *text, size_t len)
{
    _cleanup_(json_freep) struct json *root = NULL, *live = NULL;
    struct err err = {""};
    if (json_parse(text, len, STORY_NODES_MAX, &root, &err) < 0 ||
        (s->live.len > 0 &&
         json_parse(buf_str(&s->live), s->live.len, STORY_NODES_MAX, &live, &err) < 0))
        call_error(s->x, 500, "internal", s->id, "the history cannot be read: %s", err.text);
    else if (!live && !json_is_object(json_get(root, "request")))
        call_error(s->x, 404, "not_found", NULL,
                   "no request with this id is in the history, waits or runs");
    else
        story_reply(s, root, live);
}

/* The caller may have gone by now, and the API too: only the exchange is touched. */
static void story_done(void *arg, int result, const char *rows, size_t len, const char *next,
                       const char *words)
{
    struct story *s = arg;
    if (result < 0)
        call_error(s->x, 503, "unavailable", s->id, "%s",
                   words && words[0] ? words : "the history cannot be read");
    else
        story_answer(s, rows, len);
    exchange_unref(s->x);
    buf_done(&s->live);
    free(s);
}

/* Before the index is asked: what it says then is newer. */
static void story_read_live(struct call *c, const struct request *r, struct buf *out)
{
    struct clock_port *clock = c->api->deps.clock;
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    json_key(&w, "request");
    brief_json(r, &w, clock->realtime(clock), clock->monotonic(clock));
    json_key(&w, "looks");
    looks_put(r, &w);
    json_object_end(&w);
}

void story_show(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    uint8_t id[16];
    struct err err = {""};
    if (uuid_parse(param, id) < 0) {
        call_error(x, 404, "not_found", NULL, "this is no id of a request");
        return;
    }
    if (!c->api->deps.history) {
        call_error(x, 503, "unavailable", NULL, "this warden keeps no index of its history");
        return;
    }
    struct story *s = mem_new(struct story);
    *s = (struct story){.x = exchange_ref(x), .live = BUF_INIT(STORY_LIVE_MAX)};
    uuid_format(id, s->id);
    const struct request *r = warden_find(c->api->deps.warden, s->id);
    if (r)
        story_read_live(c, r, &s->live);
    const struct api_history_query q = {.limit = 1,
                                        .id = s->id,
                                        .container = r ? r->peer.container : NULL,
                                        .uid = -1,
                                        .exit_code = -1,
                                        .signal = -1,
                                        .until = UINT64_MAX,
                                        .story = true};
    int e = c->api->deps.history(c->api->deps.arg, &q, story_done, s, &err);
    if (e < 0)
        story_done(s, e, NULL, 0, NULL, err.text);
}
