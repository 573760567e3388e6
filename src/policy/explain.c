/* SPDX-License-Identifier: MIT */
/* Why a verdict is what it is: the same functions that judge, asked for each earlier rule. */
#include <string.h>

#include "base/json.h"
#include "base/str.h"
#include "policy/eval.h"

#define EXPLAIN_NAMES_MAX (1u << 20)

struct explained {
    const struct policy *p;
    const struct policy_request *q;
    struct policy_decision d;
    struct buf env, passed, dropped;
};

static void explain_begin(struct explained *x, const struct policy *p,
                          const struct policy_request *q)
{
    size_t envc;
    x->p = p;
    x->q = q;
    buf_init(&x->env, EXPLAIN_NAMES_MAX);
    buf_init(&x->passed, EXPLAIN_NAMES_MAX);
    buf_init(&x->dropped, EXPLAIN_NAMES_MAX);
    policy_judge(p, q, &x->d);
    (void)policy_environment(p, &x->d, q, &x->env, &envc, &x->passed, &x->dropped);
}

static void explain_done(struct explained *x)
{
    buf_done(&x->env);
    buf_done(&x->passed);
    buf_done(&x->dropped);
}

/* How many rules were looked at without a match. */
static size_t earlier_count(const struct explained *x)
{
    if (x->d.rule)
        return x->d.rule->index;
    /* Before the rules: the directory. */
    return str_eq(x->d.rule_name, "allowed_paths") ? 0 : x->p->rules_count;
}

static const char *trust_name(enum program_trust t)
{
    switch (t) {
    case PROGRAM_UNKNOWN:
        return "unknown";
    case PROGRAM_NOT_FOUND:
        return "not found";
    case PROGRAM_TRUSTED:
        return "trusted";
    }
    return "unknown";
}

/* ---- JSON ---- */

static void json_strings(struct json_writer *w, const char *key, const char *const *list, size_t n)
{
    json_key(w, key);
    json_array_begin(w);
    for (size_t i = 0; i < n; i++)
        json_put_string(w, list[i]);
    json_array_end(w);
}

static void json_names(struct json_writer *w, const char *key, const struct buf *names)
{
    json_key(w, key);
    json_array_begin(w);
    for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1)
        json_put_string(w, names->data + at);
    json_array_end(w);
}

static void json_duration(struct json_writer *w, const char *key, uint64_t ns)
{
    char text[48];
    json_field_string(w, key, str_format_duration(ns, text));
}

static void json_decision(struct json_writer *w, const struct explained *x)
{
    const struct policy_decision *d = &x->d;
    json_field_string(w, "verdict", verdict_name(d->verdict));
    json_field_string(w, "rule", d->rule_name);
    json_field_uint(w, "line", d->line);
    json_field_string(w, "reason", d->reason);
    json_field_string(w, "instead", d->instead);
    json_duration(w, "timeout", d->timeout);
    json_duration(w, "approval_timeout", d->approval_timeout);
    json_field_string(w, "executor", d->executor);
    json_field_bool(w, "record", d->record);
}

static void json_program(struct json_writer *w, const struct policy_program *g)
{
    json_key(w, "program");
    json_object_begin(w);
    json_field_string(w, "trust", trust_name(g->trust));
    json_field_string(w, "path", g->path);
    json_strings(w, "names", g->names, g->names_count);
    json_field_string(w, "script", g->script);
    json_field_string(w, "interpreter", g->interpreter);
    json_field_string(w, "digest", g->digest);
    json_field_string(w, "why_unknown", g->why_unknown);
    json_object_end(w);
}

static void json_request(struct json_writer *w, const struct explained *x)
{
    const struct policy_request *q = x->q;
    json_field_string(w, "command", q->command);
    json_strings(w, "argv", q->argv, q->argc);
    json_field_string(w, "cwd", q->cwd);
    json_field_uint(w, "uid", q->uid);
    json_field_string(w, "container", q->container);
    json_program(w, &q->program);
    json_key(w, "paths");
    json_array_begin(w);
    for (size_t i = 0; i < q->paths_count; i++) {
        json_object_begin(w);
        json_field_uint(w, "arg", q->paths[i].arg);
        json_field_string(w, "resolved", q->paths[i].resolved);
        json_object_end(w);
    }
    json_array_end(w);
}

static void json_earlier(struct json_writer *w, const struct explained *x)
{
    struct eval e;
    eval_begin(&e, x->p, x->q);
    json_key(w, "earlier");
    json_array_begin(w);
    for (size_t i = 0; i < earlier_count(x); i++) {
        const struct policy_rule *r = &x->p->rules[i];
        json_object_begin(w);
        json_field_string(w, "rule", r->name);
        json_field_uint(w, "line", r->line);
        json_field_string(w, "action", verdict_name(r->action));
        json_field_string(w, "why_not", eval_why_text(eval_rule(&e, r)));
        json_object_end(w);
    }
    json_array_end(w);
    eval_done(&e);
}

