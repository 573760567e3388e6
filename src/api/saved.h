/* SPDX-License-Identifier: MIT */
/* Answers that wait until a change of the accounts is on the disk. */
#pragma once

#include "api/call.h"

/* Saves the accounts, then answers with 200 and what is in `body`, which is taken; with 500 when
 * it could not be written: the change then holds until the warden ends. */
void saved_reply(struct call *c, struct buf *body);
