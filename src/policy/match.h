/* SPDX-License-Identifier: MIT */
/* An item of `args` against an argument vector. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/policy.h"
#include "policy/tokens.h"

struct match_option {
    const struct grammar_option *option; /* NULL: by its spelling, in whatever command */
    const char *spelling;                /* as the policy has it, without a value */
    const char *value;                   /* glob, or NULL: any */
    bool glob;                           /* the spelling is one */
    bool unknown;                        /* the grammar has no such spelling */
};

/* One item, taken apart by one grammar. */
struct match_item {
    bool anything;                         /* "*" */
    const struct grammar_command *command; /* named by its first words; NULL: none that is known */
    size_t words;
    const char *const *operands; /* globs */
    size_t operands_count;
    const struct match_option *options;
    size_t options_count;
};

/* What is asked. `tokens` were made by the grammar of the item. */
struct match_query {
    const struct tokens *tokens;
    bool allow; /* for an allow rule: doubt means no; otherwise doubt means yes */
    const struct policy_path *paths; /* resolved operands; their `arg` counts in argv */
    size_t paths_count;
    long first; /* argv index of tokens->args[0]; may be below 0 */
    uint64_t *budget;
};

int match_compile(struct pool *pool, const struct grammar *g, const char *text,
                  struct match_item *ret, struct err *err) MUST_CHECK;
bool match_item(const struct match_item *m, const struct match_query *q);

/* The resolved form of what argument `arg` of the tokens names, or NULL. */
const char *match_resolved(const struct match_query *q, const struct token *t);
