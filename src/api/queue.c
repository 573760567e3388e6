/* SPDX-License-Identifier: MIT */
/* What waits and what runs, and a person's answers. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "api/listed.h"
#include "base/str.h"
#include "core/brief.h"
#include "core/describe.h"
#include "core/looks.h"

/* An agent may queue commands of megabytes: a list shows such a one in short, and the list as a
 * whole stays readable. The whole command is always at /api/queue/{id}. */
#define QUEUE_ENTRY_MAX (64u << 10)
#define QUEUE_LIST_MAX (16u << 20)

static bool queue_is_long(const struct request *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->ask.argc && n <= QUEUE_ENTRY_MAX; i++)
        n += strnlen(r->ask.argv[i], QUEUE_ENTRY_MAX) + 4;
    for (size_t i = 0; i < r->ask.envc && n <= QUEUE_ENTRY_MAX; i++)
        n += 1 + strcspn(r->ask.env[i], "=");
    for (size_t i = 0; i < r->facts.paths_count && n <= QUEUE_ENTRY_MAX; i++)
        n += 16 + (r->facts.paths[i].resolved ? strlen(r->facts.paths[i].resolved) : 0);
    return n > QUEUE_ENTRY_MAX;
}

static void queue_put_short(const struct request *r, struct json_writer *w)
{
    json_object_begin(w);
    json_field_string(w, "id", r->id_text);
    json_field_string(w, "state", request_state_name(r->state));
    json_field_bool(w, "shortened", true);
    json_key(w, "command");
    json_put_bytes(w, r->ask.name, strnlen(r->ask.name, 256));
    json_field_uint(w, "args_count", r->ask.argc ? r->ask.argc - 1 : 0);
    json_field_uint(w, "uid", r->peer.uid);
    json_field_int(w, "pid", r->peer.pid);
    json_field_string(w, "rule", r->judged.rule_name);
    json_field_string(w, "digest", r->digest);
    json_object_end(w);
}

void queue_put(const struct request *r, struct json_writer *w, uint64_t realtime,
               uint64_t monotonic)
{
    if (queue_is_long(r))
        queue_put_short(r, w);
    else
        request_json(r, w, realtime, monotonic);
}

static void queue_reply_list(struct call *c, bool running)
{
    struct clock_port *clock = c->api->deps.clock;
    uint64_t realtime = clock->realtime(clock), monotonic = clock->monotonic(clock);
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    _cleanup_listed_ struct listed l;
    if (!listed_read(c, running, &l))
        return;
    json_array_begin(&w);
    for (size_t i = l.first; i < l.end; i++) {
        if (c->role < API_ROLE_APPROVER)
            brief_json(l.found[i], &w, realtime, monotonic); /* viewers get what the records say */
        else if (b.len > QUEUE_LIST_MAX)
            queue_put_short(l.found[i], &w);
        else
            queue_put(l.found[i], &w, realtime, monotonic);
    }
    json_array_end(&w);
    call_json(c->x, &b);
}

void queue_list(void *arg, struct exchange *x, const char *param)
{
    queue_reply_list(arg, false);
}

void queue_running(void *arg, struct exchange *x, const char *param)
{
    queue_reply_list(arg, true);
}

