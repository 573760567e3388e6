/* SPDX-License-Identifier: MIT */
#include "core/loads.h"

#include <stdio.h>

void loads_add(struct loads *l, const struct policy *p, const char *who, const char *refused,
               uint64_t time)
{
    struct load *x = &l->all[l->count++ % LOADS_MAX];
    *x = (struct load){.time = time, .rules = p ? policy_rules_count(p) : 0};
    (void)snprintf(x->who, sizeof(x->who), "%s", who);
    (void)snprintf(x->version, sizeof(x->version), "%s", p ? policy_digest(p) : "");
    (void)snprintf(x->refused, sizeof(x->refused), "%s", refused ? refused : "");
}

const struct load *loads_at(const struct loads *l, size_t i)
{
    size_t kept = l->count < LOADS_MAX ? l->count : LOADS_MAX;
    return i < kept ? &l->all[(l->count - 1 - i) % LOADS_MAX] : NULL;
}
