/* SPDX-License-Identifier: MIT */
/* Two readings of the same item. For an allow rule everything has to be understood and nothing may
 * work against what the item says. For deny and ask rules it is enough that the command could mean
 * it: when something was not understood, match_loose.c looks at the bare arguments instead. */
#include "policy/match.h"

#include <errno.h>
#include <string.h>

#include "base/path.h"
#include "base/str.h"
#include "policy/glob.h"
#include "policy/match_loose.h"

/* ---- compile ---- */

struct compiler {
    struct pool *pool;
    const struct grammar *g;
    struct match_option *options;
    size_t count;
};

static void put_spelling(struct compiler *c, const char *spelling, const char *value)
{
    size_t n = strlen(spelling);
    bool glob = !glob_is_literal(spelling);
    c->options[c->count++] = (struct match_option){
        .spelling = spelling,
        .value = value,
        .glob = glob,
        .unknown = !glob && !grammar_knows(c->g, spelling, n),
    };
}

static bool knows_letters(const struct grammar *g, const char *letters)
{
    for (; *letters; letters++)
        if (!grammar_knows(g, (char[]){'-', *letters}, 2))
            return false;
    return true;
}

/* An option that is not one of the command that the item names: of any command then, by its
 * spelling; "-fd" is two of them when each letter is known somewhere. */
static void put_unknown(struct compiler *c, const char *text)
{
    size_t n = strcspn(text, "=");
    char *spelling = pool_strndup(c->pool, text, n);
    const char *value = text[n] ? text + n + 1 : NULL;
    bool bundle = text[0] == '-' && text[1] != '-' && n > 2 && glob_is_literal(spelling) &&
                  !grammar_knows(c->g, spelling, n) && knows_letters(c->g, spelling + 1);
    if (!bundle) {
        put_spelling(c, spelling, value);
        return;
    }
    for (const char *p = spelling + 1; *p; p++)
        put_spelling(c, pool_strndup(c->pool, (char[]){'-', *p}, 2), p[1] ? NULL : value);
}

static size_t options_max(const struct tokens *t)
{
    size_t n = t->options.count;
    for (size_t i = 0; i < t->unknown.count; i++)
        n += strlen(t->unknown.at[i].text);
    return n + 1;
}

static void compile_options(struct compiler *c, const struct tokens *t)
{
    c->options = pool_new_array(c->pool, struct match_option, options_max(t));
    for (size_t i = 0; i < t->options.count; i++) {
        const struct token *o = &t->options.at[i];
        if (o->implied)
            continue;
        if (o->negated)
            put_unknown(c, t->args[o->arg]);
        else
            c->options[c->count++] = (struct match_option){
                .option = o->option, .spelling = o->option->spellings[0], .value = o->text};
    }
    for (size_t i = 0; i < t->unknown.count; i++)
        put_unknown(c, t->unknown.at[i].text);
}

static void compile_operands(struct pool *pool, const struct tokens *t, struct match_item *m)
{
    const char **operands = pool_new_array(pool, const char *, t->operands.count + 1);
    for (size_t i = 0; i < t->operands.count; i++) {
        const struct token *o = &t->operands.at[i];
        /* As written: what an operand implies is the request's affair ("push +main"). */
        operands[i] =
            i < t->words || o->attached ? o->text : tokens_same(t->grammar, t->args[o->arg]);
    }
    m->operands = operands;
    m->operands_count = t->operands.count;
}

int match_compile(struct pool *pool, const struct grammar *g, const char *text,
                  struct match_item *ret, struct err *err)
{
    const char *const *words;
    size_t count;
    *ret = (struct match_item){0};
    int r = tokens_split(pool, text, true, &words, &count, err);
    if (r < 0)
        return r;
    if (count == 0)
        return err_set(err, -EINVAL, "an empty item; leave args out to mean any arguments");
    for (size_t i = 0; i < count; i++)
        if (!glob_valid(words[i]))
            return err_set(err, -EINVAL, "a '[' is not closed");
    ret->anything = count == 1 && str_eq(words[0], "*");
    struct tokens t;
    tokens_parse(g, words, count, &t);
    struct compiler c = {.pool = pool, .g = g};
    compile_options(&c, &t);
    compile_operands(pool, &t, ret);
    ret->options = c.options;
    ret->options_count = c.count;
    ret->command = t.words ? t.command : NULL;
    ret->words = t.words;
    tokens_done(&t);
    return 0;
}

