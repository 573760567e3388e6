/* SPDX-License-Identifier: MIT */
/* clawrden doctor --attack: harmless attempts to get past a gate and its walls, from the inside.
 * The prize is a canary: a harmless command that the policy forbids. An attempt counts as refused
 * only if it really came to the point where it would have won (attack_reach()) and something said
 * no; that nothing happened proves nothing. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/cleanup.h"

/* The whole command: in the governed tree that this process stands in, else in ones that it starts.
 * An enum cli_exit: CLI_REFUSED when something got through. */
int attack(bool json, const char *walls);

/* ---- for the attempts ---- */

enum attack_result {
    ATTACK_UNPROVED, /* it did not come to its point, or nothing tells what happened */
    ATTACK_REFUSED,
    ATTACK_HOLE,
    ATTACK_ABSENT,  /* what it needs is not on this host */
    ATTACK_ALLOWED, /* the policy in force lets it pass, as something harmless showed */
};

#define ATTACK_SAID_MAX 240
#define ATTACK_OUT_MAX 65536

/* Shared with the attempt's process. */
struct attack_trial {
    volatile int result, reached;
    char said[ATTACK_SAID_MAX];
};

struct attack_canary {
    const char *name, *path; /* "dirname", "/usr/bin/dirname" */
    const char *arg;         /* what it is given */
    const char *prize;       /* what it prints when it runs; nothing else prints it */
};

struct attack_try {
    const struct attack_canary *canary;
    const char *twin; /* an allowed program whose path has the same length as the canary's */
    const char *dir;  /* an empty directory that may be written; where the attempt stands */
    struct attack_trial *trial;
};

/* Where a prisoner finds its warden. */
#define ATTACK_DOOR "/var/run/clawrden/warden.sock"

struct attack_row {
    const char *name, *what; /* "path-dots", "by a path with dots" */
    void (*run)(struct attack_try *t);
    bool namespaces_only; /* Landlock alone does not promise it */
    bool not_debuggers;   /* --allow-debuggers does not promise it */
    bool not_entry;       /* a container's entry point does not: its files are its own */
};

/* One list a file; each ends with a row without a name. */
extern const struct attack_row attack_paths[], attack_tools[], attack_kernel[], attack_gate[],
    attack_ways[];

/* Right before the decisive step. */
void attack_reach(struct attack_try *t);
/* What came of it; the first hole stays. */
void attack_say(struct attack_try *t, enum attack_result result, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* For a system call that must fail: a hole when `r` >= 0, refused with errno's words otherwise. */
void attack_must_fail(struct attack_try *t, long r, const char *what);

/* Runs the canary's argv by `path` (execve) with `env` (NULL: ours): the usual attempt. */
void attack_exec(struct attack_try *t, const char *path, char *const *env);
/* Runs any command line; judged by its output as above. */
void attack_command(struct attack_try *t, const char *const *argv, char *const *env);
/* The same without a verdict: its output (NUL-terminated) and wait status; -1 when it was killed
 * after ten seconds. `enter` runs in the child, and may exec by itself; NULL: execve of argv[0]. */
struct attack_child {
    const char *const *argv;
    char *const *env;
    void (*enter)(struct attack_try *t, const struct attack_child *c);
    const void *arg;
};
int attack_run(struct attack_try *t, const struct attack_child *c, char out[ATTACK_OUT_MAX]);
/* The verdict on an output: the prize in it is a hole, our words or status 126 a refusal. */
void attack_judge(struct attack_try *t, const char *out, int status);

/* A copy of `from` at `to` that may be executed. False with a verdict of ATTACK_ABSENT. */
bool attack_copy(struct attack_try *t, const char *from, const char *to);
bool attack_write(struct attack_try *t, const char *path, const char *text, mode_t mode);
