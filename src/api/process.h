/* SPDX-License-Identifier: MIT */
/* The metrics of a process that every Prometheus client has, by their usual names. */
#pragma once

#include <stdbool.h>

#include "base/buf.h"

struct process_figures {
    double cpu_s, resident_bytes, virtual_bytes, started_s, threads, open_fds, max_fds;
};
/* False: they cannot be read, and nothing is set. */
bool process_read(struct process_figures *ret);

void process_metrics(struct buf *b);
