/* SPDX-License-Identifier: MIT */
/* A login at a provider: discovery, the way there and back with PKCE, state and nonce, the code for
 * a token, keys that change. Speaks to the network only through `fetch`. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "oidc/idtoken.h"

#define FLOW_SECRET_SIZE 65 /* 64 hex digits and NUL */
#define FLOW_PENDING_MAX 64
#define FLOW_PENDING_FOR (600 * UINT64_C(1000000000))

/* `status` 0: no answer. The body is borrowed. */
typedef void flow_fetched(void *arg, long status, const char *body, size_t len);

struct flow_config {    /* strings are copied */
    const char *issuer; /* "https://login.example"; http only on loopback */
    const char *client_id;
    const char *client_secret; /* NULL: a public client */
    const char *redirect_uri;
    const char *scope, *groups_claim;
    /* GET without `form`, else POST of it; `authorization` may be NULL. `done` is called once and
     * not before this returns. */
    void (*fetch)(void *arg, const char *url, const char *authorization, const char *form,
                  flow_fetched *done, void *done_arg);
    uint64_t (*realtime)(void *arg), (*monotonic)(void *arg); /* ns */
    void (*group)(void *done_arg, const char *name);          /* before flow_done, with its `arg` */
    void *arg;
};

struct flow;
/* -EINVAL with words: an issuer that cannot be trusted. */
int flow_new(const struct flow_config *c, struct flow **ret, struct err *err) MUST_CHECK;
/* No fetch may be under way. */
struct flow *flow_free(struct flow *f);

/* `url` NULL: it cannot be done now, `words` say why. `binding` belongs into a cookie of the
 * browser that goes there: only it may come back. */
typedef void flow_begun(void *arg, const char *url, const char *binding, const char *words);
void flow_begin(struct flow *f, flow_begun *done, void *arg);

struct flow_answer { /* what the browser brought back; NULL: it is not there */
    const char *state, *code, *iss, *error, *binding;
};
/* `name` NULL: refused, `words` say why. */
typedef void flow_done(void *arg, const char *name, const char *words);
void flow_finish(struct flow *f, const struct flow_answer *a, flow_done *done, void *arg);
