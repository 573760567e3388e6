/* SPDX-License-Identifier: MIT */
/* The roles by their names. */
#pragma once

#include <stdbool.h>

#include "api/api.h"

const char *role_name(enum api_role r);
/* False: no role has this name ("none" is no role to give). */
bool role_parse(const char *s, enum api_role *ret);
