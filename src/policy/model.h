/* SPDX-License-Identifier: MIT */
/* A policy as it is kept: private to this layer. Everything but maps, patterns and item tables is
 * in the pool; nothing changes after policy_parse(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/map.h"
#include "policy/digest.h"
#include "policy/doc.h"
#include "policy/grammar.h"
#include "policy/match.h"
#include "policy/pattern.h"
#include "policy/policy.h"
#include "policy/pool.h"

struct model_strings {
    const char *const *at;
    size_t count;
};

struct model_pair {
    const char *key, *value;
};

struct model_env {
    struct model_strings pass; /* globs */
    const struct model_pair *set;
    size_t set_count;
};

/* The items of one rule, taken apart by one grammar. */
struct model_items {
    const struct grammar *grammar;
    const struct match_item *at; /* as many as the rule has args */
};

struct model_places { /* match.paths_within, match.paths_outside, cwd */
    struct model_strings globs;
    bool given;
};

struct policy_rule {
    size_t index; /* from 0 */
    unsigned line;
    const struct doc_node *node; /* where it stands, for words */
    const char *name;            /* its own, or "rule 7" */
    bool named;
    struct model_strings commands; /* globs */
    struct model_strings args;
    struct model_items *items;
    size_t items_count;
    enum verdict action;
    const char *reason, *instead, *executor;
    uint64_t timeout, approval_timeout; /* ns; 0: the policy's */
    bool record;
    struct pattern *regex; /* owned */
    struct model_places within, outside, cwd;
    const uint64_t *uids;
    size_t uids_count;
    struct model_strings containers;
    struct model_strings below; /* globs on what it descends from; never of an allow rule */
    const struct model_pair *labels;
    size_t labels_count;
    struct model_env env;
    const struct doc_node *examples; /* a mapping, or NULL */
    bool looks_at_paths;
};

/* Numbers of rules, ascending. */
struct model_list {
    uint32_t *at;
    size_t count, size;
};

struct model_sub {
    const struct grammar_command *command; /* of the tool itself: "push" */
    struct model_list rules;
};

/* The rules for one name without a glob. Those whose every item begins with a known subcommand
 * matter only to a command line with that subcommand, or to one that is not understood. */
struct model_index {
    struct model_list always, with_sub;
    struct model_sub *subs; /* owned */
    size_t subs_count;
};

struct policy {
    unsigned refs;
    struct pool *pool;
    struct doc doc;
    char digest[DIGEST_HEX_SIZE];
    char *text; /* in the pool: as it was read */
    size_t text_len;
    const struct grammars *grammars; /* shared by all */
    enum verdict default_action, unknown_executable;
    bool script_is_interpreter; /* unknown_script: as_interpreter */
    unsigned default_action_line, unknown_executable_line, allowed_paths_line;
    uint64_t default_timeout, approval_timeout;
    struct model_strings allowed_paths, trusted_paths;
    const struct policy_jail *jails; /* in the pool */
    size_t jails_count;
    const char *allowed_paths_reason, *allowed_paths_instead, *search_path; /* "A:B" */
    struct model_env env;
    struct pattern **redact; /* owned */
    size_t redact_count;
    struct policy_rule *rules; /* in the pool */
    size_t rules_count;
    struct map *by_name; /* to struct model_index */
    struct model_list globs;
};

/* rule.c */
void rule_index(struct policy *p); /* fills by_name and globs */
void rule_index_free(struct policy *p);
const struct model_items *rule_items(const struct policy_rule *r, const struct grammar *g);
/* The rules for `name` that may match `tokens` (made by the grammar of that name), as up to two
 * lists; returns how many. `tokens` NULL: asks with an answer of -1 for them when they matter. */
int rule_candidates(const struct policy *p, const char *name, const struct tokens *tokens,
                    const struct model_list *ret[2]);
bool rule_names(const struct policy_rule *r, const char *program, uint64_t *budget);