/* ---- operands ---- */

const char *match_resolved(const struct match_query *q, const struct token *t)
{
    if (t->attached || (long)t->arg + q->first < 0)
        return NULL;
    size_t arg = (size_t)((long)t->arg + q->first);
    for (size_t i = 0; i < q->paths_count; i++)
        if (q->paths[i].arg == arg)
            return q->paths[i].resolved;
    return NULL;
}

/* "./a//b/" is "a/b"; NULL when that is how it is written. Owned. */
static char *cleaned(const char *text)
{
    if (*text == '/') {
        char *r = path_normalise(text);
        if (r && str_eq(r, text)) {
            free(r);
            return NULL;
        }
        return r;
    }
    if (!strstr(text, "./") && !strstr(text, "//") && !str_ends(text, "/") && !str_ends(text, "."))
        return NULL;
    _cleanup_free_ char *rooted = path_join("/", text);
    _cleanup_free_ char *r = path_normalise(rooted);
    if (!r || str_starts(text, ".."))
        return NULL;
    return r[1] ? strdup(r + 1) : strdup(".");
}

static bool cleaned_matches(const char *glob, const char *text, uint64_t *budget)
{
    _cleanup_free_ char *c = cleaned(text);
    return c && glob_match(glob, c, budget);
}

/* An absolute glob speaks of the file itself: an allow rule trusts only where the path leads. "/" +
 * "*" would be every file then; for deny and ask rules it is what was written. */
static bool operand_matches(const char *glob, const struct token *t, const struct match_query *q)
{
    bool absolute = t->path && glob[0] == '/';
    const char *resolved = absolute ? match_resolved(q, t) : NULL;
    if (absolute && q->allow)
        return resolved && glob_match_path(glob, resolved, q->budget);
    if (glob_match(glob, t->text, q->budget))
        return true;
    if (!t->path)
        return false;
    if (resolved && !str_eq(glob, "/*") && glob_match_path(glob, resolved, q->budget))
        return true;
    return cleaned_matches(glob, t->text, q->budget);
}

/* An allow rule: the operands are the first ones, and each target is one that the item names. */
static bool operands_allowed(const struct match_item *m, const struct match_query *q, size_t from)
{
    const struct token_list *l = &q->tokens->operands;
    bool targets = false;
    for (size_t i = from; i < m->operands_count; i++) {
        if (i >= l->count || !operand_matches(m->operands[i], &l->at[i], q))
            return false;
        targets |= l->at[i].target;
    }
    for (size_t i = m->operands_count; targets && i < l->count; i++) {
        bool named = !l->at[i].target;
        for (size_t k = from; !named && k < m->operands_count; k++)
            named = operand_matches(m->operands[k], &l->at[i], q);
        if (!named)
            return false;
    }
    return true;
}

static bool operands_in_order(const struct match_item *m, const struct match_query *q, size_t mine,
                              size_t theirs)
{
    const struct token_list *l = &q->tokens->operands;
    for (; mine < m->operands_count; mine++, theirs++) {
        while (theirs < l->count && !operand_matches(m->operands[mine], &l->at[theirs], q))
            theirs++;
        if (theirs >= l->count)
            return false;
    }
    return true;
}

/* "remote" is named by "remote add" too. */
static bool command_matches(const struct match_item *m, const struct tokens *t)
{
    for (const struct grammar_command *c = t->command; c; c = c->parent)
        if (c == m->command)
            return true;
    return false;
}

/* ---- options ---- */

static bool is_option(const struct match_option *m, const struct grammar_option *o)
{
    if (m->option)
        return m->option == o || grammar_spelled(o, m->spelling, strlen(m->spelling));
    if (!m->glob)
        return !m->unknown && grammar_spelled(o, m->spelling, strlen(m->spelling));
    for (size_t i = 0; i < o->spellings_count; i++)
        if (glob_match(m->spelling, o->spellings[i], NULL))
            return true;
    return false;
}

