/* SPDX-License-Identifier: MIT */
/* Between relay.c and relay-bytes.c only. */
#pragma once

#include "http/relay.h"

/* For uv_read_start(): one buffer of the front for all, handed over in the same call. */
void relay_alloc(uv_handle_t *h, size_t hint, uv_buf_t *ret);
/* Sends a copy of the bytes. `c` NULL: nobody waits for it. */
int relay_write(uv_stream_t *s, struct front_conn *c, const char *p, size_t n);
/* Towards the peer; closes the connection when that fails. */
void relay_send(struct front_conn *c, const char *p, size_t n);
/* What TLS has to say by itself: nobody waits for it. */
void relay_flush_tls(struct front_conn *c);
/* When a stream whose peer takes nothing is cut off; loop ms. */
uint64_t relay_stream_patience(const struct front_conn *c);
/* Answers with an error of ours and ends the connection. */
void relay_refuse(struct front_conn *c, int status, const char *code, const char *words);

/* An answer comes from the parser. */
void relay_inner_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b);
/* When all of an answer has left, the next request may come. */
void relay_drained(struct front_conn *c);
/* Ends a connection so that what was written arrives. */
void relay_linger(struct front_conn *c);
