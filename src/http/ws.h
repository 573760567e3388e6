/* SPDX-License-Identifier: MIT */
/* WebSocket (RFC 6455), the server's side, for talking only: a peer may ping, pong and close; a
 * message of it ends the connection. Framing is wslay's, on a stream. */
#pragma once

#include "base/err.h"
#include "http/stream.h"

struct ws;

enum ws_code { /* of a close frame */
               WS_CODE_GOING_AWAY = 1001,
               WS_CODE_UNWANTED = 1003,
               WS_CODE_POLICY = 1008,
};

struct ws_ops {
    void (*drained)(void *arg); /* all that was sent has left */
    void (*gone)(void *arg);    /* once, the last of all; the ws is freed behind it */
};

/* 0; -EINVAL with words: no handshake of WebSocket 13; -EPIPE: the caller has gone. */
int ws_open(struct exchange *x, const struct ws_ops *ops, void *arg, struct ws **ret,
            struct err *err) MUST_CHECK;
/* Sends a text message, a copy. -EPIPE: it is gone, or going. */
int ws_text(struct ws *w, const char *p, size_t n);
/* A heartbeat. False: the one before was not answered; then the owner had better cut it. */
bool ws_ping(struct ws *w);
bool ws_busy(const struct ws *w);
/* Says goodbye and closes; `gone` is called before this returns. */
void ws_end(struct ws *w, enum ws_code code);
void ws_cut(struct ws *w);
