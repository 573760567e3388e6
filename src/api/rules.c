/* SPDX-License-Identifier: MIT */
/* The policy that is in force. */
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/clock.h"

static void rules_put(struct json_writer *w, const struct policy *p, const struct metrics *m)
{
    char time[32];
    uint64_t last;
    json_key(w, "rules");
    json_array_begin(w);
    for (size_t i = 0; i < policy_rules_count(p); i++) {
        struct policy_rule_info info;
        policy_rule_info(p, i, &info);
        json_object_begin(w);
        json_field_string(w, "name", info.name);
        json_field_uint(w, "line", info.line);
        json_field_string(w, "action", verdict_name(info.action));
        json_field_string(w, "command", info.command);
        json_field_string(w, "reason", info.reason);
        json_field_uint(w, "hits", metrics_rule(m, info.name, &last));
        json_field_string(w, "hit_at", last ? clock_format(last, time) : NULL);
        json_object_end(w);
    }
    json_array_end(w);
}

static void rules_put_head(struct json_writer *w, struct warden *warden)
{
    const struct policy *p = warden_policy(warden);
    json_field_string(w, "name", p ? policy_name(p) : NULL);
    json_field_string(w, "version", p ? policy_digest(p) : NULL);
    json_field_string(w, "error", warden_policy_error(warden));
}

void rules_show(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    const struct policy *p = warden_policy(c->api->deps.warden);
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    rules_put_head(&w, c->api->deps.warden);
    if (p)
        rules_put(&w, p, warden_metrics(c->api->deps.warden));
    json_object_end(&w);
    call_json(x, &b);
}

void rules_text(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    const struct policy *p = warden_policy(c->api->deps.warden);
    size_t n = 0;
    const char *text = p ? policy_source(p, &n) : NULL;
    if (!text) {
        call_error(x, 503, "unavailable", NULL, "no policy is loaded");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    rules_put_head(&w, c->api->deps.warden);
    json_key(&w, "text");
    json_put_bytes(&w, text, n);
    json_object_end(&w);
    call_json(x, &b);
}

void rules_loads(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    const struct loads *loads = warden_loads(c->api->deps.warden);
    const struct load *l;
    char time[32];
    _cleanup_buf_ struct buf b = BUF_INIT(256u << 10);
    struct json_writer w = JSON_WRITER(&b);
    json_array_begin(&w);
    for (size_t i = 0; (l = loads_at(loads, i)); i++) {
        json_object_begin(&w);
        json_field_string(&w, "time", clock_format(l->time, time));
        json_field_string(&w, "by", l->who);
        json_field_string(&w, "version", l->version[0] ? l->version : NULL);
        json_field_uint(&w, "rules", l->rules);
        json_field_string(&w, "refused", l->refused[0] ? l->refused : NULL);
        json_object_end(&w);
    }
    json_array_end(&w);
    call_json(x, &b);
}

void rules_reload(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    static const char *const keys[] = {NULL};
    struct err err = {""};
    if (!call_only(c, keys))
        return;
    if (c->api->deps.reload_policy(c->api->deps.arg, c->who, &err) < 0) {
        call_error(x, 422, "policy", NULL, "%s; the old policy stays in force", err.text);
        return;
    }
    const struct policy *p = warden_policy(c->api->deps.warden);
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    rules_put_head(&w, c->api->deps.warden);
    json_field_uint(&w, "rules", p ? policy_rules_count(p) : 0);
    json_object_end(&w);
    call_json(x, &b);
}
