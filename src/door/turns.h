/* SPDX-License-Identifier: MIT */
/* Who is read next: one connection of each uid in a turn of the loop; and a uid whose requests are
 * large later, while others are served. */
#pragma once

#include "door/room.h"

/* Makes the handles, and ends them: the room must outlive their closing. */
void turns_init(struct room *m);
void turns_close(struct room *m);

/* True: `s` is to be read now. False: it stands in line; session_turn() is called when it is its
 * turn. */
bool turns_now(struct session *s);
/* Takes `s` out of the line, if it stands there. */
void turns_leave(struct session *s);

/* A request of `bytes` in `strings` was received: what it costs behind the door grows with them. */
void turns_charge(struct session *s, size_t bytes, size_t strings);
/* Whether `q` still pays for what it sent. */
bool turns_owes(const struct quota *q, uint64_t now);
