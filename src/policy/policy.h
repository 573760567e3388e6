/* SPDX-License-Identifier: MIT */
/* The policy: text in, verdict out. Pure: no clock, no I/O, no log; the same text and the same
 * request give the same verdict, so enforcement, `policy explain`, the dashboard and back-tests
 * call the same functions. Immutable after policy_parse(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"

struct policy;
struct policy_rule;

enum verdict { VERDICT_DENY, VERDICT_ASK, VERDICT_ALLOW }; /* zero is the safe one */
const char *verdict_name(enum verdict v);                  /* "deny", "ask", "allow" */

#define POLICY_TEXT_MAX (256u << 10) /* bytes of YAML */
#define POLICY_DIGEST_SIZE 65        /* hex SHA-256 of the text, NUL */

/* ---- facts: what a door, with the helper, found out about one command ---- */

enum program_trust {
    PROGRAM_UNKNOWN,   /* the agent could have made or changed it, or it could not be told */
    PROGRAM_NOT_FOUND, /* no such program on the trusted path */
    PROGRAM_TRUSTED,   /* nothing on its way is writable by the agent */
};

struct policy_program {
    enum program_trust trust;
    const char *path;  /* real path, symlinks resolved; NULL when not found */
    uint64_t dev, ino; /* of `path` */
    /* Names for which the trusted search path leads to this very dev:inode ("sh", "dash"). Allow
     * rules look at these only. */
    const char *const *names;
    size_t names_count;
    const char *script; /* real path of the script that an interpreter will read, or NULL */
    enum program_trust script_trust;
    const char *interpreter; /* real path, when `path` or `script` is a script; or NULL */
    const char *digest; /* hex SHA-256 of the program's or script's content, or NULL: not read */
    const char *why_unknown; /* words for people, or NULL */
};

/* An operand that the tool's grammar says is a path, resolved in the caller's own root with
 * symlinks (the last component need not exist). */
struct policy_path {
    size_t arg;           /* index in argv */
    const char *resolved; /* absolute; NULL: could not be resolved, then it is outside everything */
};

struct policy_label {
    const char *key, *value;
};

/* All borrowed for the time of the call. Strings are NUL-terminated bytes in any encoding. */
struct policy_request {
    const char *command;     /* the name it was called by: base name, or what a v1 client sent */
    const char *const *argv; /* argv[0] included */
    size_t argc;
    const char *const *env; /* "NAME=value" */
    size_t envc;
    const char *cwd; /* resolved; NULL: unknown, then no allow rule with paths matches */
    uint32_t uid, gid;
    const char *container; /* name, or NULL on the host */
    const struct policy_label *labels;
    size_t labels_count;
    struct policy_program program;
    const struct policy_path *paths;
    size_t paths_count;
    const char *const
        *above; /* under a gate: names of the trusted programs that it descends from */
    size_t above_count;
};

/* ---- verdict ---- */

struct policy_decision {
    enum verdict verdict;
    const struct policy_rule *rule; /* NULL: a default decided; borrowed from the policy */
    const char *rule_name;     /* its name, "rule 7", "default_action", "unknown_executable" ... */
    unsigned line;             /* in the policy's text, from 1; 0 when no line decided */
    const char *reason;        /* for the agent and the reviewer, or NULL; borrowed */
    const char *instead;       /* what to do instead, or NULL */
    const char *executor;      /* "local", "mirror", "ghost", or NULL: the door's default */
    uint64_t timeout;          /* ns the command may run; 0 never happens */
    uint64_t approval_timeout; /* ns a person has to answer */
    bool own_timeout;          /* a rule set `timeout`; false: it is the policy's default */
    bool record;               /* streams are recorded */
};

/* Parses and checks all of it. On failure `err` has "FILE:LINE:COLUMN: what is wrong; what to do".
 * `name` is the file's name for such messages, copied. -EINVAL, -E2BIG. */
int policy_parse(const char *text, size_t len, const char *name, struct policy **ret,
                 struct err *err) MUST_CHECK;
