/* SPDX-License-Identifier: MIT */
/* What a record holds: requests and ends become members of JSON objects. Names of members are a
 * contract with readers of the log: new ones may come, none may change its meaning. */
#include "core/audit.h"

#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/str.h"
#include "core/looks.h"

static void put_text(struct json_writer *w, const char *s)
{
    if (s)
        json_put_bytes(w, s, strlen(s));
    else
        json_put_null(w);
}

static void field_text(struct json_writer *w, const char *key, const char *s)
{
    json_key(w, key);
    put_text(w, s);
}

/* Like field_text(), with NULL for "". */
static void field_words(struct json_writer *w, const char *key, const char *s)
{
    field_text(w, key, s && s[0] ? s : NULL);
}

static void put_redacted(struct json_writer *w, const struct policy *p, const char *s)
{
    struct buf masked = BUF_INIT(w->out->limit);
    if (!p || !s || !policy_redact(p, s, strlen(s), &masked))
        put_text(w, s);
    else if (masked.failed)
        json_put_string(w, "[redacted]");
    else
        json_put_bytes(w, buf_str(&masked), masked.len);
    buf_done(&masked);
}

static void field_redacted(struct json_writer *w, const char *key, const struct policy *p,
                           const char *s)
{
    json_key(w, key);
    put_redacted(w, p, s);
}

static void field_time(struct json_writer *w, const char *key, uint64_t realtime)
{
    char text[32];
    json_field_string(w, key, clock_format(realtime, text));
}

static void put_head(struct json_writer *w, uint64_t time, const char *id, const char *event)
{
    field_time(w, "time", time);
    json_field_string(w, "id", id);
    json_field_string(w, "event", event);
}

static const char *trust_name(enum program_trust t)
{
    switch (t) {
    case PROGRAM_UNKNOWN:
        return "unknown";
    case PROGRAM_NOT_FOUND:
        return "not-found";
    case PROGRAM_TRUSTED:
        return "trusted";
    }
    return "unknown";
}

static void put_executable(struct json_writer *w, const struct request *r)
{
    const struct policy_program *p = &r->facts.program;
    json_key(w, "executable");
    if (!r->facts.known) {
        json_put_null(w);
        return;
    }
    json_object_begin(w);
    field_redacted(w, "path", r->policy, p->path);
    json_field_uint(w, "dev", p->dev);
    json_field_uint(w, "ino", p->ino);
    json_field_string(w, "trust", trust_name(p->trust));
    json_key(w, "names");
    json_array_begin(w);
    for (size_t i = 0; i < p->names_count; i++)
        put_text(w, p->names[i]);
    json_array_end(w);
    if (p->interpreter)
        field_text(w, "interpreter", p->interpreter);
    if (p->digest)
        field_text(w, "digest", p->digest);
    if (p->why_unknown)
        field_text(w, "why_unknown", p->why_unknown);
    json_object_end(w);
}

static void put_args(struct json_writer *w, const struct request *r)
{
    json_key(w, "args");
    json_array_begin(w);
    for (size_t i = 1; i < r->ask.argc; i++)
        put_redacted(w, r->policy, r->ask.argv[i]);
    json_array_end(w);
    if (r->ask.argc > 0 && !str_eq(r->ask.argv[0], r->ask.name))
        field_redacted(w, "argv0", r->policy, r->ask.argv[0]);
}

/* "pts/3", "tty1", else "MAJOR:MINOR" (Documentation/admin-guide/devices.txt of Linux). */
static void put_tty(struct json_writer *w, uint32_t tty)
{
    char text[32];
    unsigned major_ = major(tty), minor_ = minor(tty);
    if (tty == 0) {
        json_field_string(w, "tty", NULL);
        return;
    }
    if (major_ >= 136 && major_ <= 143)
        (void)snprintf(text, sizeof(text), "pts/%u", (major_ - 136) * 256 + minor_);
    else if (major_ == 4 && minor_ < 64)
        (void)snprintf(text, sizeof(text), "tty%u", minor_);
    else
        (void)snprintf(text, sizeof(text), "%u:%u", major_, minor_);
    json_field_string(w, "tty", text);
}

static void put_peer(struct json_writer *w, const struct peer *p)
{
    json_field_uint(w, "uid", p->uid);
    json_field_uint(w, "gid", p->gid);
    json_field_int(w, "pid", p->pid);
    json_key(w, "parent");
    json_put_bytes(w, p->parent, strnlen(p->parent, sizeof(p->parent)));
    json_field_int(w, "ppid", p->ppid);
    put_tty(w, p->tty);
    field_text(w, "container", p->container);
    json_key(w, "labels");
    json_object_begin(w);
    for (size_t i = 0; p->in && i < p->in->labels_count; i++)
        field_text(w, p->in->labels[i].key, p->in->labels[i].value);
    json_object_end(w);
}

