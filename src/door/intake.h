/* SPDX-License-Identifier: MIT */
/* The first bytes of a conversation: which protocol, how long the request is; and the request of
 * wire version 2 as a struct ask. */
#pragma once

#include "door/room.h"

/* Adds to s->head what belongs there; *ret_used says how much of `p` that was. 1 when the head is
 * whole: s->body_len and the limit of s->in are set, but for a gate (DOOR_GATE). 0: more is needed.
 * Negative with words: nonsense, or too long. */
int intake_head(struct session *s, const uint8_t *p, size_t n, size_t *ret_used,
                struct err *err) MUST_CHECK;

/* The version that a first byte stands for, only to say a refusal in it. */
void intake_guess(struct session *s, uint8_t first);

/* Owns `payload`, also when it fails; pointers of `ret` lead into it. */
int intake_v2(char *payload, size_t len, struct ask *ret, struct err *err) MUST_CHECK;

void intake_ask_done(struct ask *a);
