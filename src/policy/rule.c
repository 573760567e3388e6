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

static void index_command(struct policy *p, const char *command, uint32_t rule)
{
    if (!glob_is_literal(command) || strchr(command, '/')) { /* paths are not looked up by name */
        append(&p->globs, rule);
        return;
    }
    struct model_list *l = map_get(p->by_name, command);
    if (!l) {
        l = mem_new(struct model_list);
        (void)map_put(p->by_name, command, l);
    }
    append(l, rule);
}

void rule_index(struct policy *p)
{
    p->by_name = map_new();
    for (size_t i = 0; i < p->rules_count; i++)
        for (size_t k = 0; k < p->rules[i].commands.count; k++)
            index_command(p, p->rules[i].commands.at[k], (uint32_t)i);
}

void rule_index_free(struct policy *p)
{
    void *value;
    const char *key;
    for (size_t i = 0; p->by_name && map_next(p->by_name, &i, &key, &value);) {
        struct model_list *l = value;
        free(l->at);
        free(l);
    }
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
