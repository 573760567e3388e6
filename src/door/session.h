/* SPDX-License-Identifier: MIT */
/* One caller's conversation: its request in, the verdict out. */
#pragma once

#include "door/room.h"

/* Begins with an accepted connection; owns `fd` and what is in `who`. */
void session_new(struct room *m, struct quota *q, int fd, struct peer_creds *who);

/* Ends one that holds room and has not sent its request. */
void session_evict(struct session *s);
/* Ends the connection without a word; the request, if the warden has one, is withdrawn. */
void session_hang_up(struct session *s, const char *why);
/* The same, but the request goes on waiting for its caller to come back to another warden. */
void session_leave(struct session *s);
/* At the very end: the warden and its requests are gone. */
void session_forget(struct session *s);
/* Withdraws a waiting request whose caller is still connected: it is told `why`. */
void session_withdraw(struct session *s, const char *why);
/* The answer `text` (whole lines) and `code` go out, then the connection ends. */
void session_refuse(struct session *s, int code, const char *text);
/* The deadline of its state has passed. */
void session_expired(struct session *s);
/* It is its turn to be read. */
void session_turn(struct session *s);
/* Its request has ended. */
void session_ended(struct session *s);

/* For door/v1parse.c: the JSON text was read; a result below 0 has words in s->parse_err. */
void session_parsed(struct session *s);
/* Frees it once nothing refers to it any more. */
void session_unused(struct session *s);
