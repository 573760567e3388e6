/* SPDX-License-Identifier: MIT */
/* Linear in the bytes of the arguments: a flag is noted once however often it is given. */
#include "policy/tokens.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"

/* What was noted of an option without a value, by its id. */
enum { NOTED_GIVEN = 1, NOTED_NEGATED = 2, NOTED_IMPLIED = 4 };

struct walk {
    struct tokens *t;
    unsigned char *noted; /* one byte for each option of the grammar */
    size_t i;             /* the argument at hand */
    bool selecting;       /* the next operand may name a subcommand */
    bool ended;           /* behind "--", or behind an operand where options end with it */
};

static struct token *put(struct token_list *l, struct token token)
{
    if (l->count == l->size) {
        l->size = l->size ? 2 * l->size : 8;
        l->at = mem_realloc_array(l->at, l->size, sizeof(*l->at));
    }
    l->at[l->count] = token;
    return &l->at[l->count++];
}

static void put_unknown(struct walk *w)
{
    put(&w->t->unknown, (struct token){.text = w->t->args[w->i], .arg = w->i});
}

/* True when this was noted before. */
static bool note(struct walk *w, const struct grammar_option *o, unsigned char what)
{
    bool before = w->noted[o->id] & what;
    w->noted[o->id] |= what;
    return before;
}

static void put_implied(struct walk *w, const struct grammar_option *o, const char *value,
                        size_t arg)
{
    if (!note(w, o, NOTED_IMPLIED))
        put(&w->t->options,
            (struct token){.option = o, .text = value, .arg = arg, .implied = true});
}

/* ---- operands ---- */

const char *tokens_same(const struct grammar *g, const char *text)
{
    for (size_t i = 0; i < g->same_count; i++)
        for (const char *const *s = g->same[i]; *s; s++)
            if (str_eq(*s, text))
                return g->same[i][0];
    return text;
}

static void put_operand(struct walk *w, const char *text, size_t arg, bool attached)
{
    const struct grammar_command *c = w->t->command;
    struct token token = {
        .text = tokens_same(w->t->grammar, text), .arg = arg, .attached = attached};
    for (size_t i = 0; c && i < c->implied_count; i++) {
        const struct grammar_implied *m = &c->implied[i];
        if (!glob_match(m->operand, text, NULL))
            continue;
        put_implied(w, m->option, NULL, arg);
        token.text = text + (str_starts(text, m->without) ? strlen(m->without) : 0);
    }
    put(&w->t->operands, token);
}

/* Follows a subcommand; `is` starts again at the command that it stands for. */
static void select_command(struct walk *w, const struct grammar_command *sub)
{
    struct tokens *t = w->t;
    if (sub->is) {
        sub = sub->is;
        t->operands.count = 0;
    }
    put(&t->operands, (struct token){.text = sub->name, .arg = w->i});
    t->words = t->operands.count;
    t->command = sub;
    w->selecting = sub->commands_count > 0;
}

static void operand(struct walk *w)
{
    struct tokens *t = w->t;
    const char *text = t->args[w->i];
    if (w->selecting) {
        const struct grammar_command *sub = grammar_command(t->command, text);
        if (sub) {
            select_command(w, sub);
            return;
        }
        w->selecting = false;
        if (t->grammar->command_prefix && grammar_command_prefix(t->command, text))
            t->doubt = true;
        if (t->command == &t->grammar->root)
            t->command = NULL;
    }
    if (t->command && !t->command->permute)
        w->ended = true;
    put_operand(w, text, w->i, false);
}

/* ---- options ---- */

static const struct grammar_command *scope_above(const struct tokens *t,
                                                 const struct grammar_command *c)
{
    return t->grammar->anywhere ? c->parent : NULL;
}

static const struct grammar_command *scope_first(const struct tokens *t)
{
    if (t->command)
        return t->command;
    return t->grammar->anywhere ? &t->grammar->root : NULL;
}

