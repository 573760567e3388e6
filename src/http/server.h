/* SPDX-License-Identifier: MIT */
/* The HTTP server: libmicrohttpd behind http/front, on a libuv loop. It knows requests and answers,
 * nothing of what they mean: `handle` gets each complete request as a struct exchange. */
#pragma once

#include <uv.h>

#include "base/err.h"
#include "http/exchange.h"
#include "http/forwarded.h"
#include "http/front.h"
#include "http/tls.h"

struct server;

struct server_config {
    struct front_config front; /* attach, detach, fed and arg are set by the server */
    const struct forwarded
        *proxies;  /* whose X-Forwarded-For is believed; borrowed, NULL: nobody's */
    bool anywhere; /* TCP that others can reach is taken without TLS */
    bool (*peer_is_outside)(void *arg, int fd);
    /* Must lead to one exchange_reply(), now or later. */
    void (*handle)(void *arg, struct exchange *x);
    void *arg;
};

/* From here on the program ignores SIGPIPE: reset it in children before they exec. */
int server_new(uv_loop_t *loop, const struct server_config *c, struct server **ret,
               struct err *err) MUST_CHECK;
/* TCP connections that come from now on speak TLS with this certificate, which is taken over.
 * Before the first server_listen_tcp(), and later to change the certificate. */
void server_set_tls(struct server *s, struct tls_context *tls);
int server_listen_unix(struct server *s, const char *path, struct err *err) MUST_CHECK;
/* *ret_url, owned by the caller: where it listens, with the port that was picked. */
int server_listen_tcp(struct server *s, const char *address, char **ret_url,
                      struct err *err) MUST_CHECK;

/* Answers what is open with 503 and closes everything, within 2 s. Memory goes with the last close
 * callback; then `gone(arg)`, when not NULL. */
void server_close(struct server *s, void (*gone)(void *arg), void *arg);
