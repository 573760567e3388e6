/* SPDX-License-Identifier: MIT */
/* An argument vector taken apart by a grammar: options with their values, operands, and what was
 * not understood. And shell words: how lines in a policy become arguments. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/grammar.h"
#include "policy/pool.h"

struct token {
    const struct grammar_option *option; /* NULL: an operand, or an option that is not known */
    const char *text; /* operand; value of an option, NULL when it has none; unknown: all of it */
    size_t arg;       /* index in `args` of the text (of the option when there is none) */
    bool negated;     /* --no-X */
    bool implied;     /* not written, but meant by what is */
    bool attached;    /* the text is not that whole argument, or is relative to elsewhere */
    bool path;        /* the text names a file */
    bool target;
};

struct token_list {
    struct token *at;
    size_t count, size;
};

struct tokens {
    const struct grammar *grammar;
    const struct grammar_command *command; /* the deepest that was named; NULL: not a known one */
    const char *const *args;               /* borrowed */
    size_t argc;
    struct token_list options, operands, unknown;
    size_t words; /* leading operands that named the command, by their first spelling */
    bool doubt;   /* a value is missing, or a subcommand is shortened */
};

/* Something was not understood, so nothing may be concluded from absence. */
static inline bool tokens_uncertain(const struct tokens *t)
{
    return t->doubt || t->unknown.count > 0;
}

void tokens_parse(const struct grammar *g, const char *const *args, size_t argc,
                  struct tokens *ret);
void tokens_done(struct tokens *t);
/* The first of the operands that mean the same ("0777" is "777"), or `text`. */
const char *tokens_same(const struct grammar *g, const char *text);

/* Splits a line like a shell does: blanks, '...', "...", backslash; nothing is expanded. With
 * `patterns`, what was quoted is literal for glob_match(): its special bytes get a backslash.
 * -EINVAL with words: an open quote, a lone backslash at the end. */
int tokens_split(struct pool *pool, const char *line, bool patterns, const char *const **ret,
                 size_t *ret_count, struct err *err) MUST_CHECK;
