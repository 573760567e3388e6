/* SPDX-License-Identifier: MIT */
/* Which names a command has, and which arguments belong to each: what it is, what it is called,
 * and what it starts (env, busybox). */
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/eval.h"

/* ---- calls ---- */

static size_t find_call(struct eval *e, struct eval_call call)
{
    for (size_t i = 0; i < e->calls_count; i++)
        if (e->calls[i].grammar == call.grammar && e->calls[i].args == call.args)
            return i;
    if (e->calls_count == EVAL_CALLS_MAX) {
        e->unknown = true;
        return 0;
    }
    e->calls[e->calls_count] = call;
    return e->calls_count++;
}

/* git acts by the name it is called by: "git-push x" is "git push x". */
static bool is_dashed(const struct eval *e, const struct grammar *g)
{
    size_t n = strlen(g->name);
    return g->dashed && str_starts(e->called, g->name) && e->called[n] == '-' && e->called[n + 1];
}

static const char *const *dashed_args(struct eval *e, const struct grammar *g)
{
    const struct policy_request *q = e->request;
    if (!e->dashed) {
        e->dashed = mem_new_array(const char *, q->argc + 1);
        e->dashed[0] = e->called + strlen(g->name) + 1;
        for (size_t i = 1; i < q->argc; i++)
            e->dashed[i] = q->argv[i];
    }
    return e->dashed;
}

static size_t call_for(struct eval *e, const char *name)
{
    const struct policy_request *q = e->request;
    const struct grammar *g = grammar_find(e->policy->grammars, name);
    if (is_dashed(e, g))
        return find_call(
            e, (struct eval_call){.grammar = g, .args = dashed_args(e, g), .argc = q->argc});
    return find_call(e, (struct eval_call){.grammar = g,
                                           .args = q->argc ? q->argv + 1 : q->argv,
                                           .argc = q->argc ? q->argc - 1 : 0,
                                           .first = 1});
}

/* ---- names ---- */

static void put(struct eval *e, struct eval_name name)
{
    for (size_t i = 0; i < e->names_count; i++) {
        struct eval_name *n = &e->names[i];
        if (n->call == name.call && n->path == name.path && str_eq(n->name, name.name)) {
            n->identity |= name.identity;
            return;
        }
    }
    if (e->names_count == EVAL_NAMES_MAX) {
        e->unknown = true;
        return;
    }
    if (e->names_count == e->names_size) {
        e->names_size = e->names_size ? 2 * e->names_size : 8;
        e->names = mem_realloc_array(e->names, e->names_size, sizeof(*e->names));
    }
    e->names[e->names_count++] = name;
}

static bool has_name(const struct policy_program *g, const char *name)
{
    for (size_t i = 0; i < g->names_count; i++)
        if (str_eq(g->names[i], name))
            return true;
    return false;
}

/* The installer keeps a tool whose place the shim has taken as NAME.original: NAME, or NULL. */
static const char *unlocked(struct eval *e, const char *name)
{
    static const char suffix[] = ".original";
    size_t n = strlen(name), m = sizeof(suffix) - 1;
    if (n <= m || name[n - m - 1] == '/' || !str_eq(name + n - m, suffix))
        return NULL;
    if (e->unlocked_count == EVAL_UNLOCKED_MAX) {
        e->unknown = true;
        return NULL;
    }
    return e->unlocked[e->unlocked_count++] = mem_strndup(name, n - m);
}

static void put_name(struct eval *e, const char *name, bool identity)
{
    if (!*name)
        return;
    put(e, (struct eval_name){.name = name, .call = call_for(e, name), .identity = identity});
    /* Whoever calls the kept one by its new name still means the tool. */
    const char *tool = unlocked(e, name);
    if (tool)
        put(e, (struct eval_name){.name = tool, .call = call_for(e, tool)});
}

static void put_path(struct eval *e, const char *path, bool identity)
{
    const char *base = str_basename(path), *tool = unlocked(e, path);
    put(e, (struct eval_name){
               .name = path, .call = call_for(e, base), .identity = identity, .path = true});
    if (tool) {
        bool same = identity && has_name(&e->request->program, str_basename(tool));
        put(e, (struct eval_name){.name = tool,
                                  .call = call_for(e, str_basename(tool)),
                                  .identity = same,
                                  .path = true});
    }
    put_name(e, base, false);
}

/* busybox is what it is called; by its own name it is nothing but busybox. Called by a name that
 * the trusted path does not know it could be anything: no allow rule matches, deny rules all. */
static void put_multicall(struct eval *e, const struct policy_program *g)
{
    const char *own = str_basename(g->path);
    if (str_eq(e->called, own) || has_name(g, e->called)) {
        put_name(e, e->called, !e->unknown);
        return;
    }
    for (size_t i = 0; i < g->names_count; i++)
        put_name(e, g->names[i], false);
}

