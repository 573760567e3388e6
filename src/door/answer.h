/* SPDX-License-Identifier: MIT */
/* The warden's side of both protocols, into a buffer and out without blocking. */
#pragma once

#include "door/room.h"

/* The request waits for a person. */
void answer_waiting(struct session *s, const struct request *r);
/* The end: whole lines for stderr and the exit code. */
void answer_refused(struct session *s, int code, const char *text);
/* Sends what it can. 0, also when some is left; negative errno when nobody reads any more, or when
 * more piled up than an answer can have. */
int answer_flush(struct session *s) MUST_CHECK;
