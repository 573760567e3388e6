/* SPDX-License-Identifier: MIT */
/* How long a decision takes: p50 and p99 of policy_judge() with 10, 1,000 and 3,000 rules, in two
 * shapes: many tools (as policies are) and nearly every rule for one tool. And with 7,000 of the
 * shortest rules: about the most that fits into POLICY_TEXT_MAX. One line of JSON a row with
 * --json. */
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "policy/policy.h"

#define ROUNDS 20000
#define SPARE 200 /* first ones, not counted */

static const char *const lines[][8] = {
    {"git", "push", "--force", "origin", "main"},
    {"git", "-C", "sub", "log", "--oneline", "-5", "HEAD"},
    {"rm", "-rf", "node_modules"},
    {"npm", "run", "build"},
    {"curl", "-sSL", "-XPOST", "https://example.com/x"},
    {"nothing", "that", "a", "rule", "names"},
};

static void many_tools(struct buf *b, int i)
{
    (void)buf_printf(b, "  - {command: tool%d, args: ['run --fast x%d', 'stop'], action: allow}\n",
                     i, i);
}

static void one_tool(struct buf *b, int i)
{
    static const char *const sub[] = {"log", "diff", "commit", "fetch", "remote add", "tag"};
    (void)buf_printf(b, "  - {command: git, args: ['%s --quiet x%d'], action: ask}\n", sub[i % 6],
                     i);
}

static void shortest(struct buf *b, int i)
{
    (void)buf_printf(b, "  - {command: t%d,action: deny}\n", i);
}

/* The rules that match stand last: everything before has to be looked at. */
static struct policy *make(void (*rule)(struct buf *, int), int rules)
{
    struct buf b = BUF_INIT(64u << 20);
    (void)buf_append_str(&b, "allowed_paths: [/*]\nrules:\n");
    for (int i = 0; i < rules - 4; i++)
        rule(&b, i);
    (void)buf_append_str(&b, "  - {command: git, args: [push --force], action: deny}\n"
                             "  - {command: git, action: allow}\n"
                             "  - {command: [rm, npm], action: allow}\n"
                             "  - {command: curl, args: [-X POST], action: ask}\n");
    struct policy *p = NULL;
    struct err err = {{0}};
    if (policy_parse(b.data, b.len, "bench", &p, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        exit(1);
    }
    buf_done(&b);
    return p;
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void judge(const struct policy *p, size_t i, struct policy_decision *d)
{
    const char *const *argv = lines[i % (sizeof(lines) / sizeof(lines[0]))];
    size_t argc = 0;
    char path[64];
    while (argc < 8 && argv[argc])
        argc++;
    (void)snprintf(path, sizeof(path), "/usr/bin/%s", argv[0]);
    const struct policy_request q = {
        .command = argv[0],
        .argv = argv,
        .argc = argc,
        .cwd = "/app",
        .uid = 1000,
        .program = {.trust = PROGRAM_TRUSTED, .path = path, .names = argv, .names_count = 1},
    };
    policy_judge(p, &q, d);
}

static void run(const char *shape, void (*rule)(struct buf *, int), int rules, bool json)
{
    static uint64_t took[ROUNDS];
    struct policy *p = make(rule, rules);
    struct policy_decision d;
    for (size_t i = 0; i < ROUNDS + SPARE; i++) {
        uint64_t from = clock_monotonic();
        judge(p, i, &d);
        if (i >= SPARE)
            took[i - SPARE] = clock_monotonic() - from;
    }
    qsort(took, ROUNDS, sizeof(*took), by_value);
    uint64_t p50 = took[ROUNDS / 2], p99 = took[ROUNDS / 100 * 99];
    printf(json ? "{\"bench\":\"decision\",\"shape\":\"%s\",\"rules\":%d,\"p50_ns\":%" PRIu64
                  ",\"p99_ns\":%" PRIu64 "}\n"
                : "%-10s %6d rules   p50 %8" PRIu64 " ns   p99 %8" PRIu64 " ns\n",
           shape, rules, p50, p99);
    (void)policy_unref(p);
}

int main(int argc, char **argv)
{
    bool json = argc > 1 && strcmp(argv[1], "--json") == 0;
    static const int counts[] = {10, 1000, 3000};
    for (size_t i = 0; i < 3; i++) {
        run("many tools", many_tools, counts[i], json);
        run("one tool", one_tool, counts[i], json);
    }
    run("shortest", shortest, 7000, json);
    return 0;
}
