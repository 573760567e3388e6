/* SPDX-License-Identifier: MIT */
/* One request against the rules. policy_judge(), explain and the examples of a policy all go
 * through here. */
#pragma once

#include "policy/model.h"

#define EVAL_BUDGET UINT64_C(20000000) /* steps; about 0.1 s. What needs more is denied. */
#define EVAL_NAMES_MAX 512
#define EVAL_CALLS_MAX 48
#define EVAL_NESTING_MAX 4 /* sudo env nice ... */
#define EVAL_UNLOCKED_MAX 32

/* The arguments as one grammar sees them; taken apart when first asked for. */
struct eval_call {
    const struct grammar *grammar;
    const char *const *args;
    size_t argc;
    long first; /* argv index of args[0] */
    unsigned nesting;
    bool parsed, joined;
    struct tokens tokens;
    struct buf canonical;
};

/* A name that a rule may match. */
struct eval_name {
    const char *name;
    size_t call;
    bool identity; /* what it is; otherwise only what it is called: for deny and ask */
    bool path;     /* a whole path: for globs that contain '/' */
};

struct eval {
    const struct policy *policy;
    const struct policy_request *request;
    const char *called;      /* base name of argv[0], a login shell's '-' taken off */
    struct eval_name *names; /* owned */
    size_t names_count, names_size;
    size_t calls_count;
    const char **dashed;               /* owned: "git-push x" as arguments of git */
    char *unlocked[EVAL_UNLOCKED_MAX]; /* owned: names and paths without ".original" */
    size_t unlocked_count;
    uint64_t budget;
    bool unknown; /* the program is not to be trusted, or there is too much to look at */
    struct eval_call calls[EVAL_CALLS_MAX];
};

enum eval_why {
    EVAL_MATCH,
    EVAL_NAME,
    EVAL_IDENTITY, /* the name fits, but the program is not the one of that name */
    EVAL_UNKNOWN,
    EVAL_ARGS,
    EVAL_REGEX,
    EVAL_WITHIN,
    EVAL_OUTSIDE,
    EVAL_CWD,
    EVAL_UID,
    EVAL_CONTAINER,
    EVAL_LABELS,
    EVAL_BELOW,
};

void eval_begin(struct eval *e, const struct policy *p, const struct policy_request *q);
void eval_done(struct eval *e);
enum eval_why eval_rule(struct eval *e, const struct policy_rule *r);
const char *eval_why_text(enum eval_why w);
/* The same verdict as policy_judge(), rule by rule instead of by the index; for tests. */
void eval_judge_linear(const struct policy *p, const struct policy_request *q,
                       struct policy_decision *ret);

const struct tokens *eval_tokens(struct eval_call *c);
/* Calls `each` for every operand that names a file: `resolved` NULL when that is not known.
 * Ends early when it returns false. `t` is NULL for the working directory and for what may be a
 * path within an option that is not understood. */
typedef bool eval_path_fn(void *arg, const struct token *t, const char *resolved);
bool eval_paths(const struct eval *e, struct eval_call *c, eval_path_fn *each, void *arg);