static void put_names(struct json_writer *w, const char *key, const struct buf *names)
{
    json_key(w, key);
    json_array_begin(w);
    const char *s = buf_str(names), *end = s + names->len;
    for (; s < end; s += strlen(s) + 1)
        put_text(w, s);
    json_array_end(w);
}

static void put_env(struct json_writer *w, const struct request *r, const struct binding_env *known)
{
    struct binding_env found;
    if (!known && binding_env(r, &found, NULL) < 0) {
        json_field_string(w, "env_passed", NULL);
        json_field_string(w, "env_dropped", NULL);
    } else {
        put_names(w, "env_passed", known ? &known->passed : &found.passed);
        put_names(w, "env_dropped", known ? &known->dropped : &found.dropped);
    }
    if (!known)
        binding_env_done(&found);
}

/* What the kernel did not say itself. */
static void put_reporter(struct json_writer *w, const struct request *r)
{
    if (r->ask.door != DOOR_GATE)
        return;
    json_field_string(w, "reported_by", "gate");
    json_key(w, "above");
    json_array_begin(w);
    for (size_t i = 0; i < r->facts.above_count; i++)
        put_text(w, r->facts.above[i]);
    json_array_end(w);
    if (r->ask.debuggers)
        json_field_bool(w, "debuggers", true);
    if (r->judged.own_timeout)
        json_field_string(w, "scope", r->ask.scoped ? "cgroup" : "tree");
}

static void put_judged(struct json_writer *w, const struct request *r)
{
    json_field_string(w, "policy", r->policy ? policy_digest(r->policy) : NULL);
    field_text(w, "rule", r->judged.rule_name);
    json_field_uint(w, "line", r->judged.line);
    field_text(w, "reason", r->judged.reason);
    json_field_string(w, "verdict", verdict_name(r->judged.verdict));
}

/* `whole`: with arguments and environment. */
static void put_request(struct json_writer *w, const struct request *r,
                        const struct binding_env *env, bool whole)
{
    json_field_string(w, "door", door_kind_name(r->ask.door));
    field_redacted(w, "command", r->policy, r->ask.name);
    put_executable(w, r);
    field_redacted(w, "script", r->policy, r->facts.program.script);
    if (whole)
        put_args(w, r);
    else
        json_field_uint(w, "args_omitted", r->ask.argc ? r->ask.argc - 1 : 0);
    field_redacted(w, "cwd", r->policy, r->facts.cwd);
    put_peer(w, &r->peer);
    put_reporter(w, r);
    if (whole)
        put_env(w, r, env);
    put_judged(w, r);
}

void audit_request(const struct request *r, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    put_request(&w, r, NULL, true);
}

static uint64_t waited_ms(uint64_t from, uint64_t to)
{
    return from && to > from ? (to - from) / CLOCK_NS_PER_MS : 0;
}

/* Room for most records at once, instead of by doubling. */
#define ROOM 2048

static void put_decision(struct json_writer *w, const struct request *r,
                         const struct binding_env *env, bool whole)
{
    put_head(w, r->decided_at, r->id_text, "decision");
    put_request(w, r, env, whole);
    json_field_string(w, "decision", decision_name(r->decision));
    field_words(w, "approver", r->answer.approver);
    field_words(w, "channel", r->answer.channel);
    field_words(w, "comment", r->answer.comment);
    if (r->answer.remember)
        json_field_bool(w, "remember", true);
    if (r->looks_count > 0) {
        json_key(w, "looks");
        looks_put(r, w);
    }
    json_field_uint(w, "waited_ms", waited_ms(r->waiting_at, r->decided_at));
    json_field_string(w, "executor", r->executor ? r->executor->name : NULL);
    field_redacted(w, "error", r->policy, r->why[0] ? r->why : NULL);
}

void audit_decision(const struct request *r, const struct binding_env *env, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    (void)buf_reserve(out, ROOM);
    put_decision(&w, r, env, true);
    if (!out->failed)
        return;
    buf_clear(out);
    w = (struct json_writer)JSON_WRITER(out);
    put_decision(&w, r, env, false);
}

static void put_status(struct json_writer *w, const struct end *e)
{
    if (e->kind == END_REPLACED || e->kind == END_UNSEEN) {
        json_key(w, "exit_code");
        json_put_null(w);
        json_field_bool(w, "replaced", e->kind == END_REPLACED);
    } else if (e->kind == END_SIGNAL)
        json_field_int(w, "signal", e->value);
    else
        json_field_int(w, "exit_code", e->value);
}

