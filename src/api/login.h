/* SPDX-License-Identifier: MIT */
/* Who makes a call: by the peer credentials of the unix socket, or by a bearer token. A peer that
 * is governed is nobody, whatever uid or token it has. People also come with passwords and
 * sessions.
 */
#pragma once

#include "api/accounts.h"
#include "api/call.h"

/* The names of the users that may log in by peer credentials, read once: a name service may block.
 */
void login_init(struct api *a);
void login_done(struct api *a);

/* True: c->role, c->who and the like are set. False: it was refused, or api_dispatch() follows. */
bool login_check(struct call *c);
/* True, and 401 was sent: a peer of the unix socket that is governed. */
bool login_is_governed(struct call *c);

/* Refusals, each sent and recorded: credentials that are not right, already counted or not; and too
 * many of them. Return false. */
bool login_wrong(struct call *c);
bool login_wrong_counted(struct call *c);
bool login_too_many(struct call *c);

/* What proves a login by a token, or by a user's password as it is now: for c->proof and what
 * begins with it. */
void login_proof_token(char out[CALL_PROOF_SIZE], const struct account_token *t);
void login_proof_user(char out[CALL_PROOF_SIZE], const struct account_user *u);

/* `why` goes on record with who, from where and what for; bounded (core/access.h). */
void login_record_refusal(struct call *c, const char *why);

/* Whether a login that was good once still is, for what goes on behind the call (c->proof): its
 * token, session or user is still there, as it was. */
bool login_still_valid(struct api *a, const char *proof);

/* False, and 421 or 403 was sent: a name that is not this host's (DNS rebinding), or a foreign web
 * page. */
bool login_check_site(struct call *c);
/* The second half of it, for a GET that a foreign page could make and read the answer of: a
 * WebSocket. False, and 403 was sent. */
bool login_check_origin(struct call *c);
/* The browser came over TLS, ours or that of a proxy whose origin is configured. */
bool login_is_https(const struct call *c);
