/* SPDX-License-Identifier: MIT */
/* Hears the feeds of the wardens that a command would ask, in threads of its own, and makes a
 * descriptor readable when something happened. Who has no feed is looked at now and then instead.
 */
#pragma once

#include <stdbool.h>

#include "cli/cli.h"

/* The descriptor; -1: no news, look now and then. For the rest of the program's life. */
int news_open(const struct cli *c);
/* Empties the descriptor. */
void news_taken(int fd);
/* Whether all feeds are being heard now. */
bool news_all_heard(void);
