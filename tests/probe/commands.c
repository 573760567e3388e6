/* SPDX-License-Identifier: MIT */
/* The table of commands is the program's, not the library's: an empty one stands in for it. */
#include "cli/cli.h"

const struct command commands[] = {{0}};
