/* SPDX-License-Identifier: MIT */
/* --door and --prisoner: whose sockets there are. Text in, list out. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "core/ports.h"

struct bonds_door {
    char *dir;  /* owned; absolute; NULL: the warden's own socket */
    char *text; /* owned; what the bond's strings lie in */
    struct bond bond;
};

struct bonds {
    struct bonds_door *at; /* owned */
    size_t count;
};

/* Adds "NAME=DIR[,KEY=VALUE]..." for each of a list separated by ';'. KEY: container=NAME,
 * label=KEY or label=KEY=VALUE, cgroup=PATH, userns=UID; without one the container called NAME is
 * meant. -EINVAL with words. */
int bonds_add_doors(struct bonds *b, const char *text, struct err *err) MUST_CHECK;
/* The same without "=DIR". "" adds nothing. */
int bonds_add_prisoner(struct bonds *b, const char *text, struct err *err) MUST_CHECK;
void bonds_done(struct bonds *b);
