/* SPDX-License-Identifier: MIT */
/* The verdict. First match wins; what cannot be decided is denied. An allow rule matches what a
 * program is, a deny or ask rule also what it is called; doubt counts against an allow rule and for
 * the others. */
#include "policy/eval.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "policy/glob.h"

#define EVAL_LISTS_MAX 32

const char *verdict_name(enum verdict v)
{
    switch (v) {
    case VERDICT_DENY:
        return "deny";
    case VERDICT_ASK:
        return "ask";
    case VERDICT_ALLOW:
        return "allow";
    }
    return "deny";
}

const char *eval_why_text(enum eval_why w)
{
    switch (w) {
    case EVAL_MATCH:
        return "matches";
    case EVAL_NAME:
        return "is for another command";
    case EVAL_IDENTITY:
        return "the program is only called so, it is not the one of that name";
    case EVAL_UNKNOWN:
        return "the program could have been changed by the agent, only deny rules apply";
    case EVAL_ARGS:
        return "no item of args matches";
    case EVAL_REGEX:
        return "match.regex does not match";
    case EVAL_WITHIN:
        return "not every path is within match.paths_within";
    case EVAL_OUTSIDE:
        return "no path is outside match.paths_outside";
    case EVAL_CWD:
        return "the working directory is another";
    case EVAL_BELOW:
        return "is for what other programs start";
    case EVAL_UID:
        return "is for other users";
    case EVAL_CONTAINER:
        return "is for other containers";
    case EVAL_LABELS:
        return "the labels differ";
    }
    return "does not match";
}

/* ---- what the command line says ---- */

static bool args_match(struct eval *e, const struct policy_rule *r, struct eval_call *c)
{
    if (r->args.count == 0)
        return true;
    bool allow = r->action == VERDICT_ALLOW;
    const struct model_items *items = rule_items(r, c->grammar);
    if (!items)
        return !allow;
    const struct match_query q = {.tokens = eval_tokens(c),
                                  .allow = allow,
                                  .paths = e->request->paths,
                                  .paths_count = e->request->paths_count,
                                  .first = c->first,
                                  .budget = &e->budget};
    for (size_t i = 0; i < r->args.count; i++)
        if (match_item(&items->at[i], &q))
            return true;
    return false;
}

static bool regex_matches(const struct policy_rule *r, struct eval_call *c)
{
    if (!r->regex)
        return true;
    if (!c->joined) {
        buf_init(&c->canonical, PATTERN_SUBJECT_MAX);
        (void)str_shell_quote_argv(&c->canonical, c->args, c->argc);
        c->joined = true;
    }
    size_t start, end;
    int found = c->canonical.failed ? -E2BIG
                                    : pattern_find(r->regex, buf_str(&c->canonical),
                                                   c->canonical.len, 0, &start, &end);
    return found < 0 ? r->action != VERDICT_ALLOW : found == 1;
}

struct places {
    const struct model_strings *globs;
    uint64_t *budget;
    bool allow;
    size_t count, inside, unresolved;
};

static bool in_places(const struct model_strings *globs, const char *path, uint64_t *budget)
{
    for (size_t i = 0; i < globs->count; i++)
        if (glob_match_path(globs->at[i], path, budget))
            return true;
    return false;
}

static bool count_place(void *arg, const struct token *t, const char *resolved)
{
    struct places *p = arg;
    (void)t;
    p->count++;
    if (!resolved)
        p->unresolved++;
    else if (in_places(p->globs, resolved, p->budget))
        p->inside++;
    return true;
}

static struct places count_places(struct eval *e, const struct model_places *m, struct eval_call *c)
{
    struct places p = {.globs = &m->globs, .budget = &e->budget};
    (void)eval_paths(e, c, count_place, &p);
    return p;
}

static bool within_matches(struct eval *e, const struct policy_rule *r, struct eval_call *c)
{
    if (!r->within.given)
        return true;
    struct places p = count_places(e, &r->within, c);
    if (r->action == VERDICT_ALLOW)
        return p.count > 0 && p.inside == p.count && !tokens_uncertain(&c->tokens);
    return p.count > 0 && p.inside + p.unresolved == p.count;
}

