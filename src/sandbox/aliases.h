/* SPDX-License-Identifier: MIT */
/* Whether something that a plan makes writable can be seen at another place too, by a second mount
 * of the same files: what is read-only there changes all the same. */
#pragma once

#include "base/err.h"
#include "sandbox/plan.h"

/* 1: `ret` is such a place, owned; 0: there is none; or a negative errno with words. */
int aliases_find(const struct plan *p, char **ret, struct err *err) MUST_CHECK;

/* The same for the text of a mountinfo(5). */
int aliases_find_in(const struct plan *p, const char *mountinfo, char **ret) MUST_CHECK;