static const struct grammar_option *find_long(const struct tokens *t, const char *s, size_t n)
{
    const struct grammar_option *o = NULL;
    for (const struct grammar_command *c = scope_first(t); c && !o; c = scope_above(t, c))
        o = grammar_long(c, s, n);
    return o;
}

static const struct grammar_option *find_short(const struct tokens *t, char letter)
{
    const struct grammar_option *o = NULL;
    for (const struct grammar_command *c = scope_first(t); c && !o; c = scope_above(t, c))
        o = grammar_short(c, letter);
    return o;
}

static bool find_number(const struct tokens *t, const char *arg)
{
    if (strspn(arg + 1, "0123456789") != strlen(arg + 1))
        return false;
    for (const struct grammar_command *c = scope_first(t); c; c = scope_above(t, c))
        if (c->number)
            return true;
    return false;
}

static void put_option(struct walk *w, const struct grammar_option *o, const char *value,
                       size_t arg, bool attached)
{
    if (o->operand && value) {
        put_operand(w, value, arg, attached);
        return;
    }
    if (!value && note(w, o, NOTED_GIVEN))
        return;
    put(&w->t->options, (struct token){.option = o,
                                       .text = value,
                                       .arg = arg,
                                       .attached = attached,
                                       .path = o->path && value});
    if (o->implies)
        put_implied(w, o->implies, o->implies_value, arg);
}

/* Everything up to ";" or "+" behind "{}" belongs to the option; its value is the first word. */
static void take_until(struct walk *w, const struct grammar_option *o)
{
    const struct tokens *t = w->t;
    size_t from = w->i + 1, i = from;
    while (i < t->argc && !str_eq(t->args[i], ";") &&
           !(str_eq(t->args[i], "+") && i > from && str_eq(t->args[i - 1], "{}")))
        i++;
    if (i >= t->argc)
        w->t->doubt = true;
    put_option(w, o, from < t->argc ? t->args[from] : NULL, from < t->argc ? from : w->i, false);
    w->i = i;
}

static void take_next(struct walk *w, const struct grammar_option *o)
{
    const struct tokens *t = w->t;
    if (o->value == GRAMMAR_UNTIL) {
        take_until(w, o);
    } else if (w->i + 1 < t->argc) {
        w->i++;
        put_option(w, o, t->args[w->i], w->i, false);
    } else {
        w->t->doubt = true;
        put_option(w, o, NULL, w->i, false);
    }
}

static bool takes_next(const struct grammar_option *o)
{
    return o->value == GRAMMAR_REQUIRED || o->value == GRAMMAR_UNTIL;
}

static bool take_negation(struct walk *w, const char *name, size_t n)
{
    char positive[128];
    if (!w->t->grammar->negatable || n <= 5 || n >= sizeof(positive) ||
        strncmp(name, "--no-", 5) != 0)
        return false;
    positive[0] = positive[1] = '-';
    memcpy(positive + 2, name + 5, n - 5);
    const struct grammar_option *o = find_long(w->t, positive, n - 3);
    if (!o)
        return false;
    if (!note(w, o, NOTED_NEGATED))
        put(&w->t->options, (struct token){.option = o, .arg = w->i, .negated = true});
    return true;
}

/* npm: --dry-run false is --no-dry-run. Too clever to be followed: noted as not understood. */
static void take_bool_value(struct walk *w)
{
    const struct tokens *t = w->t;
    const char *next = w->i + 1 < t->argc ? t->args[w->i + 1] : "";
    if (!t->grammar->bool_values ||
        !(str_eq(next, "true") || str_eq(next, "false") || str_eq(next, "null")))
        return;
    w->i++;
    put_unknown(w);
}

/* "--name", "--name=value", and single-dash words that the grammar lists ("-delete"). */
static bool take_long(struct walk *w)
{
    const char *arg = w->t->args[w->i];
    size_t n = strcspn(arg, "=");
    const struct grammar_option *o = find_long(w->t, arg, n);
    if (!o)
        return arg[n] == '\0' && take_negation(w, arg, n);
    if (!arg[n]) {
        if (takes_next(o))
            take_next(w, o);
        else
            put_option(w, o, NULL, w->i, false);
        if (!takes_next(o))
            take_bool_value(w);
        return true;
    }
    if (o->value == GRAMMAR_FLAG || o->value == GRAMMAR_UNTIL) {
        put_option(w, o, NULL, w->i, false); /* --dry-run=false: who knows */
        put_unknown(w);
        return true;
    }
    put_option(w, o, arg + n + 1, w->i, true);
    return true;
}

