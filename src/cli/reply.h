/* SPDX-License-Identifier: MIT */
/* A person's answer to one waiting request, bound to what the person was shown. */
#pragma once

#include <stdbool.h>

#include "cli/remote.h"

enum reply_kind { REPLY_APPROVE, REPLY_DENY };

/* `remember`: a yes holds for this program as long as its gate's tree lives.
 * Sends the answer for `request` (as the API gave it) with its digest, so that what was seen is
 * what runs. `comment` may be NULL. 0 whenever the warden answered; see ret->status. */
int reply_send(struct cli *c, const struct json *request, enum reply_kind kind, const char *comment,
               bool remember, struct remote_answer *ret) MUST_CHECK;
