/* SPDX-License-Identifier: MIT */
/* The keys of a rule. Items of args are taken apart once for each grammar that the rule may meet.
 */
#include "policy/parse.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"

#define PARSE_RULES_MAX 20000
#define PARSE_ITEMS_MAX 200000 /* items times grammars, of all rules: bounds memory */

/* ---- keys ---- */

static int key_name(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    static const char *const taken[] = {"default_action", "unknown_executable", "allowed_paths",
                                        "limit"};
    int r = doc_string(&s->p->doc, n, "name", &s->r->name, err);
    if (r < 0)
        return r;
    s->r->named = true;
    bool bad = !*s->r->name;
    for (size_t i = 0; i < ARRAY_LEN(taken); i++)
        bad |= str_eq(taken[i], s->r->name);
    if (bad || (str_starts(s->r->name, "rule ") && s->r->name[5] >= '0' && s->r->name[5] <= '9'))
        return doc_fail(&s->p->doc, n, err,
                        "name: this one has a meaning of its own, take another");
    return 0;
}

static int key_command(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    int r = parse_globs(s, n, "command", &s->r->commands, err);
    if (r == 0 && s->r->commands.count == 0)
        r = doc_fail(&s->p->doc, n, err, "command: an empty list matches nothing");
    return r;
}

static int key_args(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_strings(s, n, "args", &s->r->args, err);
}

static int key_action(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_action(s, n, "action", &s->r->action, err);
}

static int key_timeout(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_duration(&s->p->doc, n, "timeout", &s->r->timeout, err);
}

static int key_approval_timeout(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_duration(&s->p->doc, n, "approval_timeout", &s->r->approval_timeout, err);
}

static int key_reason(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_string(&s->p->doc, n, "reason", &s->r->reason, err);
}

static int key_instead(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_string(&s->p->doc, n, "instead", &s->r->instead, err);
}

static int key_executor(void *arg, const struct doc_node *n, struct err *err)
{
    static const char *const names[] = {"local", "mirror", "ghost", "inplace", NULL};
    struct parse *s = arg;
    const char *text;
    char shown[96];
    int r = doc_string(&s->p->doc, n, "executor", &text, err);
    if (r < 0)
        return r;
    for (int i = 0; names[i]; i++)
        if (str_eq(names[i], text))
            s->r->executor = names[i];
    if (s->r->executor)
        return 0;
    const char *near = str_nearest(text, names);
    return doc_fail(&s->p->doc, n, err, "unknown executor %s; %s%s%s", doc_show(text, shown),
                    near ? "did you mean '" : "one of local, mirror, ghost, inplace",
                    near ? near : "", near ? "'?" : "");
}

static int key_record(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return doc_bool(&s->p->doc, n, "record", &s->r->record, err);
}

static int key_approvals(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    uint64_t v;
    int r = doc_uint(&s->p->doc, n, "approvals", 1000, &v, err);
    if (r == 0 && v == 0)
        r = doc_fail(&s->p->doc, n, err, "approvals: 0 would be an allow; write action: allow");
    if (r == 0 && v > 1)
        r = doc_fail(&s->p->doc, n, err,
                     "approvals: only 1 is supported by this version; a rule that wants more "
                     "answers is not weakened silently");
    return r;
}

static int key_uid(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    size_t count = n->kind == DOC_LIST ? n->count : 1, i = 0;
    uint64_t *uids = pool_new_array(s->p->pool, uint64_t, count + 1);
    for (const struct doc_node *m = n->kind == DOC_LIST ? n->first : n; m && i < count;
         m = m->next) {
        int r = doc_uint(&s->p->doc, m, "uid", UINT32_MAX - 1, &uids[i++], err);
        if (r < 0)
            return r;
    }
    if (i == 0)
        return doc_fail(&s->p->doc, n, err, "uid: an empty list matches nobody");
    s->r->uids = uids;
    s->r->uids_count = i;
    return 0;
}

