/* SPDX-License-Identifier: MIT */
/* What is known of a tool's command line: its options and their spellings, which take a value,
 * where the subcommand stands, which operands are paths. Data: share/grammars/NAME.yaml, built in
 * by build-aux/embed.sh; docs/policy.md describes the format. Immutable once loaded. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "base/map.h"
#include "policy/pool.h"

enum grammar_value {
    GRAMMAR_FLAG,     /* no value */
    GRAMMAR_REQUIRED, /* attached, or the next argument */
    GRAMMAR_OPTIONAL, /* attached only */
    GRAMMAR_UNTIL,    /* all arguments up to ";" or "{} +" (find -exec) */
};

enum grammar_operands {
    GRAMMAR_PLAIN,
    GRAMMAR_ANY,     /* of a tool that nothing is known of: each may be a path */
    GRAMMAR_PATHS,   /* names of files */
    GRAMMAR_TARGETS, /* what the command acts on (URLs, packages): an allow rule names each */
};

struct grammar_option {
    size_t id;                    /* from 0, within its grammar */
    const char *const *spellings; /* "-f", "--force" */
    size_t spellings_count;
    enum grammar_value value;
    bool path;     /* its value names a file */
    bool shared;   /* from a group */
    bool moves;    /* other relative paths are taken from there */
    bool operand;  /* its value is an operand like any other (curl --url) */
    bool replaces; /* with it there is no leading operand to skip (chmod --reference) */
    bool careful;  /* changes what the program does: an allow rule with args has to name it */
    bool number;   /* the spelling -NUM: -1, -20 */
    const char *const *safe; /* values with which `careful` does not hold; globs */
    size_t safe_count;
    const struct grammar_option *implies; /* is given as well; or NULL */
    const char *implies_value;
};

/* An operand that means an option: git push origin +main is --force. */
struct grammar_implied {
    const char *operand; /* glob */
    const struct grammar_option *option;
    const char *without; /* prefix to take off, "" for none */
};

struct grammar_spelling {
    const char *text;
    const struct grammar_option *option;
};

struct grammar_command {
    const char *name; /* "" for the tool itself */
    const char *const *aliases;
    size_t aliases_count;
    const char *const *loose; /* further names when a command line is not understood */
    size_t loose_count;
    struct grammar_command *parent; /* NULL for the tool itself */
    struct grammar_command *is;     /* the same as that one ("docker container rm" is "rm") */
    const struct grammar_option *shorts[128];
    struct grammar_spelling *longs; /* sorted; every spelling but "-x" */
    size_t longs_count;
    const struct grammar_option *number;
    struct grammar_command **commands;
    size_t commands_count;
    enum grammar_operands operands;
    size_t skip;  /* leading operands that are no paths or targets */
    bool cwd;     /* without an operand it works on the working directory */
    bool permute; /* options may follow operands */
    const struct grammar_implied *implied;
    size_t implied_count;
};

struct grammar {
    const char *name;
    const char *const *names; /* the programs that it is for */
    size_t names_count;
    struct grammar_command root;
    struct grammar_command **all; /* each command, root first */
    size_t all_count;
    size_t options_count; /* one more than the highest id */
    bool anywhere;        /* the tool's own options may stand behind the subcommand */
    bool negatable;       /* --no-X takes --X back */
    bool short_equals;    /* -e=value is -e value */
    bool command_prefix;  /* subcommands may be shortened */
    bool bool_values;     /* a flag may be followed by "true" or "false" */
    bool dashed;          /* "git-push" is "git push" */
    bool multicall;       /* acts by the name it is called by (busybox) */
    bool runs;            /* the first operand behind `runs_skip` begins another command (env) */
    size_t runs_skip;
    bool words;                     /* some spelling does not begin with '-' */
    const char *const *const *same; /* lists of operands that mean the same, the first is used */
    size_t same_count;
};

struct grammars;

/* The built-in grammars: read once, then shared and never freed; any thread. Failure: a broken
 * build, with words. */
int grammar_all(const struct grammars **ret, struct err *err) MUST_CHECK;
/* One grammar from text; for tests and fuzzing. */
int grammar_load(struct pool *pool, const char *text, size_t len, const char *name,
                 struct grammar **ret, struct err *err) MUST_CHECK;

/* The grammar of a program, or that of a tool of which nothing is known; never NULL. */
const struct grammar *grammar_find(const struct grammars *g, const char *program);
const struct grammar *grammar_unknown(const struct grammars *g);
size_t grammar_count(const struct grammars *g); /* with the unknown one, the last */
const struct grammar *grammar_at(const struct grammars *g, size_t i);

/* Lookups; NULL when there is none. */
const struct grammar_option *grammar_long(const struct grammar_command *c, const char *s, size_t n);
const struct grammar_option *grammar_short(const struct grammar_command *c, char letter);
struct grammar_command *grammar_command(const struct grammar_command *c, const char *word);
bool grammar_command_prefix(const struct grammar_command *c, const char *word);
bool grammar_spelled(const struct grammar_option *o, const char *spelling, size_t n);
bool grammar_knows(const struct grammar *g, const char *spelling, size_t n); /* in any command */
