/* SPDX-License-Identifier: MIT */
/* The query of a call, put together from the options of a command. */
#pragma once

#include "base/buf.h"
#include "base/json.h"
#include "cli/args.h"

#define QUERY_PATH_MAX (64u << 10)

/* Adds NAME=VALUE, encoded; nothing when `value` is NULL. */
void query_add(struct buf *path, const char *name, const char *value);
/* --limit as a number up to 1000, --user or --uid as `uid`: 0, or CLI_USAGE with the words out. */
int query_add_limit(struct buf *path, const char *text) MUST_CHECK;
int query_add_user(struct buf *path, const struct args *a) MUST_CHECK;
/* What `queue` and `running` take: QUERY_LIST_OPTIONS. */
int query_add_list(struct buf *path, const struct args *a) MUST_CHECK;
/* Whether one of these was given. */
bool query_has_list(const struct args *a);
/* Says how to go on behind a list that is as long as --limit. */
void query_print_more(const struct args *a, const struct json *list);