static int key_container(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    int r = parse_globs(s, n, "container", &s->r->containers, err);
    if (r == 0 && s->r->containers.count == 0)
        r = doc_fail(&s->p->doc, n, err, "container: an empty list matches none");
    return r;
}

static int key_labels(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    int r = parse_pairs(s, n, "labels", &s->r->labels, &s->r->labels_count, err);
    const struct doc_node *m = n->first;
    for (; r == 0 && m; m = m->next)
        if (!glob_valid(m->text))
            r = doc_fail(&s->p->doc, m, err, "labels: a '[' is not closed");
    return r;
}

static int key_env(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_env(s, n, &s->r->env, err);
}

static int key_examples(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->r->examples = n; /* tried when everything is read */
    return doc_map(&s->p->doc, n, "examples", err);
}

/* ---- places: the word allowed_paths stands for that list ---- */

static int parse_places(struct parse *s, const struct doc_node *n, const char *what,
                        struct model_places *ret, struct err *err)
{
    struct model_strings in;
    int r = parse_globs(s, n, what, &in, err);
    if (r < 0)
        return r;
    const struct model_strings *allowed = &s->p->allowed_paths;
    const char **out = pool_new_array(s->p->pool, const char *, in.count + allowed->count + 1);
    size_t count = 0;
    bool expanded = false;
    for (size_t i = 0; i < in.count; i++) {
        if (!str_eq(in.at[i], "allowed_paths")) {
            out[count++] = in.at[i];
        } else if (!expanded) {
            for (size_t k = 0; k < allowed->count; k++)
                out[count++] = allowed->at[k];
            expanded = true;
        }
    }
    ret->globs = (struct model_strings){out, count};
    ret->given = true;
    return 0;
}

static int key_cwd(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_places(s, n, "cwd", &s->r->cwd, err);
}

static int match_within(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->r->looks_at_paths = true;
    return parse_places(s, n, "match.paths_within", &s->r->within, err);
}

static int match_outside(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    s->r->looks_at_paths = true;
    return parse_places(s, n, "match.paths_outside", &s->r->outside, err);
}

static int match_regex(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    const char *text;
    struct err words;
    int r = doc_string(&s->p->doc, n, "match.regex", &text, err);
    if (r < 0)
        return r;
    s->r->regex = pattern_new(text, false, &words);
    return s->r->regex ? 0 : doc_fail(&s->p->doc, n, err, "match.regex: %s", words.text);
}

static int key_match(void *arg, const struct doc_node *n, struct err *err)
{
    static const struct doc_key keys[] = {{"regex", match_regex},
                                          {"paths_within", match_within},
                                          {"paths_outside", match_outside},
                                          {NULL, NULL}};
    struct parse *s = arg;
    return doc_decode(&s->p->doc, n, keys, s, "match", err);
}

static int key_below(void *arg, const struct doc_node *n, struct err *err)
{
    struct parse *s = arg;
    return parse_globs(s, n, "below", &s->r->below, err);
}

static const struct doc_key rule_keys[] = {
    {"name", key_name},
    {"command", key_command},
    {"args", key_args},
    {"action", key_action},
    {"timeout", key_timeout},
    {"reason", key_reason},
    {"instead", key_instead},
    {"executor", key_executor},
    {"match", key_match},
    {"cwd", key_cwd},
    {"uid", key_uid},
    {"container", key_container},
    {"labels", key_labels},
    {"below", key_below},
    {"env", key_env},
    {"record", key_record},
    {"approvals", key_approvals},
    {"approval_timeout", key_approval_timeout},
    {"examples", key_examples},
    {NULL, NULL},
};

/* ---- items ---- */

static bool concerns(const struct policy_rule *r, const struct grammar *g)
{
    for (size_t i = 0; i < r->commands.count; i++) {
        if (strchr(r->commands.at[i], '/'))
            return true;
        for (size_t k = 0; k < g->names_count; k++)
            if (glob_match(r->commands.at[i], g->names[k], NULL))
                return true;
    }
    return g->names_count == 0; /* the unknown tool's */
}

