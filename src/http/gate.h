/* SPDX-License-Identifier: MIT */
/* The gate that the head of every HTTP request passes before any other parser sees it. What two
 * parsers could read in two ways is refused, not repaired: both sizes of a body, folded lines, bare
 * line feeds, encoded NULs, dots that climb. Bytes in, verdict out: no I/O, no allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define GATE_HEAD_MAX (16u << 10) /* bytes of request line and headers */
#define GATE_HEADERS_MAX 100
#define GATE_BODY_MAX (64u << 10)
#define GATE_METHOD_MAX 16
/* A parser makes an entry of each of these; without a bound they exhaust its memory for a
 * connection, and libmicrohttpd 0.9.75 then forgets the connection without closing it. */
#define GATE_PARAMETERS_MAX 32 /* in the query */
#define GATE_COOKIES_MAX 32
#define GATE_COOKIE_BYTES_MAX 4096

/* Where a head ends, found while it arrives: each byte is looked at once, however it trickles. */
struct gate_scan {
    size_t seen;        /* bytes judged so far */
    size_t line_start;  /* of the current line */
    unsigned lines;     /* ended so far */
    unsigned char last; /* the byte before `seen` */
};

/* `p` holds everything received of this head so far, `n` bytes. 0: it is complete, *ret_len bytes
 * with the empty line. -EAGAIN: more is needed. -EBADMSG, -EMSGSIZE: refuse, with words. */
int gate_scan(struct gate_scan *s, const char *p, size_t n, size_t *ret_len, struct err *err);

struct gate_head {
    size_t len;              /* of the head */
    uint64_t content_length; /* 0 when absent */
    bool oversize;           /* the body is larger than GATE_BODY_MAX: it will not be read */
    int status;              /* of a refusal: 400, 411, 417 */
};

/* Judges a complete head of `n` bytes. 0, or -EBADMSG with words and ret->status. */
int gate_parse(const char *p, size_t n, struct gate_head *ret, struct err *err);
