/* SPDX-License-Identifier: MIT */
/* What a container's labels ask for. Labels are set by whoever starts containers, who is root on
 * the host anyway; an agent cannot change them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "core/container.h"
#include "policy/policy.h"

#define LABELS_ENABLED "clawrden.enabled" /* "true" */
#define LABELS_COMMANDS "clawrden.cmds"   /* "npm,git" */
#define LABELS_MODE "clawrden.mode"       /* "plain" (default), "hardened" */
#define LABELS_JAIL "clawrden.jail"       /* name of its directory; default: the container's */

struct labels {
    const char *name; /* borrowed from the container */
    const char *commands[POLICY_JAIL_COMMANDS_MAX];
    size_t count;
    bool hardened;
    char text[4097]; /* what `commands` point into */
};

/* 1: filled; 0: they ask for nothing; -EINVAL with words: they cannot be followed. */
int labels_read(const struct container *c, struct labels *ret, struct err *err) MUST_CHECK;
