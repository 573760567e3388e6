/* SPDX-License-Identifier: MIT */
/* What the audit commands share: which files, how a record is shown. They read files and need no
 * warden. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "cli/cli.h"

/* The log to read: the word given, else CLAWRDEN_AUDIT, else the warden's usual place. Owned. */
char *audit_show_path(const struct args *a);
/* A moment (2026-01-31T08:00:00Z) or a duration back from now (2h), realtime ns; 0 when `value` is
 * NULL. -EINVAL with words. */
int audit_show_moment(const char *option, const char *value, uint64_t *ret,
                      struct err *err) MUST_CHECK;
/* One line for people, without a newline; nothing in it acts on a terminal. */
void audit_show_line(const char *line, size_t len, struct buf *out);
