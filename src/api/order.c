/* SPDX-License-Identifier: MIT */
#include "api/order.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

#define ORDER_REASON_MAX 256
#define ORDER_RESUME_MAX (UINT64_C(366) * 86400 * CLOCK_NS_PER_SEC)

struct order {
    enum order_kind kind;
    enum hold_scope scope;
    int signo;
    char *target;       /* owned */
    struct exchange *x; /* a reference */
};

static const char *order_shape(enum order_kind k)
{
    switch (k) {
    case ORDER_KILL:
        return "the body is {\"id\": ID}, {\"container\": NAME} or {\"all\": true}, with an "
               "optional "
               "\"signal\" (TERM when absent, KILL follows after the grace) and \"reason\" of at "
               "most 256 bytes";
    case ORDER_PAUSE:
        return "the body is {\"id\": ID}, {\"container\": NAME} or {\"all\": true}, with an "
               "optional "
               "\"resume_after\" (\"15m\", or seconds) and \"reason\" of at most 256 bytes";
    case ORDER_RESUME:
        return "the body is {\"id\": ID}, {\"container\": NAME} or {\"all\": true}, with an "
               "optional "
               "\"reason\" of at most 256 bytes";
    }
    return "";
}

/* ---- reading ---- */

static int order_signal(const struct json *j)
{
    if (!j || json_is_null(j))
        return SIGTERM;
    int64_t n = json_integer(j, 0);
    const char *name = json_string(j, NULL);
    if (name && strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < SIGSYS + 1; i++) {
        const char *known = sigabbrev_np(i);
        if (known && (n == i || (name && strcasecmp(name, known) == 0)))
            return i;
    }
    return -1;
}

static bool order_duration(const struct json *j, uint64_t *ret)
{
    const char *text = json_string(j, NULL);
    *ret = 0;
    if (!j || json_is_null(j))
        return true;
    if (text)
        return str_parse_duration(text, ret, NULL) == 0 && *ret > 0 && *ret <= ORDER_RESUME_MAX;
    int64_t s = json_is_integer(j) ? json_integer(j, 0) : 0;
    if (s <= 0 || (uint64_t)s > ORDER_RESUME_MAX / CLOCK_NS_PER_SEC)
        return false;
    *ret = (uint64_t)s * CLOCK_NS_PER_SEC;
    return true;
}

static const struct json *order_member(const struct call *c, const char *key)
{
    return c->body ? json_get(c->body, key) : NULL;
}

/* Exactly one of id, container and all. */
static bool order_target(struct call *c, struct halt_order *o)
{
    bool bad = false;
    const char *id = call_string(c, "id", ROUTER_PARAM_MAX, &bad);
    const char *container = call_string(c, "container", 255, &bad);
    bool all = call_bool(c, "all", &bad);
    o->scope = all ? HOLD_ALL : container ? HOLD_CONTAINER : HOLD_REQUEST;
    o->target = container ? container : id;
    return !bad && (id != NULL) + (container != NULL) + all == 1 && (all || o->target[0]);
}

static bool order_read(struct call *c, enum order_kind kind, struct halt_order *ret)
{
    static const char *const keys[3][6] = {
        [ORDER_KILL] = {"id", "container", "all", "reason", "signal", NULL},
        [ORDER_PAUSE] = {"id", "container", "all", "reason", "resume_after", NULL},
        [ORDER_RESUME] = {"id", "container", "all", "reason", NULL}};
    bool bad = false;
    if (!call_only(c, keys[kind]))
        return false;
    *ret = (struct halt_order){.who = c->who};
    bool fine = order_target(c, ret);
    ret->why = call_string(c, "reason", ORDER_REASON_MAX, &bad);
    ret->signo = order_signal(order_member(c, "signal"));
    if (fine && !bad && ret->signo > 0 &&
        order_duration(order_member(c, "resume_after"), &ret->resume_after))
        return true;
    call_error(c->x, 400, "bad_body", NULL, "%s", order_shape(kind));
    return false;
}

/* ---- answering ---- */

