/* SPDX-License-Identifier: MIT */
/* Secrets that a person types: not shown on the terminal, one line, never an argument. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define SECRET_MAX 1024

/* From the terminal when stdin is one (twice when `twice`), else the first line of stdin. 0, or an
 * enum cli_exit with the words out. Wipe `out` when it is not needed any more. */
int secret_read(const char *prompt, bool twice, char out[SECRET_MAX + 2]);
