/* SPDX-License-Identifier: MIT */
/* A policy file as bytes: it is refused with its place, or it can be asked. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const struct policy *p)
{
    static const char *const argv[] = {"git", "-C", "x", "push", "--force", "origin", "+main"};
    static const char *const names[] = {"git"};
    static const char *const env[] = {"HOME=/x", "LD_PRELOAD=/x", "FOO=1"};
    const struct policy_request q = {
        .command = "git",
        .argv = argv,
        .argc = 7,
        .env = env,
        .envc = 3,
        .cwd = "/app",
        .program = {
            .trust = PROGRAM_TRUSTED, .path = "/usr/bin/git", .names = names, .names_count = 1}};
    struct buf out = BUF_INIT(4u << 20);
    if (policy_explain_json(p, &q, &out) == 0 && memcmp(out.data, "{\"verdict\":", 11) != 0)
        abort();
    buf_clear(&out);
    (void)policy_explain_text(p, &q, &out);
    buf_clear(&out);
    (void)policy_redact(p, "token=abc", 9, &out);
    buf_done(&out);
    for (size_t i = 0; i < policy_rules_count(p); i++) {
        struct policy_rule_info info;
        policy_rule_info(p, i, &info);
        if (!info.name || !info.command || info.line == 0)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy *p = NULL;
    struct err err = {{0}};
    int r = policy_parse((const char *)data, size, "f", &p, &err);
    if ((r == 0) != (p != NULL) || (r < 0 && strncmp(err.text, "f:", 2) != 0))
        abort();
    if (p)
        ask(p);
    (void)policy_unref(p);
    return 0;
}
