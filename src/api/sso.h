/* SPDX-License-Identifier: MIT */
/* Logins at a provider (OpenID Connect): the browser goes there and comes back, groups become a
 * role, and the login ends like that of a link. */
#pragma once

#include <uv.h>

#include "api/call.h"

struct sso;
/* Nothing is asked of the provider before somebody logs in. */
int sso_new(uv_loop_t *loop, struct api *a, const struct api_oidc *c, struct sso **ret,
            struct err *err) MUST_CHECK;
/* What is under way ends without a word: the server has answered it. Frees itself. */
void sso_close(struct sso *s);