static void order_refuse(const struct order *d, const struct halt_report *r)
{
    const char *id = d->scope == HOLD_REQUEST ? d->target : NULL;
    const char *words = r->err.text[0] ? r->err.text : "no such request runs";
    switch (r->error) {
    case -ENOENT:
        call_error(d->x, 404, "not_found", id, "%s", words);
        return;
    case -EINVAL:
        call_error(d->x, 400, "bad_body", id, "%s", words);
        return;
    case -ENOTUNIQ:
        call_error(d->x, 409, "ambiguous", id, "%s", words);
        return;
    case -EOPNOTSUPP:
    case -ENOSPC:
        call_error(d->x, 409, "cannot", id, "%s", words);
        return;
    case -EAGAIN:
        call_error(d->x, 503, "not_now", id, "%s", words);
        return;
    case -EIO:
        call_error(d->x, 503, "unrecorded", id, "%s", words);
        return;
    }
    call_error(d->x, 409, d->kind == ORDER_RESUME ? "not_paused" : "already_ended", id, "%s",
               words);
}

static void order_put_ids(const struct halt_report *r, struct json_writer *w)
{
    json_array_begin(w);
    for (size_t i = 0; i < r->ids_count; i++)
        json_put_string(w, r->ids[i]);
    json_array_end(w);
}

static void order_put_loose(const struct halt_report *r, struct json_writer *w)
{
    json_key(w, "not_frozen");
    json_array_begin(w);
    for (size_t i = 0; i < r->loose_count; i++) {
        json_object_begin(w);
        json_field_string(w, "id", r->loose[i].id);
        json_field_string(w, "error", r->loose[i].words);
        json_object_end(w);
    }
    json_array_end(w);
}

static void order_put_containers(const struct halt_report *r, struct json_writer *w)
{
    json_key(w, "containers");
    json_array_begin(w);
    for (size_t i = 0; i < r->items_count; i++) {
        const struct halt_item *item = &r->items[i];
        if (item->absent)
            continue;
        json_object_begin(w);
        json_field_string(w, "id", item->key);
        json_key(w, "name");
        json_put_bytes(w, item->name, strlen(item->name));
        json_field_string(w, "error", item->error < 0 ? item->words : NULL);
        json_object_end(w);
    }
    json_array_end(w);
}

static void order_put_answer(const struct order *d, const struct halt_report *r,
                             struct json_writer *w)
{
    char time[32];
    switch (d->kind) {
    case ORDER_KILL:
        json_field_string(w, "signal", sigabbrev_np(d->signo));
        json_key(w, "killed");
        order_put_ids(r, w);
        break;
    case ORDER_PAUSE:
        json_field_string(w, "scope", hold_scope_name(d->scope));
        json_field_bool(w, "already", r->already);
        json_field_string(w, "until", r->until ? clock_format(r->until, time) : NULL);
        json_key(w, "frozen");
        order_put_ids(r, w);
        order_put_loose(r, w);
        break;
    case ORDER_RESUME:
        json_field_string(w, "scope", hold_scope_name(d->scope));
        json_field_bool(w, "still_paused", r->still);
        break;
    }
    order_put_containers(r, w);
    json_field_uint(w, "failed", r->failed);
    json_field_string(w, "message", r->failed && r->err.text[0] ? r->err.text : NULL);
    json_field_bool(w, "recorded", r->recorded);
}

static void order_done(void *arg, const struct halt_report *r)
{
    struct order *d = arg;
    if (r->error < 0) {
        order_refuse(d, r);
    } else {
        _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
        struct json_writer w = JSON_WRITER(&b);
        json_object_begin(&w);
        order_put_answer(d, r, &w);
        json_object_end(&w);
        call_json(d->x, &b);
    }
    exchange_unref(d->x);
    free(d->target);
    free(d);
}

void order_give(struct call *c, enum order_kind kind)
{
    struct halt_order o;
    if (!order_read(c, kind, &o))
        return;
    struct order *d = mem_new(struct order);
    *d = (struct order){.kind = kind,
                        .scope = o.scope,
                        .signo = o.signo,
                        .target = mem_strdup(o.target),
                        .x = exchange_ref(c->x)};
    struct warden *w = c->api->deps.warden;
    switch (kind) {
    case ORDER_KILL:
        halt_kill(w, &o, order_done, d);
        return;
    case ORDER_PAUSE:
        halt_pause(w, &o, order_done, d);
        return;
    case ORDER_RESUME:
        halt_resume(w, &o, order_done, d);
        return;
    }
}
