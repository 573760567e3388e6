/* SPDX-License-Identifier: MIT */
/* A request as people and programs see it. "command_line" is the whole argv, quoted so that a shell
 * would read back the same bytes and no byte can act on a terminal; "args" are the bytes. */
#include "core/describe.h"

#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/binding.h"
#include "core/ports.h"

/* All of argv may need six characters a byte. */
#define COMMAND_LINE_MAX (64u << 20)

static void field_text(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    if (s)
        json_put_bytes(w, s, strlen(s));
    else
        json_put_null(w);
}

void describe_time(struct json_writer *w, const char *key, uint64_t realtime)
{
    char text[32];
    json_field_string(w, key, realtime ? clock_format(realtime, text) : NULL);
}

static void put_command(const struct request *r, struct json_writer *w)
{
    field_text(w, "command", r->ask.name);
    json_key(w, "args");
    json_array_begin(w);
    for (size_t i = 1; i < r->ask.argc; i++)
        json_put_bytes(w, r->ask.argv[i], strlen(r->ask.argv[i]));
    json_array_end(w);
    _cleanup_buf_ struct buf line = BUF_INIT(COMMAND_LINE_MAX);
    (void)str_shell_quote_argv(&line, r->ask.argv, r->ask.argc);
    field_text(w, "command_line", line.failed ? NULL : buf_str(&line));
}

static void put_peer(const struct request *r, struct json_writer *w)
{
    field_text(w, "cwd", r->facts.cwd);
    json_field_uint(w, "uid", r->peer.uid);
    json_field_uint(w, "gid", r->peer.gid);
    json_field_int(w, "pid", r->peer.pid);
    json_key(w, "parent");
    json_put_bytes(w, r->peer.parent, strnlen(r->peer.parent, sizeof(r->peer.parent)));
    field_text(w, "container", r->peer.container);
    json_key(w, "labels");
    json_object_begin(w);
    for (size_t i = 0; r->peer.in && i < r->peer.in->labels_count; i++)
        field_text(w, r->peer.in->labels[i].key, r->peer.in->labels[i].value);
    json_object_end(w);
}

static const char *trust_words(const struct facts *f)
{
    if (!f->known)
        return NULL;
    switch (f->program.trust) {
    case PROGRAM_UNKNOWN:
        return "unknown";
    case PROGRAM_NOT_FOUND:
        return "not-found";
    case PROGRAM_TRUSTED:
        return "trusted";
    }
    return "unknown";
}

static void put_program(const struct request *r, struct json_writer *w)
{
    const struct policy_program *p = &r->facts.program;
    field_text(w, "executable", p->path);
    json_field_string(w, "trust", trust_words(&r->facts));
    field_text(w, "why_unknown", p->why_unknown);
    field_text(w, "script", p->script);
    field_text(w, "interpreter", p->interpreter);
    field_text(w, "program_digest", p->digest);
    json_field_string(w, "digest", r->digest[0] ? r->digest : NULL);
    json_key(w, "paths");
    json_array_begin(w);
    for (size_t i = 0; i < r->facts.paths_count; i++) {
        json_object_begin(w);
        json_field_uint(w, "arg", r->facts.paths[i].arg);
        field_text(w, "resolved", r->facts.paths[i].resolved);
        json_object_end(w);
    }
    json_array_end(w);
}

static void put_judged(const struct request *r, struct json_writer *w)
{
    char timeout[48];
    field_text(w, "rule", r->judged.rule_name);
    json_field_uint(w, "line", r->judged.line);
    field_text(w, "reason", r->judged.reason);
    field_text(w, "instead", r->judged.instead);
    json_field_string(w, "verdict", verdict_name(r->judged.verdict));
    json_field_string(w, "decision",
                      r->decision != DECISION_NONE ? decision_name(r->decision) : NULL);
    field_text(w, "approver", r->answer.approver[0] ? r->answer.approver : NULL);
    json_field_string(w, "executor", r->executor ? r->executor->name : NULL);
    json_field_string(w, "timeout",
                      r->judged.timeout ? str_format_duration(r->judged.timeout, timeout) : NULL);
    json_field_string(w, "policy", r->policy ? policy_digest(r->policy) : NULL);
}

/* The deadline as a moment of the calendar: it is kept on the clock that nobody can set. */
void describe_deadline(const struct request *r, struct json_writer *w, uint64_t realtime,
                       uint64_t monotonic)
{
    if (r->deadline == 0 || r->state == REQUEST_ENDED) {
        json_field_string(w, "deadline", NULL);
        json_field_string(w, "deadline_ms", NULL);
        return;
    }
    uint64_t left = r->deadline > monotonic ? r->deadline - monotonic : 0;
    describe_time(w, "deadline", realtime + left);
    json_field_uint(w, "deadline_ms", left / CLOCK_NS_PER_MS);
}

static void put_times(const struct request *r, struct json_writer *w, uint64_t realtime,
                      uint64_t monotonic)
{
    uint64_t since = r->waiting_at ? r->waiting_at : r->received_at;
    describe_time(w, "received_at", r->received_at);
    describe_time(w, "waiting_at", r->waiting_at);
    json_field_uint(w, "age_ms", realtime > since ? (realtime - since) / CLOCK_NS_PER_MS : 0);
    describe_deadline(r, w, realtime, monotonic);
    describe_time(w, "started_at", r->started_at);
    json_field_int(w, "command_pid", r->command_pid);
    json_field_bool(w, "paused", r->paused);
}

static void put_env(const struct request *r, struct json_writer *w)
{
    struct binding_env e;
    int known = binding_env(r, &e, NULL) == 0;
    json_key(w, "env_passed");
    json_array_begin(w);
    const char *s = buf_str(&e.passed), *end = s + e.passed.len;
    for (; known && s < end; s += strlen(s) + 1)
        json_put_bytes(w, s, strlen(s));
    json_array_end(w);
    binding_env_done(&e);
}

void request_json(const struct request *r, struct json_writer *w, uint64_t realtime,
                  uint64_t monotonic)
{
    json_object_begin(w);
    json_field_string(w, "id", r->id_text);
    json_field_string(w, "state", request_state_name(r->state));
    json_field_string(w, "door", door_kind_name(r->ask.door));
    put_command(r, w);
    put_peer(r, w);
    put_program(r, w);
    put_judged(r, w);
    put_times(r, w, realtime, monotonic);
    put_env(r, w);
    json_object_end(w);
}
