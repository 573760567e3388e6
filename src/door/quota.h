/* SPDX-License-Identifier: MIT */
/* Who holds how much of the door: connections and bytes, in all and per uid. When a cap is reached,
 * the oldest half-sent requests of the greediest uid make room first. */
#pragma once

#include <stddef.h>

#include "door/room.h"

/* The account of a uid, made when it has none. */
struct quota *quota_of(struct room *m, uid_t uid);
/* Frees it when no session is left on it and nothing is owed. */
void quota_release(struct room *m, struct quota *q);
/* Frees those of whom that is true by now; all without sessions when the room is closing. */
void quota_sweep(struct room *m);

/* Makes room for one more connection of `q`; false when only whole requests hold the room. */
bool quota_admit(struct room *m, struct quota *q);
/* Puts `n` bytes on the account of `s`; false when no half-sent request of others can make room. */
bool quota_charge(struct session *s, size_t n);
/* Takes all bytes of `s` off its account. */
void quota_discharge(struct session *s);