/* "-abc": letters until one takes a value. False: some letter is not known. */
static bool take_shorts(struct walk *w)
{
    struct tokens *t = w->t;
    for (const char *p = t->args[w->i] + 1; *p; p++) {
        const struct grammar_option *o = find_short(t, *p);
        if (!o)
            return false;
        if (o->value == GRAMMAR_FLAG || (o->value == GRAMMAR_OPTIONAL && !p[1])) {
            put_option(w, o, NULL, w->i, false);
            continue;
        }
        if (!p[1])
            take_next(w, o);
        else
            put_option(w, o, p + 1 + (t->grammar->short_equals && p[1] == '='), w->i, true);
        return true;
    }
    return true;
}

static void option(struct walk *w)
{
    const char *arg = w->t->args[w->i];
    if (take_long(w) || (arg[0] == '-' && find_number(w->t, arg)))
        return;
    if (arg[0] != '-' || arg[1] == '-' || !take_shorts(w))
        put_unknown(w);
}

static bool is_option(const struct walk *w, const char *arg)
{
    if (arg[0] == '-')
        return arg[1] != '\0';
    return w->t->grammar->words && find_long(w->t, arg, strlen(arg));
}

/* ---- which operands are paths ---- */

static void mark_operands(struct tokens *t)
{
    const struct grammar_command *c = t->command;
    enum grammar_operands kind = c ? c->operands : GRAMMAR_ANY;
    if (kind == GRAMMAR_PLAIN)
        return;
    size_t skip = t->words + (c ? c->skip : 0);
    for (size_t i = 0; i < t->options.count; i++)
        if (t->options.at[i].option->replaces)
            skip = t->words;
    for (size_t i = skip; i < t->operands.count; i++) {
        t->operands.at[i].path = kind != GRAMMAR_TARGETS;
        t->operands.at[i].target = kind != GRAMMAR_ANY;
    }
}

/* git -C DIR add x: x is relative to DIR, which nobody has resolved. */
static void mark_moved(struct token_list *l)
{
    for (size_t i = 0; i < l->count; i++) {
        struct token *k = &l->at[i];
        if (k->path && k->text[0] != '/' && !(k->option && k->option->moves))
            k->attached = true;
    }
}

static void mark_paths(struct tokens *t)
{
    size_t moves = 0;
    mark_operands(t);
    for (size_t i = 0; i < t->options.count; i++)
        moves += t->options.at[i].option->moves && t->options.at[i].text;
    if (!moves)
        return;
    mark_moved(&t->options);
    mark_moved(&t->operands);
    /* The second one is relative to the first. */
    for (size_t i = 0; moves > 1 && i < t->options.count; i++)
        t->options.at[i].attached |= t->options.at[i].option->moves;
}

void tokens_parse(const struct grammar *g, const char *const *args, size_t argc, struct tokens *ret)
{
    *ret = (struct tokens){.grammar = g, .command = &g->root, .args = args, .argc = argc};
    struct walk w = {.t = ret,
                     .noted = mem_zalloc(g->options_count + 1),
                     .selecting = g->root.commands_count > 0};
    for (; w.i < argc; w.i++) {
        if (w.ended || !is_option(&w, args[w.i]))
            operand(&w);
        else if (str_eq(args[w.i], "--"))
            w.ended = true;
        else
            option(&w);
    }
    free(w.noted);
    mark_paths(ret);
}

void tokens_done(struct tokens *t)
{
    free(t->options.at);
    free(t->operands.at);
    free(t->unknown.at);
    t->options = t->operands = t->unknown = (struct token_list){0};
}
