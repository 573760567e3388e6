/* SPDX-License-Identifier: MIT */
#include "core/brief.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/describe.h"
#include "core/ports.h"

#define BRIEF_TEXT_MAX 1024
#define BRIEF_BUF_MAX (1u << 20)
#define BRIEF_LOOK_MAX (32u << 10) /* of one argument: patterns run over it on the loop thread */

/* At most `max` bytes of `s`, masked before they are cut: half a secret is still one. */
static bool brief_mask(const struct policy *p, const char *s, size_t max, struct buf *out)
{
    size_t n = strlen(s), had = out->len;
    _cleanup_buf_ struct buf masked = BUF_INIT(BRIEF_BUF_MAX);
    if (n > BRIEF_LOOK_MAX) {
        (void)buf_append_str(out, "[long]");
        return false;
    }
    if (p && policy_redact(p, s, n, &masked)) {
        s = masked.failed ? "[redacted]" : buf_str(&masked);
        n = masked.failed ? strlen(s) : masked.len;
    }
    while (n > max && (s[max] & 0xc0) == 0x80) /* not in the middle of a character */
        max--;
    (void)buf_append(out, s, n < max ? n : max);
    return out->len - had == n;
}

static void brief_text(struct json_writer *w, const char *key, const struct policy *p,
                       const char *s)
{
    json_key(w, key);
    if (!s || !s[0]) {
        json_put_null(w);
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(BRIEF_BUF_MAX);
    (void)brief_mask(p, s, BRIEF_TEXT_MAX, &b);
    json_put_bytes(w, buf_str(&b), b.len);
}

/* argv as a shell would read it, as far as there is room. */
static void brief_line(const struct request *r, struct json_writer *w)
{
    _cleanup_buf_ struct buf line = BUF_INIT(BRIEF_BUF_MAX);
    size_t i = 0, used = 0;
    bool whole = true;
    for (; whole && i < r->ask.argc; i++) {
        _cleanup_buf_ struct buf arg = BUF_INIT(BRIEF_BUF_MAX);
        if (used >= BRIEF_LINE_MAX)
            break;
        whole = brief_mask(r->policy, r->ask.argv[i], BRIEF_LINE_MAX - used, &arg);
        used += arg.len + 1;
        if (i > 0)
            (void)buf_append_char(&line, ' ');
        (void)str_shell_quote(&line, buf_str(&arg), arg.len);
    }
    json_key(w, "command_line");
    json_put_bytes(w, buf_str(&line), line.len);
    json_field_bool(w, "shortened", !whole || i < r->ask.argc);
}

static void brief_end(const struct request *r, struct json_writer *w)
{
    if (r->end.kind == END_SIGNAL)
        json_field_int(w, "signal", r->end.value);
    else if (r->end.kind == END_EXIT || r->end.kind == END_FAILED)
        json_field_int(w, "exit_code", r->end.value);
    json_field_uint(w, "duration_ms",
                    r->started_at && r->ended_at > r->started_at
                        ? (r->ended_at - r->started_at) / CLOCK_NS_PER_MS
                        : 0);
    json_field_bool(w, "timed_out", r->timed_out);
}

void brief_json(const struct request *r, struct json_writer *w, uint64_t realtime,
                uint64_t monotonic)
{
    uint64_t until = r->decided_at;
    json_object_begin(w);
    json_field_string(w, "id", r->id_text);
    json_field_string(w, "state", request_state_name(r->state));
    json_field_string(w, "door", door_kind_name(r->ask.door));
    brief_text(w, "command", r->policy, r->ask.name);
    brief_line(r, w);
    brief_text(w, "cwd", r->policy, r->facts.cwd);
    json_field_uint(w, "uid", r->peer.uid);
    json_field_int(w, "pid", r->peer.pid);
    brief_text(w, "container", NULL, r->peer.container);
    brief_text(w, "rule", NULL, r->judged.rule_name);
    brief_text(w, "reason", NULL, r->judged.reason);
    json_field_string(w, "verdict", verdict_name(r->judged.verdict));
    json_field_string(w, "decision",
                      r->decision != DECISION_NONE ? decision_name(r->decision) : NULL);
    brief_text(w, "approver", NULL, r->answer.approver);
    brief_text(w, "channel", NULL, r->answer.channel);
    brief_text(w, "comment", NULL, r->answer.comment);
    json_field_uint(
        w, "waited_ms",
        r->waiting_at && until > r->waiting_at ? (until - r->waiting_at) / CLOCK_NS_PER_MS : 0);
    describe_time(w, "waiting_at", r->waiting_at);
    describe_time(w, "started_at", r->started_at);
    describe_deadline(r, w, realtime, monotonic);
    json_field_string(w, "executor", r->executor ? r->executor->name : NULL);
    brief_text(w, "error", r->policy,
               r->why[0] || r->end.kind != END_FAILED ? r->why : r->end.text);
    if (r->ended_at && (r->decision == DECISION_ALLOW || r->decision == DECISION_ASK_APPROVED))
        brief_end(r, w);
    json_object_end(w);
}
