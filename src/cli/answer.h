/* SPDX-License-Identifier: MIT */
/* A person's answer to one waiting request, bound to what the person was shown. */
#pragma once

#include "cli/remote.h"

enum answer_kind { ANSWER_APPROVE, ANSWER_DENY };

/* Sends the answer for `request` (as the API gave it) with its digest, so that what was seen is
 * what runs. `comment` may be NULL. 0 whenever the warden answered; see ret->status. */
int answer_send(struct cli *c, const struct json *request, enum answer_kind kind,
                const char *comment, struct remote_answer *ret) MUST_CHECK;
