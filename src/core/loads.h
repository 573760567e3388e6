/* SPDX-License-Identifier: MIT */
/* The last policies that were loaded or refused since the start, for people; the audit log has all
 * of them. No clock here. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "policy/policy.h"

#define LOADS_MAX 32

struct load {
    uint64_t time; /* realtime ns */
    char who[128];
    char version[POLICY_DIGEST_SIZE]; /* of the policy in force from then on */
    size_t rules;                     /* of it */
    char refused[ERR_TEXT_MAX];       /* why it stayed in force; "": it was loaded */
};

struct loads {
    struct load all[LOADS_MAX]; /* a ring */
    size_t count;               /* ever added */
};

/* `refused` NULL: `p` is in force now. */
void loads_add(struct loads *l, const struct policy *p, const char *who, const char *refused,
               uint64_t time);
/* The newest is 0; NULL: there are not that many. */
const struct load *loads_at(const struct loads *l, size_t i);