static bool outside_matches(struct eval *e, const struct policy_rule *r, struct eval_call *c)
{
    if (!r->outside.given)
        return true;
    struct places p = count_places(e, &r->outside, c);
    size_t outside = p.count - p.inside;
    return r->action == VERDICT_ALLOW ? outside > p.unresolved : outside > 0;
}

static enum eval_why call_why(struct eval *e, const struct policy_rule *r, struct eval_call *c)
{
    if (!args_match(e, r, c))
        return EVAL_ARGS;
    if (!regex_matches(r, c))
        return EVAL_REGEX;
    if (!within_matches(e, r, c))
        return EVAL_WITHIN;
    if (!outside_matches(e, r, c))
        return EVAL_OUTSIDE;
    return EVAL_MATCH;
}

/* ---- who and where ---- */

static bool uid_matches(const struct policy_rule *r, uint32_t uid)
{
    for (size_t i = 0; i < r->uids_count; i++)
        if (r->uids[i] == uid)
            return true;
    return r->uids_count == 0;
}

static bool labels_match(struct eval *e, const struct policy_rule *r)
{
    const struct policy_request *q = e->request;
    for (size_t i = 0; i < r->labels_count; i++) {
        bool found = false;
        for (size_t k = 0; k < q->labels_count && !found; k++)
            found = str_eq(r->labels[i].key, q->labels[k].key) &&
                    glob_match(r->labels[i].value, q->labels[k].value, &e->budget);
        if (!found)
            return false;
    }
    return true;
}

static bool below_matches(struct eval *e, const struct policy_rule *r)
{
    const struct policy_request *q = e->request;
    for (size_t i = 0; i < q->above_count; i++)
        if (glob_match_any(r->below.at, r->below.count, q->above[i], &e->budget))
            return true;
    return r->below.count == 0;
}

static enum eval_why caller_why(struct eval *e, const struct policy_rule *r)
{
    const struct policy_request *q = e->request;
    if (!uid_matches(r, q->uid))
        return EVAL_UID;
    if (r->containers.count &&
        (!q->container ||
         !glob_match_any(r->containers.at, r->containers.count, q->container, &e->budget)))
        return EVAL_CONTAINER;
    if (r->labels_count && !labels_match(e, r))
        return EVAL_LABELS;
    if (!below_matches(e, r))
        return EVAL_BELOW;
    if (r->cwd.given &&
        (q->cwd ? !in_places(&r->cwd.globs, q->cwd, &e->budget) : r->action == VERDICT_ALLOW))
        return EVAL_CWD;
    return EVAL_MATCH;
}

/* ---- one rule ---- */

static bool name_fits(struct eval *e, const struct policy_rule *r, const struct eval_name *n)
{
    for (size_t i = 0; i < r->commands.count; i++) {
        const char *glob = r->commands.at[i];
        if (n->path && !strchr(glob, '/'))
            continue;
        if (glob_match(glob, n->name, &e->budget))
            return true;
    }
    return false;
}

enum eval_why eval_rule(struct eval *e, const struct policy_rule *r)
{
    enum eval_why why = EVAL_NAME;
    for (size_t i = 0; i < e->names_count && why != EVAL_MATCH; i++) {
        const struct eval_name *n = &e->names[i];
        if (!name_fits(e, r, n))
            continue;
        if (e->unknown && r->action != VERDICT_DENY)
            return EVAL_UNKNOWN;
        if (r->action == VERDICT_ALLOW && !n->identity) {
            if (why == EVAL_NAME)
                why = EVAL_IDENTITY;
            continue;
        }
        why = call_why(e, r, &e->calls[n->call]);
    }
    return why == EVAL_MATCH ? caller_why(e, r) : why;
}

/* ---- the rules in order, by the index ---- */

struct candidates {
    const struct model_list *lists[EVAL_LISTS_MAX];
    size_t at[EVAL_LISTS_MAX];
    size_t count;
    bool all; /* too many lists: every rule */
    size_t next;
};

static void candidates_add(struct candidates *c, struct eval *e, const struct eval_name *n)
{
    const struct model_list *lists[2];
    int count = rule_candidates(e->policy, n->name, NULL, lists);
    if (count < 0)
        count = rule_candidates(e->policy, n->name, eval_tokens(&e->calls[n->call]), lists);
    for (int i = 0; i < count; i++) {
        if (c->count == EVAL_LISTS_MAX)
            c->all = true;
        else
            c->lists[c->count++] = lists[i];
    }
}

