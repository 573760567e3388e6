/* SPDX-License-Identifier: MIT */
/* The policy that is in force. */
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"

static void rules_put(struct json_writer *w, const struct policy *p)
{
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
        rules_put(&w, p);
    json_object_end(&w);
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