struct policy *policy_ref(struct policy *p);
struct policy *policy_unref(struct policy *p);
CLEANUP_DEFINE(struct policy, policy_unref)

const char *policy_digest(const struct policy *p); /* hex SHA-256 of the text: its version */
const char *policy_name(const struct policy *p);
const char *policy_source(const struct policy *p, size_t *ret_len); /* as it was given */
size_t policy_rules_count(const struct policy *p);
/* `trusted_paths`: the search path for programs, where identities come from, and for uid 0 (who can
 * write everywhere) the only places outside of the system's that are trusted. NULL-terminated.
 * Default: /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin. */
const char *const *policy_search_path(const struct policy *p);
/* What needs no approver, engine, ...: true when some rule names this executor. */
bool policy_uses_executor(const struct policy *p, const char *executor);

/* Indices of argv that name paths by the tool's grammar, for the helper to resolve; at most `max`,
 * returns how many there are in all (more than max: the caller resolves none, which is outside
 * everything). Returns 0 when no rule looks at paths. */
size_t policy_path_operands(const struct policy *p, const char *command, const char *const *argv,
                            size_t argc, size_t *ret, size_t max);

/* Never fails: what cannot be decided is denied. */
void policy_judge(const struct policy *p, const struct policy_request *q,
                  struct policy_decision *ret);

/* The environment that passes under a decision: built from nothing by the allow-list; PATH is the
 * policy's search path. Appends "NAME=value\0"... to `env`, names only ("NAME\0"...) to `passed`
 * and `dropped`. 0 or -EMSGSIZE. */
int policy_environment(const struct policy *p, const struct policy_decision *d,
                       const struct policy_request *q, struct buf *env, size_t *ret_envc,
                       struct buf *passed, struct buf *dropped);

/* The same for a program that keeps its process and its environment: all passes but what would load
 * code into it, configure its interpreter or, for git, name what it works with; of these only what
 * the policy spells out in `env`. */
int policy_environment_in_place(const struct policy *p, const struct policy_decision *d,
                                const struct policy_request *q, struct buf *env, size_t *ret_envc,
                                struct buf *passed, struct buf *dropped) MUST_CHECK;

/* True when an argument or text is matched by `redact`; appends the text with each match replaced
 * by "[redacted:<8 hex of its SHA-256>]". Records, metrics and chat get this form. False: `out` is
 * as it was. */
bool policy_redact(const struct policy *p, const char *text, size_t len, struct buf *out);

/* Why: members of an open JSON object, the first of them "verdict". */
void policy_explain_put(struct json_writer *w, const struct policy *p,
                        const struct policy_request *q);
/* The same as an object of its own: the JSON of `clawrden policy explain`. 0 or -EMSGSIZE. */
int policy_explain_json(const struct policy *p, const struct policy_request *q, struct buf *out);
/* The same for people. */
int policy_explain_text(const struct policy *p, const struct policy_request *q, struct buf *out);

/* One line per rule for listings: name, line, action, command. i < policy_rules_count(). */
struct policy_rule_info {
    const char *name; /* "rule 3" when it has none */
    unsigned line;
    const char *command;
    enum verdict action;
    const char *reason;
};
void policy_rule_info(const struct policy *p, size_t i, struct policy_rule_info *ret);

/* ---- jails: folders of command names that lead to the shim ---- */

#define POLICY_JAILS_MAX 256
#define POLICY_JAIL_COMMANDS_MAX 256
struct policy_jail {
    const char *name; /* unique in the policy; jailname_check() */
    const char *const *commands;
    size_t commands_count;
    const char *const *containers; /* globs on names: any of them */
    size_t containers_count;
    const struct policy_label *labels; /* all of them; values are globs */
    size_t labels_count;
    bool hardened; /* the shim is mounted over the tools of these containers */
    unsigned line;
};
size_t policy_jails_count(const struct policy *p);
/* Borrowed from the policy. */
const struct policy_jail *policy_jail(const struct policy *p, size_t i);
