/* SPDX-License-Identifier: MIT */
/* JSON requests of version 1 get parsed: small ones at once, large ones on another thread, few at a
 * time and one per uid. */
#pragma once

#include "door/room.h"

/* Answers by session_parsed(), possibly before it returns. */
void v1parse_begin(struct session *s);
