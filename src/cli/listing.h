/* SPDX-License-Identifier: MIT */
/* The list commands of things that are few and have no questions to narrow them: one request, then
 * JSON lines or a table. */
#pragma once

#include "base/cleanup.h"
#include "base/json.h"
#include "cli/cmd.h"
#include "cli/table.h"

struct listing {
    const char *path, *member; /* of the API, and the array in its answer */
    const char *const *titles; /* of the columns, the last NULL */
    const char *empty;         /* said instead of a table without rows; NULL: the titles alone */
    void (*add)(struct table *t, const struct json *o); /* one row */
};

/* 0, or an enum cli_exit with the words out. */
int listing_show(struct cli *c, const struct listing *l) MUST_CHECK;
