/* SPDX-License-Identifier: MIT */
/* An operator ends or pauses requests, containers, or everything, and lets them go on. */
#include "api/adapters.h"
#include "api/order.h"

void kill_requests(void *arg, struct exchange *x, const char *param)
{
    order_give(arg, ORDER_KILL);
}

void kill_pause(void *arg, struct exchange *x, const char *param)
{
    order_give(arg, ORDER_PAUSE);
}

void kill_resume(void *arg, struct exchange *x, const char *param)
{
    order_give(arg, ORDER_RESUME);
}
