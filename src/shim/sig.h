/* SPDX-License-Identifier: MIT */
/* Signals of the shim. Until a command runs they have the dispositions that were inherited, so that
 * the shim dies, stops and continues as the plain tool would. Afterwards the forwardable ones are
 * blocked and noted, and seen only in sig_poll(). */
#pragma once

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define SIG_BIT(signo) (1u << (signo))

/* From here on the forwardable signals are noted, except those that were ignored at the start
 * (nohup); SIGCONT and SIGWINCH always. */
void sig_start(void);
/* ppoll() in which signals arrive. Returns what poll would; *ret_seen has a SIG_BIT for each. */
int sig_poll(struct pollfd *p, nfds_t n, int timeout_ms, uint32_t *ret_seen);
/* What was seen and is not done yet: the next sig_poll() says it again, without waiting. */
void sig_again(uint32_t seen);
/* Calls restore() before any other deadly signal ends the process. */
void sig_guard(void (*restore)(void));

/* Stops this process, or its whole group, by signo's default action. False: nothing stopped, as the
 * signal is ignored or the group orphaned. True: we were continued, and SIGCONT will be seen. */
bool sig_stop(int signo, bool group);
/* Dies by signo as the command did, without a core of the shim; returns when signo does not kill.
 */
void sig_die(int signo);