static int compile_items(struct parse *s, const struct grammar *g, const struct doc_node *args,
                         struct err *err)
{
    struct policy_rule *r = s->r;
    struct err words;
    struct match_item *items = pool_new_array(s->p->pool, struct match_item, r->args.count);
    const struct doc_node *m = args->kind == DOC_LIST ? args->first : args;
    for (size_t i = 0; i < r->args.count; i++, m = m->next) {
        if (match_compile(s->p->pool, g, r->args.at[i], &items[i], &words) < 0)
            return doc_fail(&s->p->doc, m, err, "args: %s", words.text);
        for (size_t k = 0; k < items[i].operands_count; k++)
            r->looks_at_paths |= items[i].operands[k][0] == '/';
    }
    r->items = mem_realloc_array(r->items, r->items_count + 1, sizeof(*r->items));
    r->items[r->items_count++] = (struct model_items){g, items};
    return 0;
}

static int compile_rule(struct parse *s, const struct doc_node *n, size_t *items, struct err *err)
{
    const struct doc_node *args = doc_get(n, "args");
    if (s->r->args.count == 0)
        return 0;
    for (size_t i = 0; i < grammar_count(s->p->grammars); i++) {
        const struct grammar *g = grammar_at(s->p->grammars, i);
        if (!concerns(s->r, g))
            continue;
        *items += s->r->args.count;
        if (*items > PARSE_ITEMS_MAX)
            return doc_fail(&s->p->doc, args, err, "args: too many items in this policy");
        int r = compile_items(s, g, args, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- rules ---- */

static int read_rule(struct parse *s, const struct doc_node *n, size_t *items, struct err *err)
{
    struct policy_rule *r = s->r;
    r->line = n->line;
    r->node = n;
    r->name = pool_printf(s->p->pool, "rule %zu", r->index + 1);
    int e = doc_decode(&s->p->doc, n, rule_keys, s, "a rule", err);
    if (e < 0)
        return e;
    if (r->commands.count == 0)
        return doc_fail(&s->p->doc, n, err, "a rule without command; '*' means every command");
    if (!doc_get(n, "action"))
        return doc_fail(&s->p->doc, n, err, "a rule without action; one of allow, ask, deny");
    if (r->below.count && r->action == VERDICT_ALLOW)
        return doc_fail(&s->p->doc, doc_get(n, "below"), err,
                        "below: an allow rule cannot rest on what a program descends from, which "
                        "the agent arranges");
    return compile_rule(s, n, items, err);
}

static int note_name(struct parse *s, struct map *names, struct err *err)
{
    struct policy_rule *r = s->r;
    if (!r->named)
        return 0;
    const struct policy_rule *other = map_put(names, r->name, r);
    char shown[96];
    if (!other)
        return 0;
    return doc_fail(&s->p->doc, doc_get(r->node, "name"), err,
                    "the rule in line %u has the name %s already", other->line,
                    doc_show(r->name, shown));
}

int parse_rules(struct parse *s, struct err *err)
{
    struct policy *p = s->p;
    if (s->rules->count > PARSE_RULES_MAX)
        return doc_fail(&p->doc, s->rules, err, "more than %d rules", PARSE_RULES_MAX);
    _cleanup_(map_freep) struct map *names = map_new();
    size_t items = 0;
    p->rules = pool_new_array(p->pool, struct policy_rule, s->rules->count + 1);
    for (const struct doc_node *n = s->rules->first; n; n = n->next) {
        s->r = &p->rules[p->rules_count];
        s->r->index = p->rules_count++;
        int r = read_rule(s, n, &items, err);
        if (r == 0)
            r = note_name(s, names, err);
        if (r < 0)
            return r;
    }
    return 0;
}
