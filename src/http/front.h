/* SPDX-License-Identifier: MIT */
/* What stands between the network and libmicrohttpd: accepts, knows who connects, holds the
 * deadlines, lets each request through the gate (http/gate.h) and only then, whole, to the parser
 * behind: over a socketpair, with TLS taken off (http/tls.h). Answers flow back untouched,
 * but for a refusal that the parser makes up by itself: its HTML becomes JSON of ours.
 * Nothing that has not passed the gate is ever seen behind it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/err.h"

struct front;
struct front_conn;

/* Who connects, from the kernel. */
struct front_peer {
    bool is_unix;
    pid_t pid;        /* unix only */
    uid_t uid;        /* unix only */
    bool tls;         /* TCP only: it speaks TLS */
    bool outside;     /* unix only: the peer is no governed process, says config.peer_is_outside */
    char address[64]; /* "unix" or numeric, without port */
};

struct front_config {
    unsigned connections_max; /* per listener; default 128 */
    unsigned per_address_max; /* default 64; for unix sockets: per uid */
    unsigned head_ms;         /* a head must be complete this long after the connection or its
                               * first byte; default 10 s */
    unsigned body_ms;         /* then its body; default 10 s */
    unsigned idle_ms;         /* between two requests; default 60 s */
    unsigned stall_ms;        /* an answer of which nothing could be sent; default 30 s */
    bool (*peer_is_outside)(void *arg, int fd); /* unix sockets; NULL: nobody is */
    /* Takes the inner end of a connection whose first request is complete, owned also when it fails
     * (NULL). What it returns is given back by detach(): then `c` is gone for the parser. */
    void *(*attach)(void *arg, struct front_conn *c, int fd);
    void (*detach)(void *arg, void *attached);
    /* Bytes were written to the inner end: the parser may run. */
    void (*fed)(void *arg);
    void *arg;
};
void front_config_default(struct front_config *c);

struct front *front_new(uv_loop_t *loop, const struct front_config *c);
/* Closes what is idle at once, and the rest when its answer has left or 2 s have passed: the parser
 * has closed its ends before. Memory goes with the last close callback; then `gone(arg)`. */
void front_close(struct front *f, void (*gone)(void *arg), void *arg);

/* Accepts on `fd`, owned from here on. */
void front_listen(struct front *f, int fd, bool is_unix);
/* Takes `tls` over, for the TCP connections that come from now on. */
struct tls_context;
void front_set_tls(struct front *f, struct tls_context *tls);
bool front_has_tls(const struct front *f);
void front_stop_listening(struct front *f);

const struct front_peer *front_peer(const struct front_conn *c);
/* The body of the request that passed last is larger than GATE_BODY_MAX: only its head came
 * through, and the connection ends with the answer. */
bool front_oversize(const struct front_conn *c);
/* The parser has understood the request that passed last. Until then it has body_ms: a parser that
 * got lost does not keep its peer waiting. */
void front_taken(struct front_conn *c);
/* The parser is done with a request: the next one may pass. */
void front_answered(struct front_conn *c);
/* Open connections. */
unsigned front_count(const struct front *f);
