/* SPDX-License-Identifier: MIT */
/* From text to a policy, in pieces: the file's own keys (parse.c), those of a rule (parse_rule.c),
 * and the examples, which are tried when all the rest is read (examples.c). */
#pragma once

#include "policy/model.h"

struct parse {
    struct policy *p;
    struct policy_rule *r; /* the rule that is being read */
    const struct doc_node *rules;
};

int parse_action(struct parse *s, const struct doc_node *n, const char *what, enum verdict *ret,
                 struct err *err);
int parse_strings(struct parse *s, const struct doc_node *n, const char *what,
                  struct model_strings *ret, struct err *err);
int parse_globs(struct parse *s, const struct doc_node *n, const char *what,
                struct model_strings *ret, struct err *err);
int parse_env(struct parse *s, const struct doc_node *n, struct model_env *ret, struct err *err);
int parse_pairs(struct parse *s, const struct doc_node *n, const char *what,
                const struct model_pair **ret, size_t *ret_count, struct err *err);
int parse_jails(struct parse *s, const struct doc_node *n, struct err *err); /* parse_jails.c */
int parse_rules(struct parse *s, struct err *err);                           /* parse_rule.c */
int examples_check(struct policy *p, struct err *err);                       /* examples.c */
bool env_is_name(const char *s, size_t n);                                   /* env.c */
