/* SPDX-License-Identifier: MIT */
/* From credentials to a session: /api/login, /api/session, and links that log in once. */
#pragma once

#include "api/call.h"

#define SIGNIN_LINKS_MAX 16

struct signin_links;
struct signin_links *signin_links_new(void);
struct signin_links *signin_links_free(struct signin_links *l);

/* A link that begins a session of `who` with `role` by `method` (a literal), which ends with
 * `proof` (or ""), once and within ten minutes; owned by the caller. NULL: no random bytes. */
char *signin_make_link(struct api *a, const char *base, const char *who, enum api_role role,
                       const char *method, const char *proof);
