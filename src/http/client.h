/* SPDX-License-Identifier: MIT */
/* A blocking HTTP client for one-shot programs (the CLI): a unix socket or TCP, never a proxy,
 * never a redirect. Not for the loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define CLIENT_RESPONSE_MAX (64u << 20) /* bytes of body */

struct client_target {
    const char *address; /* "unix:/path/api.sock", "http://127.0.0.1:9099", "https://..." */
    const char *token;   /* sent as Bearer; NULL: none */
    const char *ca;      /* PEM file that vouches for an https address; NULL: the system's */
    unsigned timeout_ms; /* of the whole exchange; 0: 30 s */
    /* Takes the body of an answer of 2xx piece by piece, instead of response.body: then there is no
     * bound on its length nor on its time, only on its silence (40 s). False ends it (-EPIPE). */
    bool (*take)(void *arg, const char *p, size_t n);
    void *take_arg;
};

struct client_response {
    long status; /* 200, 404 ... */
    char content_type[128];
    struct buf body; /* done by client_response_done() */
};
#define CLIENT_RESPONSE_INIT ((struct client_response){.body = BUF_INIT(CLIENT_RESPONSE_MAX)})
#define _cleanup_client_response_ _cleanup_(client_response_done)
void client_response_done(struct client_response *r);

/* Sends `method` `path` ("/api/queue?limit=5"; percent-encoded by the caller, see
 * client_encode()); `body` NULL: none, else it is sent as application/json. 0 whenever an answer
 * arrived, whatever its status. `err` has words that name the address otherwise: -EINVAL (address,
 * or a token that would go out unencrypted), -ECONNREFUSED and -ENOENT (nobody listens), -EACCES,
 * -ETIMEDOUT, -EMSGSIZE, -EIO. */
int client_request(const struct client_target *t, const char *method, const char *path,
                   const char *body, size_t body_len, struct client_response *ret,
                   struct err *err) MUST_CHECK;

/* Appends `s` percent-encoded for one path segment or query value. */
int client_encode(struct buf *out, const char *s, size_t n);

/* The message of a JSON error answer, for a person: {"error":{"code","message"}}, else the status.
 * `out` takes at most `size` bytes and is always terminated; control bytes are escaped.
 * Returns `out`. */
const char *client_error_text(const struct client_response *r, char *out, size_t size);
/* The code of such an answer ("stale", "not_found" ...), or "". */
const char *client_error_code(const struct client_response *r, char *out, size_t size);
