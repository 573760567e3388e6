/* SPDX-License-Identifier: MIT */
/* What the bodies of kill, pause and resume have in common: which requests or containers are meant,
 * and the answer about them. */
#pragma once

#include "api/call.h"
#include "core/halt.h"

enum order_kind { ORDER_KILL, ORDER_PAUSE, ORDER_RESUME };

/* Reads the body and gives the order; the answer follows, now or later. */
void order_give(struct call *c, enum order_kind kind);