static bool value_matches(const struct match_option *m, const struct token *t, uint64_t *budget)
{
    return !m->value || (t->text && glob_match(m->value, t->text, budget));
}

/* An allow rule: given with this value every time, and never taken back. */
static bool option_allowed(const struct match_option *m, const struct match_query *q)
{
    const struct token_list *l = &q->tokens->options;
    bool found = false;
    for (size_t i = 0; i < l->count; i++) {
        const struct token *t = &l->at[i];
        if (!is_option(m, t->option))
            continue;
        if (t->negated || !value_matches(m, t, q->budget))
            return false;
        found |= !t->implied;
    }
    return found;
}

static bool option_given(const struct match_option *m, const struct match_query *q)
{
    const struct token_list *l = &q->tokens->options;
    for (size_t i = 0; i < l->count; i++)
        if (!l->at[i].negated && is_option(m, l->at[i].option) &&
            value_matches(m, &l->at[i], q->budget))
            return true;
    return false;
}

/* An option that is in no grammar counts as understood when it is written exactly as the item has
 * it. */
static bool unknown_written(const struct match_option *m, const char *arg)
{
    size_t n = strlen(m->spelling);
    if (!m->unknown || strncmp(m->spelling, arg, n) != 0)
        return false;
    return m->value ? arg[n] == '=' && glob_match(m->value, arg + n + 1, NULL) : !arg[n];
}

static bool unknown_named(const struct match_item *m, const struct match_query *q)
{
    const struct token_list *l = &q->tokens->unknown;
    for (size_t i = 0; i < l->count; i++) {
        bool named = false;
        for (size_t k = 0; k < m->options_count && !named; k++)
            named = unknown_written(&m->options[k], l->at[i].text);
        if (!named)
            return false;
    }
    return true;
}

static bool unknown_given(const struct match_option *m, const struct match_query *q)
{
    const struct token_list *l = &q->tokens->unknown;
    for (size_t i = 0; i < l->count; i++)
        if (unknown_written(m, l->at[i].text))
            return true;
    return false;
}

/* Options like git -c: the item has to name them, unless their value is a known harmless one. */
static bool careful_named(const struct match_item *m, const struct match_query *q)
{
    const struct token_list *l = &q->tokens->options;
    for (size_t i = 0; i < l->count; i++) {
        const struct token *t = &l->at[i];
        if (!t->option->careful || t->negated ||
            (t->text && glob_match_any(t->option->safe, t->option->safe_count, t->text, q->budget)))
            continue;
        bool named = false;
        for (size_t k = 0; k < m->options_count && !named; k++)
            named = is_option(&m->options[k], t->option);
        if (!named)
            return false;
    }
    return true;
}

/* ---- the item ---- */

static bool item_allowed(const struct match_item *m, const struct match_query *q)
{
    const struct tokens *t = q->tokens;
    if (m->command && !command_matches(m, t))
        return false;
    if (t->doubt || !unknown_named(m, q))
        return false;
    for (size_t i = 0; i < m->options_count; i++)
        if (m->options[i].unknown ? !unknown_given(&m->options[i], q)
                                  : !option_allowed(&m->options[i], q))
            return false;
    return careful_named(m, q) && operands_allowed(m, q, m->words);
}

static bool item_meant(const struct match_item *m, const struct match_query *q)
{
    const struct tokens *t = q->tokens;
    if (m->command && !command_matches(m, t))
        return false;
    for (size_t i = 0; i < m->options_count; i++)
        if (!option_given(&m->options[i], q))
            return false;
    return operands_in_order(m, q, m->words, m->command ? m->words : 0);
}

bool match_item(const struct match_item *m, const struct match_query *q)
{
    if (m->anything)
        return true;
    if (q->allow)
        return item_allowed(m, q);
    return item_meant(m, q) || (tokens_uncertain(q->tokens) && match_loose(m, q));
}
