/* SPDX-License-Identifier: MIT */
/* Which rules may concern a program: by name without looking at all of them. */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"
#include "policy/model.h"

static void append(struct model_list *l, uint32_t rule)
{
    if (l->count && l->at[l->count - 1] == rule)
        return;
    if (l->count == l->size) {
        l->size = l->size ? 2 * l->size : 4;
        l->at = mem_realloc_array(l->at, l->size, sizeof(*l->at));
    }
    l->at[l->count++] = rule;
}

/* "remote add" stands under "remote". */
static const struct grammar_command *top_command(const struct grammar_command *c)
{
    while (c && c->parent && c->parent->parent)
        c = c->parent;
    return c && c->parent ? c : NULL;
}

static struct model_sub *find_sub(const struct model_index *x, const struct grammar_command *c)
{
    for (size_t i = 0; i < x->subs_count; i++)
        if (x->subs[i].command == c)
            return &x->subs[i];
    return NULL;
}

static void append_sub(struct model_index *x, const struct grammar_command *c, uint32_t rule)
{
    struct model_sub *sub = find_sub(x, c);
    if (!sub) {
        x->subs = mem_realloc_array(x->subs, x->subs_count + 1, sizeof(*x->subs));
        sub = &x->subs[x->subs_count++];
        *sub = (struct model_sub){.command = c};
    }
    append(&sub->rules, rule);
}

static bool each_has_sub(const struct policy_rule *r, const struct model_items *items)
{
    for (size_t i = 0; items && i < r->args.count; i++)
        if (!top_command(items->at[i].command))
            return false;
    return items && r->args.count > 0;
}

static void index_rule(struct policy *p, const char *name, struct model_index *x, uint32_t rule)
{
    const struct policy_rule *r = &p->rules[rule];
    const struct model_items *items = rule_items(r, grammar_find(p->grammars, name));
    if (!each_has_sub(r, items)) {
        append(&x->always, rule);
        return;
    }
    append(&x->with_sub, rule);
    for (size_t i = 0; i < r->args.count; i++)
        append_sub(x, top_command(items->at[i].command), rule);
}

static void index_command(struct policy *p, const char *command, uint32_t rule)
{
    if (!glob_is_literal(command) || strchr(command, '/')) { /* paths are not looked up by name */
        append(&p->globs, rule);
        return;
    }
    struct model_index *x = map_get(p->by_name, command);
    if (!x) {
        x = mem_new(struct model_index);
        (void)map_put(p->by_name, command, x);
    }
    index_rule(p, command, x, rule);
}

void rule_index(struct policy *p)
{
    p->by_name = map_new();
    for (size_t i = 0; i < p->rules_count; i++)
        for (size_t k = 0; k < p->rules[i].commands.count; k++)
            index_command(p, p->rules[i].commands.at[k], (uint32_t)i);
}

int rule_candidates(const struct policy *p, const char *name, const struct tokens *tokens,
                    const struct model_list *ret[2])
{
    const struct model_index *x = map_get(p->by_name, name);
    int n = 0;
    if (!x)
        return 0;
    if (x->with_sub.count && !tokens)
        return -1;
    if (x->always.count)
        ret[n++] = &x->always;
    if (!x->with_sub.count)
        return n;
    const struct grammar_command *top = top_command(tokens->command);
    const struct model_sub *sub = top ? find_sub(x, top) : NULL;
    if (tokens_uncertain(tokens))
        ret[n++] = &x->with_sub;
    else if (sub)
        ret[n++] = &sub->rules;
    return n;
}

static void index_free(struct model_index *x)
{
    for (size_t i = 0; i < x->subs_count; i++)
        free(x->subs[i].rules.at);
    free(x->subs);
    free(x->always.at);
    free(x->with_sub.at);
    free(x);
}

void rule_index_free(struct policy *p)
{
    void *value;
    const char *key;
    for (size_t i = 0; p->by_name && map_next(p->by_name, &i, &key, &value);)
        index_free(value);
    p->by_name = map_free(p->by_name);
    free(p->globs.at);
    p->globs = (struct model_list){0};
}

const struct model_items *rule_items(const struct policy_rule *r, const struct grammar *g)
{
    for (size_t i = 0; i < r->items_count; i++)
        if (r->items[i].grammar == g)
            return &r->items[i];
    return NULL;
}

bool rule_names(const struct policy_rule *r, const char *program, uint64_t *budget)
{
    return glob_match_any(r->commands.at, r->commands.count, program, budget);
}