void audit_end(const struct request *r, const struct audit_end *e, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    (void)buf_reserve(out, ROOM / 2);
    put_head(&w, r->ended_at, r->id_text, "end");
    field_redacted(&w, "command", r->policy, r->ask.name);
    json_field_string(&w, "executor", r->executor ? r->executor->name : NULL);
    json_field_bool(&w, "started", r->started_at != 0);
    put_status(&w, &r->end);
    json_field_uint(&w, "duration_ms", e->duration / CLOCK_NS_PER_MS);
    json_field_bool(&w, "timeout_violation", r->timed_out);
    json_field_bool(&w, "caller_gone", r->end.caller_gone);
    field_words(&w, "killed_by", e->killed_by);
    field_redacted(&w, "error", r->policy, e->error && e->error[0] ? e->error : NULL);
}

/* The inside of a stored summary, or nothing when it is not the object that was stored: a record
 * must stay one line of well-formed JSON whatever the index gives back. */
static void put_summary(struct json_writer *w, const char *summary)
{
    static const char *const ours[] = {"time",      "id",       "event",   "decision",
                                       "approver",  "channel",  "comment", "looks",
                                       "waited_ms", "executor", "error"};
    _cleanup_(json_freep) struct json *root = NULL;
    if (!summary || json_parse(summary, strlen(summary), 4000000, &root, NULL) < 0 ||
        !json_is_object(root))
        return;
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (json_get(root, ours[i]))
            return;
    const char *open = strchr(summary, '{'), *close = strrchr(summary, '}');
    const char *inside = open ? open + 1 + strspn(open + 1, " \t\r\n") : NULL;
    if (!inside || !close || close <= inside || memchr(inside, '\n', (size_t)(close - inside)))
        return;
    (void)buf_append_char(w->out, ',');
    (void)buf_append(w->out, inside, (size_t)(close - inside));
}

void audit_withdrawn_row(const struct queue_row *row, uint64_t realtime, const char *why,
                         struct buf *out)
{
    char id[UUID_TEXT_SIZE];
    uuid_format(row->id, id);
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, id, "decision");
    put_summary(&w, row->summary);
    json_field_string(&w, "decision", decision_name(DECISION_WITHDRAWN));
    json_field_uint(&w, "waited_ms", waited_ms(row->waiting_at, realtime));
    field_text(&w, "error", why);
}

void audit_interrupted(const char *id, const char *command, uint64_t realtime, const char *why,
                       struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    put_head(&w, realtime, id, "end");
    field_text(&w, "command", command);
    json_field_string(&w, "decision", decision_name(DECISION_INTERRUPTED));
    field_text(&w, "error", why);
}

void audit_limited(const char *peer, uint64_t n, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    field_time(&w, "time", realtime);
    json_field_string(&w, "event", "limited");
    field_text(&w, "peer", peer);
    json_field_uint(&w, "refusals", n);
}

void audit_policy(const char *digest, const char *name, const char *who, const char *error,
                  uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    field_time(&w, "time", realtime);
    json_field_string(&w, "event", "policy");
    json_field_string(&w, "policy", digest);
    field_text(&w, "file", name);
    field_text(&w, "by", who);
    json_field_string(&w, "result", error ? "refused" : "loaded");
    field_text(&w, "error", error);
}

void audit_halt(const struct audit_halt *h, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    field_time(&w, "time", realtime);
    json_field_string(&w, "event", h->event);
    json_field_string(&w, "scope", h->scope);
    json_field_string(&w, "request", h->request);
    field_text(&w, "container_id", h->container_id);
    field_text(&w, "container", h->container);
    field_words(&w, "by", h->who);
    field_words(&w, "reason", h->why);
    if (h->signal)
        json_field_string(&w, "signal", h->signal);
    if (h->until)
        field_time(&w, "until", h->until);
    if (h->restored)
        json_field_bool(&w, "restored", true);
    if (h->error)
        field_text(&w, "error", h->error);
}

void audit_event(const char *event, const char *words, uint64_t realtime, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    field_time(&w, "time", realtime);
    json_field_string(&w, "event", event);
    field_text(&w, "words", words);
}

static void note_done(void *arg, int result)
{
}

int audit_note(struct audit_log *l, uint64_t realtime, const char *event, const char *words,
               struct err *err)
{
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    audit_event(event, words, realtime, &out);
    return l->append(l, buf_str(&out), out.len, note_done, NULL, err);
}
