/* SPDX-License-Identifier: MIT */
/* Looks at the bare arguments, and errs towards yes: an abbreviation counts, a letter within a
 * bundle counts, any argument may be an operand. */
#include "policy/match_loose.h"

#include <string.h>

#include "base/str.h"
#include "policy/glob.h"

/* ---- options ---- */

/* "--forc" and "-forc" may be --force; `n` is the length up to '='. */
static bool could_be_long(const char *spelling, const char *arg, size_t n)
{
    const char *s = spelling + strspn(spelling, "-"), *a = arg + strspn(arg, "-");
    if ((size_t)(a - arg) >= n)
        return false;
    return strncmp(s, a, n - (size_t)(a - arg)) == 0;
}

/* The place behind the letter in a bundle, NULL when it is not there. */
static const char *behind_letter(const char *arg, char letter)
{
    if (arg[0] != '-' || arg[1] == '-')
        return NULL;
    const char *at = strchr(arg + 1, letter);
    return at ? at + 1 : NULL;
}

static bool value_could_be(const char *glob, const char *attached, const char *next,
                           uint64_t *budget)
{
    if (!glob)
        return true;
    if (attached && (glob_match(glob, attached, budget) ||
                     (*attached == '=' && glob_match(glob, attached + 1, budget))))
        return true;
    return next && glob_match(glob, next, budget);
}

static bool spelling_could_be(const char *spelling, const char *value, const char *arg,
                              const char *next, uint64_t *budget)
{
    if (str_eq(spelling, arg))
        return value_could_be(value, NULL, next, budget);
    if (arg[0] != '-' || !arg[1])
        return false;
    if (spelling[0] == '-' && spelling[1] && spelling[1] != '-' && !spelling[2]) {
        const char *rest = behind_letter(arg, spelling[1]);
        return rest && value_could_be(value, rest, next, budget);
    }
    size_t n = strcspn(arg, "=");
    return could_be_long(spelling, arg, n) &&
           value_could_be(value, arg[n] ? arg + n : NULL, next, budget);
}

/* "-rf" of an unknown tool: the same word, or each of its letters somewhere. */
static bool letters_could_be(const struct match_option *o, const struct match_query *q)
{
    const struct tokens *t = q->tokens;
    const char *s = o->spelling;
    if (!o->unknown || o->value || s[0] != '-' || s[1] == '-' || !s[1])
        return false;
    for (const char *p = s + 1; *p; p++) {
        bool found = false;
        for (size_t i = 0; i < t->argc && !found; i++)
            found = behind_letter(t->args[i], *p) != NULL;
        if (!found)
            return false;
    }
    return true;
}

static bool argument_could_be(const struct match_option *o, const char *arg, const char *next,
                              uint64_t *budget)
{
    if (o->glob) {
        size_t n = strcspn(arg, "=");
        return glob_match_n(o->spelling, arg, n, budget) &&
               value_could_be(o->value, arg[n] ? arg + n : NULL, next, budget);
    }
    if (spelling_could_be(o->spelling, o->value, arg, next, budget))
        return true;
    for (size_t i = 0; o->option && i < o->option->spellings_count; i++)
        if (spelling_could_be(o->option->spellings[i], o->value, arg, next, budget))
            return true;
    return false;
}

static bool option_could_be(const struct match_option *o, const struct match_query *q)
{
    const struct tokens *t = q->tokens;
    for (size_t i = 0; i < t->options.count; i++) { /* what is implied is not written anywhere */
        const struct token *k = &t->options.at[i];
        if (k->implied && (o->option == k->option ||
                           grammar_spelled(k->option, o->spelling, strlen(o->spelling))))
            return true;
    }
    for (size_t i = 0; i < t->argc; i++) {
        if (*q->budget == 0)
            return true;
        (*q->budget)--;
        if (argument_could_be(o, t->args[i], i + 1 < t->argc ? t->args[i + 1] : NULL, q->budget))
            return true;
    }
    return letters_could_be(o, q);
}

/* ---- operands ---- */

static bool names_command(const struct grammar *g, const struct grammar_command *c,
                          const char *text)
{
    if (str_eq(c->name, text) || (g->command_prefix && *text && str_starts(c->name, text)))
        return true;
    for (size_t i = 0; i < c->aliases_count; i++)
        if (str_eq(c->aliases[i], text) ||
            (g->command_prefix && *text && str_starts(c->aliases[i], text)))
            return true;
    for (size_t i = 0; i < c->loose_count; i++)
        if (str_eq(c->loose[i], text))
            return true;
    return false;
}

/* The command that word `i` of the item names: its parents stand before it. */
static const struct grammar_command *word_command(const struct match_item *m, size_t i)
{
    const struct grammar_command *c = m->command;
    for (size_t up = m->words; c && up > i + 1; up--)
        c = c->parent;
    return c;
}

static bool text_could_be(const struct match_item *m, size_t i, const char *text,
                          const struct match_query *q)
{
    if (i < m->words) {
        const struct grammar_command *c = word_command(m, i);
        return c && names_command(q->tokens->grammar, c, text);
    }
    return glob_match(m->operands[i], tokens_same(q->tokens->grammar, text), q->budget);
}

/* How argument `arg` was resolved, when it was taken for a path. */
static const char *resolved_as(const struct match_query *q, size_t arg)
{
    return match_resolved(q, &(struct token){.arg = arg});
}

static bool operand_could_be(const struct match_item *m, size_t i, size_t arg,
                             const struct match_query *q)
{
    const char *text = q->tokens->args[arg];
    if (text_could_be(m, i, text, q))
        return true;
    if (text[0] == '-') {
        const char *value = strchr(text, '=');
        return value && text_could_be(m, i, value + 1, q);
    }
    const char *resolved = resolved_as(q, arg);
    return i >= m->words && resolved && !str_eq(m->operands[i], "/*") &&
           glob_match_path(m->operands[i], resolved, q->budget);
}

static bool operands_could_be(const struct match_item *m, const struct match_query *q)
{
    size_t arg = 0;
    for (size_t i = 0; i < m->operands_count; i++, arg++) {
        while (arg < q->tokens->argc && !operand_could_be(m, i, arg, q)) {
            if (*q->budget == 0)
                return true;
            (*q->budget)--;
            arg++;
        }
        if (arg >= q->tokens->argc)
            return false;
    }
    return true;
}

bool match_loose(const struct match_item *m, const struct match_query *q)
{
    for (size_t i = 0; i < m->options_count; i++)
        if (!option_could_be(&m->options[i], q))
            return false;
    return operands_could_be(m, q);
}
