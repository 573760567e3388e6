/* SPDX-License-Identifier: MIT */
/* The metrics of a process that every Prometheus client has, by their usual names. */
#pragma once

#include "base/buf.h"

void process_metrics(struct buf *b);
