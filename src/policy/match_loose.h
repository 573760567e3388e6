/* SPDX-License-Identifier: MIT */
/* For deny and ask rules, when a command line is not fully understood: could it mean the item? */
#pragma once

#include "policy/match.h"

bool match_loose(const struct match_item *m, const struct match_query *q);