static void candidates_begin(struct candidates *c, struct eval *e, bool all)
{
    c->count = c->next = 0;
    c->all = all;
    c->lists[c->count++] = &e->policy->globs;
    for (size_t i = 0; i < e->names_count && !c->all; i++)
        if (!e->names[i].path)
            candidates_add(c, e, &e->names[i]);
    memset(c->at, 0, sizeof(c->at));
}

static const struct policy_rule *candidates_next(struct candidates *c, const struct policy *p)
{
    size_t best = c->all ? c->next : SIZE_MAX;
    for (size_t i = 0; i < c->count && !c->all; i++) {
        const struct model_list *l = c->lists[i];
        while (c->at[i] < l->count && l->at[c->at[i]] < c->next)
            c->at[i]++;
        if (c->at[i] < l->count && l->at[c->at[i]] < best)
            best = l->at[c->at[i]];
    }
    if (best >= p->rules_count)
        return NULL;
    c->next = best + 1;
    return &p->rules[best];
}

/* ---- the decision ---- */

static void decide(struct policy_decision *d, enum verdict v, const char *name, unsigned line,
                   const char *reason)
{
    d->verdict = v;
    d->rule_name = name;
    d->line = line;
    d->reason = reason;
}

static void decide_by_rule(struct policy_decision *d, const struct policy_rule *r)
{
    decide(d, r->action, r->name, r->line, r->reason);
    d->rule = r;
    d->instead = r->instead;
    d->executor = r->executor;
    d->record = r->record;
    if (r->timeout) {
        d->timeout = r->timeout;
        d->own_timeout = true;
    }
    if (r->approval_timeout)
        d->approval_timeout = r->approval_timeout;
}

/* An unknown directory is outside, unless everything is inside. */
static bool cwd_allowed(struct eval *e)
{
    const char *cwd = e->request->cwd;
    return in_places(&e->policy->allowed_paths, cwd ? cwd : "/\x01", &e->budget);
}

static bool out_of_budget(const struct eval *e, struct policy_decision *d)
{
    if (e->budget > 0)
        return false;
    *d = (struct policy_decision){.timeout = e->policy->default_timeout,
                                  .approval_timeout = e->policy->approval_timeout};
    decide(d, VERDICT_DENY, "limit", 0, "the command is too large for this policy to judge");
    return true;
}

static void decide_by_default(const struct eval *e, struct policy_decision *d)
{
    const struct policy *p = e->policy;
    if (e->unknown)
        decide(d, p->unknown_executable, "unknown_executable", p->unknown_executable_line,
               "the program, or the script that it runs, could have been made or changed by the "
               "agent");
    else
        decide(d, p->default_action, "default_action", p->default_action_line,
               "no rule of the policy names this command");
}

static void judge(const struct policy *p, const struct policy_request *q, bool linear,
                  struct policy_decision *d)
{
    struct eval e;
    struct candidates c;
    *d = (struct policy_decision){.timeout = p->default_timeout,
                                  .approval_timeout = p->approval_timeout};
    eval_begin(&e, p, q);
    if (!cwd_allowed(&e)) {
        decide(d, VERDICT_DENY, "allowed_paths", p->allowed_paths_line, p->allowed_paths_reason);
        d->instead = p->allowed_paths_instead;
        eval_done(&e);
        return;
    }
    candidates_begin(&c, &e, linear);
    const struct policy_rule *r;
    while ((r = candidates_next(&c, p)) && e.budget > 0 && eval_rule(&e, r) != EVAL_MATCH)
        ;
    if (!out_of_budget(&e, d)) {
        if (r)
            decide_by_rule(d, r);
        else
            decide_by_default(&e, d);
    }
    eval_done(&e);
}

void policy_judge(const struct policy *p, const struct policy_request *q,
                  struct policy_decision *ret)
{
    judge(p, q, false, ret);
}

void eval_judge_linear(const struct policy *p, const struct policy_request *q,
                       struct policy_decision *ret)
{
    judge(p, q, true, ret);
}
