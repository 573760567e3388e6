/* SPDX-License-Identifier: MIT */
/* Requests by what a person types: a whole id, or enough of its beginning or end to be the only
 * one. Ids begin with the time, so neighbours share their beginnings: ends name them best. */
#pragma once

#include "base/err.h"
#include "base/json.h"
#include "cli/cli.h"

#define IDS_TYPED_MIN 4 /* characters: fewer would hit by accident */

/* The only object of `list` whose id is, begins or ends with `typed` (borrowed from it). NULL:
 * -ENOENT or -ENOTUNIQ or -EINVAL in *ret_code, with words. */
const struct json *ids_find(const struct json *list, const char *typed, int *ret_code,
                            struct err *err);
/* True for a whole id in its canonical form. */
bool ids_is_whole(const char *typed);

/* Words for a request that does not `verb` ("wait", "run or wait"): says from the history what
 * became of it, when that is known. Returns CLI_REFUSED, or what reaching the warden gave. */
int ids_missing(struct cli *c, const char *typed, const char *verb);
