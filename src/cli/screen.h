/* SPDX-License-Identifier: MIT */
/* clawrden queue --watch: the queue as a picture that is redrawn when it changes. */
#pragma once

#include "cli/cli.h"

/* Until 'q', Ctrl-C or the end of the terminal; an enum cli_exit. Without a terminal: refused. */
int screen_run(struct cli *c);