void policy_explain_put(struct json_writer *w, const struct policy *p,
                        const struct policy_request *q)
{
    struct explained x;
    explain_begin(&x, p, q);
    json_decision(w, &x);
    json_key(w, "environment");
    json_object_begin(w);
    json_names(w, "passed", &x.passed);
    json_names(w, "dropped", &x.dropped);
    json_object_end(w);
    json_request(w, &x);
    json_earlier(w, &x);
    json_key(w, "policy");
    json_object_begin(w);
    json_field_string(w, "name", policy_name(p));
    json_field_string(w, "version", policy_digest(p));
    json_object_end(w);
    explain_done(&x);
}

int policy_explain_json(const struct policy *p, const struct policy_request *q, struct buf *out)
{
    struct json_writer w = JSON_WRITER(out);
    json_object_begin(&w);
    policy_explain_put(&w, p, q);
    json_object_end(&w);
    return out->failed;
}

/* ---- text ---- */

static void text_line(struct buf *out, const char *label, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(out, "%-13s", label);
    (void)str_escape(out, value, strlen(value));
    (void)buf_append_char(out, '\n');
}

static void text_names(struct buf *out, const char *label, const struct buf *names)
{
    if (!names->len)
        return;
    (void)buf_printf(out, "%-12s", label);
    for (size_t at = 0; at < names->len; at += strlen(names->data + at) + 1) {
        (void)buf_append_char(out, ' ');
        (void)str_escape(out, names->data + at, strlen(names->data + at));
    }
    (void)buf_append_char(out, '\n');
}

static void text_decision(struct buf *out, const struct explained *x)
{
    const struct policy_decision *d = &x->d;
    char text[48];
    (void)buf_append_str(out, verdict_name(d->verdict));
    (void)buf_append_str(out, ": ");
    (void)str_shell_quote_argv(out, x->q->argv, x->q->argc);
    (void)buf_append_str(out, "\n");
    (void)buf_printf(out, "%-13s", "rule");
    (void)str_escape(out, d->rule_name, strlen(d->rule_name));
    if (d->line) {
        (void)buf_append_str(out, " (");
        (void)str_escape(out, policy_name(x->p), strlen(policy_name(x->p)));
        (void)buf_printf(out, ":%u)", d->line);
    }
    (void)buf_append_char(out, '\n');
    text_line(out, "reason", d->reason);
    text_line(out, "instead", d->instead);
    text_line(out, "timeout", str_format_duration(d->timeout, text));
    if (d->verdict == VERDICT_ASK)
        text_line(out, "answer in", str_format_duration(d->approval_timeout, text));
    text_line(out, "executor", d->executor ? d->executor : "by the door");
}

static void text_program(struct buf *out, const struct policy_program *g)
{
    (void)buf_printf(out, "%-13s%s", "program", trust_name(g->trust));
    if (g->path) {
        (void)buf_append_str(out, ", ");
        (void)str_escape(out, g->path, strlen(g->path));
    }
    (void)buf_append_char(out, '\n');
    text_line(out, "script", g->script);
    text_line(out, "not trusted", g->why_unknown);
}

static void text_earlier(struct buf *out, const struct explained *x)
{
    struct eval e;
    size_t others = 0;
    eval_begin(&e, x->p, x->q);
    for (size_t i = 0; i < earlier_count(x); i++) {
        const struct policy_rule *r = &x->p->rules[i];
        enum eval_why why = eval_rule(&e, r);
        if (why == EVAL_NAME) {
            others++;
            continue;
        }
        (void)buf_append_str(out, "not ");
        (void)str_escape(out, r->name, strlen(r->name));
        (void)buf_printf(out, " (line %u, %s): %s\n", r->line, verdict_name(r->action),
                         eval_why_text(why));
    }
    if (others)
        (void)buf_printf(out, "%zu earlier rule%s for other commands\n", others,
                         others == 1 ? " is" : "s are");
    eval_done(&e);
}

int policy_explain_text(const struct policy *p, const struct policy_request *q, struct buf *out)
{
    struct explained x;
    explain_begin(&x, p, q);
    text_decision(out, &x);
    text_program(out, &q->program);
    text_line(out, "directory", q->cwd);
    text_names(out, "environment", &x.passed);
    text_names(out, "dropped", &x.dropped);
    text_earlier(out, &x);
    explain_done(&x);
    return out->failed;
}
