/* SPDX-License-Identifier: MIT */
/* The last words to a caller whose connection was handed over but cannot be served. */
#pragma once

#include <stdbool.h>

/* Owns `conn`: says `words` with exit code 125 in the caller's protocol, and closes it without
 * waiting for what the caller may have put into it. */
void farewell(int conn, bool v1, const char *name, const char *words);