void queue_one(void *arg, struct exchange *x, const char *id)
{
    struct call *c = arg;
    struct clock_port *clock = c->api->deps.clock;
    struct request *r = warden_find(c->api->deps.warden, id);
    if (!r || r->state != REQUEST_WAITING) {
        call_error(x, 404, "not_found", NULL, "no request with this id waits for an answer%s",
                   r ? "; it was answered and runs" : "");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    if (c->role < API_ROLE_APPROVER)
        brief_json(r, &w, clock->realtime(clock), clock->monotonic(clock));
    else
        request_json(r, &w, clock->realtime(clock), clock->monotonic(clock));
    if (c->role >= API_ROLE_APPROVER)
        looks_add(r, c->who, LOOK_SEEN, clock->realtime(clock));
    call_json(x, &b);
}

/* ---- answers ---- */

/* The login names the approver; who it says it speaks for stands behind that. */
static void queue_put_approver(struct answer *a, const char *who, const char *speaks_for)
{
    if (speaks_for && !str_eq(speaks_for, who))
        (void)snprintf(a->approver, sizeof(a->approver), "%s for %s", who, speaks_for);
    else
        (void)snprintf(a->approver, sizeof(a->approver), "%s", who);
}

static bool queue_read_answer(struct call *c, struct answer *a, const char **ret_digest)
{
    static const char *const keys[] = {"comment", "digest",   "approver",
                                       "channel", "remember", NULL};
    if (!call_only(c, keys))
        return false;
    bool bad = false;
    const char *comment = call_string(c, "comment", sizeof(a->comment) - 1, &bad);
    const char *speaks_for = call_string(c, "approver", 48, &bad);
    const char *channel = call_string(c, "channel", sizeof(a->channel) - 1, &bad);
    a->remember = call_bool(c, "remember", &bad);
    if (a->remember && a->verdict != VERDICT_ALLOW)
        bad = true; /* a no is not remembered: a rule says it */
    *ret_digest = call_string(c, "digest", 64, &bad);
    if (channel && strspn(channel, "abcdefghijklmnopqrstuvwxyz0123456789-") != strlen(channel))
        bad = true;
    if (*ret_digest && (strlen(*ret_digest) != 64 || strspn(*ret_digest, "0123456789abcdef") != 64))
        bad = true;
    if (bad) {
        call_error(
            c->x, 400, "bad_body", NULL,
            "the body is {\"comment\": text of at most 1023 bytes, \"digest\": 64 hex digits, "
            "\"approver\": name, \"channel\": a-z, \"remember\": true for an approval}, each of "
            "them "
            "optional");
        return false;
    }
    (void)snprintf(a->comment, sizeof(a->comment), "%s", comment ? comment : "");
    (void)snprintf(a->channel, sizeof(a->channel), "%s", channel ? channel : "api");
    queue_put_approver(a, c->who, speaks_for);
    return true;
}

static void queue_refuse_answer(struct exchange *x, const char *id, int r, const struct err *err)
{
    const char *words = err->text[0] ? err->text : NULL;
    if (r == -ENOENT)
        call_error(x, 404, "not_found", NULL, "%s", words ? words : "no request has this id");
    else if (r == -EALREADY)
        call_error(x, 409, "already_ended", id, "%s",
                   words ? words : "the request was answered or has ended");
    else if (r == -ESTALE)
        call_error(x, 409, "stale", id, "%s",
                   words ? words : "what waits is not what was seen; look again");
    else if (r == -EAGAIN)
        call_error(x, 503, "not_now", id, "%s", words ? words : "not now; try again");
    else if (r == -EINVAL)
        call_error(x, 400, "bad_request", id, "%s", words ? words : "this is no answer");
    else
        call_error(x, 500, "internal", id, "%s", words ? words : strerror(-r));
}

static void queue_answer(struct call *c, const char *id, enum verdict verdict)
{
    struct answer a = {.verdict = verdict};
    const char *digest = NULL;
    if (!queue_read_answer(c, &a, &digest))
        return;
    /* `id` must outlive the request, and it does: it is the router's. */
    struct err err = {""};
    int r = warden_answer(c->api->deps.warden, id, &a, digest, &err);
    if (r < 0) {
        queue_refuse_answer(c->x, id, r, &err);
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "id", id);
    json_field_string(&w, "answer", verdict == VERDICT_ALLOW ? "approve" : "deny");
    json_field_string(&w, "approver", a.approver);
    json_object_end(&w);
    call_json(c->x, &b);
}

void queue_approve(void *arg, struct exchange *x, const char *id)
{
    queue_answer(arg, id, VERDICT_ALLOW);
}

void queue_deny(void *arg, struct exchange *x, const char *id)
{
    queue_answer(arg, id, VERDICT_DENY);
}
