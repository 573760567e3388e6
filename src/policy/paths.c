/* SPDX-License-Identifier: MIT */
/* Which arguments name files, for the helper to resolve and for rules to look at. */
#include <string.h>

#include "base/str.h"
#include "policy/eval.h"

/* May hold a path that nobody took apart: --target=/etc, -t../x, of a tool or an option that is
 * not known. */
static bool may_hold_path(const char *option)
{
    return strpbrk(option, "/=") || strstr(option, "..");
}

static bool each_token(const struct eval *e, const struct eval_call *c, const struct token_list *l,
                       eval_path_fn *each, void *arg)
{
    const struct match_query q = {.paths = e ? e->request->paths : NULL,
                                  .paths_count = e ? e->request->paths_count : 0,
                                  .first = c->first};
    for (size_t i = 0; i < l->count; i++)
        if (l->at[i].path && !each(arg, &l->at[i], match_resolved(&q, &l->at[i])))
            return false;
    return true;
}

bool eval_paths(const struct eval *e, struct eval_call *c, eval_path_fn *each, void *arg)
{
    const struct tokens *t = eval_tokens(c);
    bool any = false;
    for (size_t i = t->words; i < t->operands.count && !any; i++)
        any = t->operands.at[i].path;
    if (!any && t->command && t->command->cwd && !each(arg, NULL, e ? e->request->cwd : NULL))
        return false;
    for (size_t i = 0; i < t->unknown.count; i++)
        if (may_hold_path(t->unknown.at[i].text) && !each(arg, NULL, NULL))
            return false;
    return each_token(e, c, &t->options, each, arg) && each_token(e, c, &t->operands, each, arg);
}

/* ---- for the helper ---- */

struct collector {
    long first;
    size_t *ret, max, count;
};

static bool collect(void *arg, const struct token *t, const char *resolved)
{
    struct collector *c = arg;
    (void)resolved;
    if (!t || t->attached || (long)t->arg + c->first < 0)
        return true;
    if (c->count < c->max)
        c->ret[c->count] = (size_t)((long)t->arg + c->first);
    c->count++;
    return true;
}

static bool rule_wants(const struct policy_rule *r, const struct eval *e, size_t call)
{
    if (!r->looks_at_paths)
        return false;
    for (size_t i = 0; i < e->names_count; i++)
        if (e->names[i].call == call && rule_names(r, e->names[i].name, NULL))
            return true;
    return false;
}

static bool wanted(const struct policy *p, const struct eval *e, size_t call)
{
    for (size_t i = 0; i < p->rules_count; i++)
        if (rule_wants(&p->rules[i], e, call))
            return true;
    return false;
}

static int by_number(const void *a, const void *b)
{
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

size_t policy_path_operands(const struct policy *p, const char *command, const char *const *argv,
                            size_t argc, size_t *ret, size_t max)
{
    const struct policy_request q = {
        .command = command, .argv = argv, .argc = argc, .program = {.trust = PROGRAM_NOT_FOUND}};
    struct eval e;
    eval_begin(&e, p, &q);
    struct collector c = {.ret = ret, .max = max};
    for (size_t i = 0; i < e.calls_count; i++) {
        c.first = e.calls[i].first;
        if (wanted(p, &e, i))
            (void)eval_paths(NULL, &e.calls[i], collect, &c);
    }
    eval_done(&e);
    if (c.count > max)
        return c.count;
    /* Several readings of one command line may name the same argument. */
    qsort(ret, c.count, sizeof(*ret), by_number);
    size_t n = 0;
    for (size_t i = 0; i < c.count; i++)
        if (n == 0 || ret[n - 1] != ret[i])
            ret[n++] = ret[i];
    return n;
}
