/* SPDX-License-Identifier: MIT */
/* A change of who may do what: on record before it is made, and answered when it is on the disk. */
#pragma once

#include "api/call.h"
#include "core/access.h"

/* Records a change that the caller is about to make; `by`, `address` and `request_id` are filled
 * in. False, and 503 was sent: it must not be made. */
bool saved_record(struct call *c, struct access_change change);
/* Saves the accounts, then answers with 200 and what is in `body`, which is taken; with 500 when
 * it could not be written: the change then holds until the warden ends. */
void saved_reply(struct call *c, struct buf *body);
