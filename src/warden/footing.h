/* SPDX-License-Identifier: MIT */
/* What the process stands on before it opens anything: limits, signals, privacy of its memory, a
 * state directory of its own. */
#pragma once

#include "base/cleanup.h"
#include "base/err.h"

/* Ignores SIGPIPE, raises the limit of descriptors to the hard one, makes new files private, and
 * keeps processes of our own uid from reading or tracing us. Returns the limit of descriptors. */
unsigned long footing_prepare(void);

/* Makes the directory (0700) when it is missing, checks that nobody else can change it, and locks
 * it: *ret is held while we run. -EBUSY with words when another warden has it. */
int footing_take_state(const char *dir, int *ret, struct err *err) MUST_CHECK;

/* The directory of `path`, made (0700) when missing, and the file when it is there, are nobody
 * else's to change. */
int footing_check_file(const char *path, struct err *err) MUST_CHECK;

/* Gives back what the start needed and the work does not: free memory, and the pages of code that
 * were touched (the kernel maps them again when they are). */
void footing_shed(void);