static void put_program(struct eval *e)
{
    const struct policy_program *g = &e->request->program;
    if (g->trust == PROGRAM_NOT_FOUND) {
        put_name(e, str_basename(e->request->command), true);
        return;
    }
    if (!g->path)
        return;
    bool multicall = grammar_find(e->policy->grammars, str_basename(g->path))->multicall;
    put_path(e, g->path, !e->unknown && !multicall);
    if (multicall) {
        put_multicall(e, g);
        return;
    }
    for (size_t i = 0; i < g->names_count; i++)
        put_name(e, g->names[i], !e->unknown);
}

static void put_claims(struct eval *e)
{
    const struct policy_request *q = e->request;
    put_name(e, str_basename(q->command), false);
    if (strchr(q->command, '/'))
        put_path(e, q->command, false);
    put_name(e, e->called, false);
    if (q->argc)
        put_name(e, str_basename(q->argv[0]), false);
    if (q->program.script)
        put_path(e, q->program.script, false);
    if (q->program.interpreter && e->unknown)
        put_path(e, q->program.interpreter, false);
    const char *dash = strchr(e->called, '-');
    if (!dash)
        return;
    for (size_t i = 0; i < grammar_count(e->policy->grammars); i++) {
        const struct grammar *g = grammar_at(e->policy->grammars, i);
        if (is_dashed(e, g))
            put_name(e, g->name, false);
    }
}

/* What env, sudo, busybox start counts for deny and ask rules as if it were called itself. */
static void put_started(struct eval *e, size_t call, size_t operand)
{
    struct eval_call *c = &e->calls[call];
    size_t arg = c->tokens.operands.at[operand].arg;
    const char *name = str_basename(c->args[arg]);
    if (!*name)
        return;
    struct eval_call inner = {.grammar = grammar_find(e->policy->grammars, name),
                              .args = c->args + arg + 1,
                              .argc = c->argc - arg - 1,
                              .first = c->first + (long)arg + 1,
                              .nesting = c->nesting + 1};
    put(e, (struct eval_name){.name = name, .call = find_call(e, inner)});
    const char *tool = unlocked(e, name);
    if (!tool)
        return;
    inner.grammar = grammar_find(e->policy->grammars, tool);
    put(e, (struct eval_name){.name = tool, .call = find_call(e, inner)});
}

static void put_nested(struct eval *e)
{
    for (size_t i = 0; i < e->calls_count; i++) {
        const struct grammar *g = e->calls[i].grammar;
        if (!g->runs || e->calls[i].nesting >= EVAL_NESTING_MAX)
            continue;
        const struct tokens *t = eval_tokens(&e->calls[i]);
        size_t at = 0, tries = tokens_uncertain(t) ? 4 : 1;
        while (at < t->operands.count && strchr(t->operands.at[at].text, '='))
            at++; /* NAME=value */
        at += g->runs_skip;
        for (; tries > 0 && at < t->operands.count; at++, tries--)
            put_started(e, i, at);
    }
}

static bool program_unknown(const struct policy *p, const struct policy_program *g)
{
    if (g->script && g->script_trust != PROGRAM_TRUSTED && !p->script_is_interpreter)
        return true;
    if (g->trust == PROGRAM_TRUSTED)
        return !g->path;
    return g->trust != PROGRAM_NOT_FOUND;
}

void eval_begin(struct eval *e, const struct policy *p, const struct policy_request *q)
{
    e->policy = p;
    e->request = q;
    e->names = NULL;
    e->names_count = e->names_size = e->calls_count = 0;
    e->dashed = NULL;
    e->unlocked_count = 0;
    e->budget = EVAL_BUDGET;
    e->unknown = program_unknown(p, &q->program);
    e->called = str_basename(q->argc ? q->argv[0] : q->command);
    if (e->called[0] == '-' && e->called[1])
        e->called++;
    put_program(e);
    put_claims(e);
    put_nested(e);
}

void eval_done(struct eval *e)
{
    for (size_t i = 0; i < e->calls_count; i++) {
        if (e->calls[i].parsed)
            tokens_done(&e->calls[i].tokens);
        buf_done(&e->calls[i].canonical);
    }
    for (size_t i = 0; i < e->unlocked_count; i++)
        free(e->unlocked[i]);
    free(e->names);
    free(e->dashed);
}

const struct tokens *eval_tokens(struct eval_call *c)
{
    if (!c->parsed)
        tokens_parse(c->grammar, c->args, c->argc, &c->tokens);
    c->parsed = true;
    return &c->tokens;
}
