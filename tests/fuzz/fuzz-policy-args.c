/* SPDX-License-Identifier: MIT */
/* An argument vector against rules for every kind of tool. The first byte chooses the tool, the
 * rest are arguments that end with NUL. What the index finds is what a walk over all rules finds,
 * and a word that is forbidden everywhere is never allowed. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/eval.h"

#define ARGS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const tools[] = {"git",  "rm",  "npm",  "pip",     "docker", "curl",    "chmod",
                                    "find", "env", "sudo", "busybox", "tool",   "git-push"};

static const char text[] =
    "default_action: ask\nallowed_paths: [/*]\nrules:\n"
    "  - {command: '*', args: [--danger], action: deny}\n"
    "  - {command: '*', args: ['-rf /', '-X POST', push --force], action: deny}\n"
    "  - {command: git, args: [push --force, 'branch -D *', 'stash drop'], action: deny}\n"
    "  - {command: [git, npm], args: ['push * *', 'run [a-z]*', publish], action: allow}\n"
    "  - {command: rm, args: ['-r /app/*'], match: {paths_within: [/app/*]}, action: allow}\n"
    "  - {command: docker, args: ['run -v *:* alpine', image rm], action: allow}\n"
    "  - {command: [chmod, find, tool], args: ['-R 777', '-exec rm', 'a b', '--x=*'], action: "
    "allow}\n"
    "  - {command: '*', match: {regex: '^-[a-z]+$', paths_outside: [/app/*]}, action: deny}\n";

static const struct policy *policy(void)
{
    static struct policy *p;
    if (!p && policy_parse(text, strlen(text), "f", &p, NULL) < 0)
        abort();
    return p;
}

/* `--danger` as an argument that no option took: behind nothing but operands. */
static bool is_dangerous(const char *const *argv, size_t argc)
{
    return argc > 1 && str_eq(argv[1], "--danger");
}

static void judge(const char *const *argv, size_t argc)
{
    const struct policy *p = policy();
    size_t args[ARGS_MAX];
    struct policy_path paths[ARGS_MAX];
    size_t n = policy_path_operands(p, argv[0], argv, argc, args, ARGS_MAX);
    if (n > ARGS_MAX)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        if (args[i] >= argc || (i && args[i] <= args[i - 1]))
            abort();
        paths[i] = (struct policy_path){args[i], i % 3 ? "/app/x" : NULL};
    }
    const struct policy_request q = {
        .command = argv[0],
        .argv = argv,
        .argc = argc,
        .cwd = "/app",
        .paths = paths,
        .paths_count = n,
        .program = {.trust = PROGRAM_TRUSTED, .path = argv[0], .names = argv, .names_count = 1}};
    struct policy_decision d, linear;
    policy_judge(p, &q, &d);
    eval_judge_linear(p, &q, &linear);
    if (d.verdict != linear.verdict || d.rule != linear.rule)
        abort();
    if (d.verdict == VERDICT_ALLOW && is_dangerous(argv, argc))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *argv[ARGS_MAX];
    size_t argc = 1;
    if (size == 0)
        return 0;
    char *copy = mem_zalloc(size); /* ends with NUL */
    memcpy(copy, data + 1, size - 1);
    argv[0] = tools[data[0] % (sizeof(tools) / sizeof(tools[0]))];
    for (char *s = copy, *end = copy + size - 1; s < end && argc < ARGS_MAX; s += strlen(s) + 1)
        argv[argc++] = s;
    judge(argv, argc);
    free(copy);
    return 0;
}
