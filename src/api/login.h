/* SPDX-License-Identifier: MIT */
/* Who makes a call: by the peer credentials of the unix socket, or by a bearer token. A peer that
 * is governed is nobody, whatever uid or token it has. */
#pragma once

#include "api/call.h"

/* The names of the users that may log in by peer credentials, read once: a name service may block.
 */
void login_init(struct api *a);
void login_done(struct api *a);

/* True: c->role and c->who are set. False: 401 or 429 was sent. */
bool login_check(struct call *c);

/* `why` goes on record with who, from where and what for; bounded (core/access.h). */
void login_record_refusal(struct call *c, const char *why);

/* Whether a login that was good once still is, for what goes on behind the call (c->proof): its
 * token was not revoked and has not expired. */
bool login_still_valid(struct api *a, const char *proof);

/* False, and 421 or 403 was sent: a name that is not this host's (DNS rebinding), or a foreign web
 * page. */
bool login_check_site(struct exchange *x);
/* The second half of it, for a GET that a foreign page could make and read the answer of: a
 * WebSocket. False, and 403 was sent. */
bool login_check_origin(struct exchange *x);
