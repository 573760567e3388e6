/* SPDX-License-Identifier: MIT */
/* How the warden is. /healthz and /readyz need no login and say names and states only. */
#include <unistd.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/clock.h"
#include "core/halt.h"

/* Calls `fn` for each check that fails; returns how many do. */
static size_t health_failing(struct api *a,
                             void (*fn)(struct json_writer *w, const char *name,
                                        const struct err *why),
                             struct json_writer *w)
{
    size_t n = 0;
    struct err why = {""};
    if (!warden_can_record(a->deps.warden, &why) && ++n)
        fn(w, "audit", &why);
    if (!warden_policy(a->deps.warden) && ++n)
        fn(w, "policy", &(struct err){"no policy is loaded"});
    for (size_t i = 0; i < a->deps.checks_count; i++) {
        why = (struct err){""};
        if (!a->deps.checks[i].ready(a->deps.arg, &why) && ++n)
            fn(w, a->deps.checks[i].name, &why);
    }
    return n;
}

static void health_put_name(struct json_writer *w, const char *name, const struct err *why)
{
    json_put_string(w, name);
}

static void health_put_why(struct json_writer *w, const char *name, const struct err *why)
{
    json_field_string(w, name, why->text);
}

void health_live(void *arg, struct exchange *x, const char *param)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    (void)buf_append_str(&b, "{\"status\":\"ok\"}");
    call_json(x, &b);
}

void health_ready(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    _cleanup_buf_ struct buf names = BUF_INIT(4096), b = BUF_INIT(8192);
    struct json_writer list = JSON_WRITER(&names), w = JSON_WRITER(&b);
    size_t failing = health_failing(c->api, health_put_name, &list);
    json_object_begin(&w);
    json_field_string(&w, "status", failing ? "not ready" : "ready");
    json_key(&w, "not_ready");
    json_array_begin(&w);
    if (failing)
        json_put_raw(&w, buf_str(&names), names.len);
    json_array_end(&w);
    json_object_end(&w);
    (void)buf_append_char(&b, '\n');
    exchange_reply(x, failing ? 503 : 200, "application/json", &b);
}

static void health_put_policy(struct json_writer *w, struct warden *warden)
{
    const struct policy *p = warden_policy(warden);
    json_key(w, "policy");
    json_object_begin(w);
    json_field_string(w, "name", p ? policy_name(p) : NULL);
    json_field_string(w, "version", p ? policy_digest(p) : NULL);
    json_field_uint(w, "rules", p ? policy_rules_count(p) : 0);
    json_field_string(w, "error", warden_policy_error(warden));
    json_object_end(w);
}

static void health_put_paused(struct json_writer *w, const struct warden *warden)
{
    const struct holds *h = halt_holds(warden);
    json_key(w, "paused");
    json_array_begin(w);
    for (size_t i = 0; i < holds_count(h); i++)
        hold_put_json(holds_at(h, i), w);
    json_array_end(w);
}

void health_status(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct api *a = c->api;
    char time[32];
    uint64_t now = a->deps.clock->realtime(a->deps.clock);
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX), failing = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&b), f = JSON_WRITER(&failing);
    json_object_begin(&w);
    json_field_string(&w, "version", CLAWRDEN_VERSION);
    json_field_int(&w, "pid", getpid());
    json_field_string(&w, "started_at", clock_format(a->started_at, time));
    json_field_uint(&w, "uptime_s",
                    now > a->started_at ? (now - a->started_at) / CLOCK_NS_PER_SEC : 0);
    json_field_uint(&w, "waiting", warden_count(a->deps.warden, REQUEST_WAITING));
    json_field_uint(&w, "starting", warden_count(a->deps.warden, REQUEST_STARTING));
    json_field_uint(&w, "running", warden_count(a->deps.warden, REQUEST_RUNNING));
    health_put_policy(&w, a->deps.warden);
    json_object_begin(&f);
    bool ready = health_failing(a, health_put_why, &f) == 0;
    json_object_end(&f);
    health_put_paused(&w, a->deps.warden);
    json_field_bool(&w, "ready", ready);
    json_key(&w, "not_ready");
    json_put_raw(&w, buf_str(&failing), failing.len);
    if (a->deps.status)
        a->deps.status(a->deps.arg, &w);
    json_object_end(&w);
    call_json(x, &b);
}
