/* SPDX-License-Identifier: MIT */
/* The one thread that traces: from the notification of an exec to its verdict and its end. Nothing
 * here blocks, and nothing else in the program may wait for a child: it would steal a stop. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "gate/execs.h"
#include "wire/gatewire.h"

/* `child` will be the agent; `fd` is the filter's listener. */
void tracer_init(int fd, pid_t child);
void tracer_search(const struct pack_strings *s); /* copied; -E2BIG is not possible */

/* 0, or a negative errno with *ret_why: the tree must end. */
int tracer_notified(const char **ret_why); /* the listener has something, or an error */
int tracer_reap(const char **ret_why);     /* after SIGCHLD, and before everything else */
void tracer_finder(int finder);            /* it has answered, or died */
void tracer_ended(uint64_t job);           /* its pidfd says so */
void tracer_tick(uint64_t now);            /* finders that are late, signals for what is held */
uint64_t tracer_next(void);                /* ms: when to tick at the latest; UINT64_MAX: nothing */
bool tracer_can_take(void);                /* another exec */

bool tracer_is_agent(pid_t pid); /* the first process of the tree */

/* What became of the agent. */
bool tracer_is_over(void);
int tracer_status(void); /* of wait(2) */
/* The first exec was refused by the kernel: words, or NULL. */
const char *tracer_obstacle(void);

/* Looks at its files, or has a finder do it, at once or when one is free. */
void tracer_find(struct exec *e);

/* Called back: watch this pidfd for input, and call tracer_ended(). */
extern int (*tracer_watch)(int pidfd, uint64_t job);
