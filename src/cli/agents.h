/* SPDX-License-Identifier: MIT */
/* What each agent keeps in the home directory, from share/agents (built in): that has to stay
 * writable when all else is not. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "policy/pool.h"
#include "sandbox/plan.h"

/* A file of share/agents, as build-aux/embed.sh writes them; the list ends with a NULL name. */
struct agents_file {
    const char *name;
    const unsigned char *text;
    size_t len;
};
extern const struct agents_file agents_file[];

struct agents_entry {
    const char *name;
    const char *const *commands; /* base names by which it is started */
    size_t commands_count;
    const char *const *state; /* directories, "~/..." */
    size_t state_count;
    const char *const *files; /* files, "~/..." */
    size_t files_count;
    const char *const *caches; /* directories that any agent gets */
    size_t caches_count;
};

/* Strings live in `pool`. -EINVAL with "NAME:LINE:COLUMN: words". */
int agents_parse(struct pool *pool, const char *text, size_t len, const char *name,
                 struct agents_entry *ret, struct err *err) MUST_CHECK;

/* True when one of the first words of a command line ("codex", "/opt/x/codex", "npx -y
 * @openai/codex@1.2") names this agent. */
bool agents_is(const struct agents_entry *a, const char *const *words, size_t count);

/* Adds the state of the agent that `words` name, and caches. The state's directories are made when
 * missing. *ret_name (owned, also after a failure): the agent; NULL when none is known. */
int agents_add(struct plan *p, const char *home, const char *const *words, size_t count,
               char **ret_name, struct err *err) MUST_CHECK;
