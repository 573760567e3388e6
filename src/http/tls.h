/* SPDX-License-Identifier: MIT */
/* TLS 1.2 and 1.3 of the server's side as bytes in and bytes out: no socket, no clock, no loop.
 * The front (http/relay.c) feeds what comes and sends what is to be sent. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct tls_context; /* a certificate with its key */
/* PEM files: the chain, the leaf first, and its key, which only owner and group may read. -EINVAL
 * with words: they cannot be read, do not belong together, or are too weak. */
int tls_context_load(const char *cert, const char *key, struct tls_context **ret,
                     struct err *err) MUST_CHECK;
/* Connections that it began go on. */
struct tls_context *tls_context_free(struct tls_context *c);
CLEANUP_DEFINE(struct tls_context, tls_context_free)

struct tls; /* one connection */
struct tls *tls_new(struct tls_context *c);
struct tls *tls_free(struct tls *t);

/* What came from the peer. -EPROTO: broken; -EPROTONOSUPPORT: it speaks HTTP without TLS. There may
 * be something to send in each case. */
int tls_feed(struct tls *t, const char *p, size_t n) MUST_CHECK;
/* Plain bytes that have come: how many, 0: none so far, -EPIPE: the peer has said that no more
 * come, -EPROTO. */
ssize_t tls_read(struct tls *t, char *p, size_t size);
/* Plain bytes for the peer. -EPROTO: before the handshake, or broken. */
int tls_write(struct tls *t, const char *p, size_t n) MUST_CHECK;
/* No more will be written. */
void tls_end(struct tls *t);
/* Moves what is to be sent to the end of `out`. */
int tls_take(struct tls *t, struct buf *out) MUST_CHECK;
