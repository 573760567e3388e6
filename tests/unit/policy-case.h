/* SPDX-License-Identifier: MIT */
/* One command line as a request, with facts made up: for tests of the policy. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/err.h"
#include "policy/policy.h"

#define POLICY_CASE_PATHS 4096

struct policy_case {
    struct pool *pool;
    struct policy_request q;
    struct policy_path paths[POLICY_CASE_PATHS];
    const char *names[16], *above[1];
};

/* `line`: tags in braces, then the command as a shell would split it.
 *   {unknown} {missing}      trust of the program
 *   {is=busybox,rm,ls}       what it is: its real name, then its other names; default: as called
 *   {argv0=NAME}             another argv[0]
 *   {script=PATH} {bad-script=PATH}
 *   {container=NAME} {below=NAME}
 * Paths are resolved by text. False: the line cannot be read. */
bool policy_case_begin(struct policy_case *c, const struct policy *p, const char *line,
                       const char *cwd, uint32_t uid);
void policy_case_argv(struct policy_case *c, const struct policy *p, const char *const *argv,
                      size_t argc, const char *cwd, uint32_t uid);
void policy_case_end(struct policy_case *c);

/* Parses, and fails the test with the words when it cannot. */
struct policy *policy_case_parse(const char *text);
enum verdict policy_case_judge(const struct policy *p, const char *line);
