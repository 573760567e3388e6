/* SPDX-License-Identifier: MIT */
/* `--ask tty`: a process of its own that puts what waits to the person at the real terminal, which
 * the agent has no way to. It holds the API; whoever relays the terminal only makes way for it. */
#pragma once

#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "cli/cli.h"

struct run_ask {
    pid_t pid;
    int channel; /* owned */
};
#define RUN_ASK_INIT ((struct run_ask){.channel = -1})

/* Starts it for the session at `dir`, on the terminal `real`. */
int run_ask_start(const struct cli *c, const char *dir, int real, struct run_ask *ret,
                  struct err *err) MUST_CHECK;
void run_ask_stop(struct run_ask *a);

enum run_ask_wish { RUN_ASK_NOTHING, RUN_ASK_PAUSE, RUN_ASK_RESUME, RUN_ASK_GONE };
/* When `channel` can be read: what it wants. RUN_ASK_PAUSE is to be answered by run_ask_go(). */
enum run_ask_wish run_ask_hear(const struct run_ask *a);
void run_ask_go(const struct run_ask *a);
