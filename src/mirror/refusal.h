/* SPDX-License-Identifier: MIT */
/* The words of a helper that cannot even give a command a worker. */
#pragma once

#include <stdbool.h>

/* Tells the caller and waits for nothing; whoever does not read it finds out by the hang-up.
 * `text` is one line with its newline. */
void refusal_say(int conn, bool v1, const char *text);
