/* SPDX-License-Identifier: MIT */
/* Facts about a command for `policy explain`, found on this host as the user who asks. For a person
 * to understand the policy, never for enforcement: there the helper looks, in the caller's own
 * root. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/policy.h"

struct probe;

/* `argv` and the environment are borrowed until probe_free(). `cwd` NULL: where we are. */
int probe_new(const struct policy *p, uint32_t uid, const char *cwd, const char *const *argv,
              size_t argc, struct probe **ret, struct err *err) MUST_CHECK;
const struct policy_request *probe_request(const struct probe *x);
struct probe *probe_free(struct probe *x);
