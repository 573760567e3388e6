/* SPDX-License-Identifier: MIT */
/* The inside of struct exchange. Nobody but exchange.c, stream.c and
 * server.c includes this. */
#pragma once

#include <microhttpd.h>

#include "base/list.h"
#include "base/uuid.h"
#include "http/exchange.h"

#define EXCHANGE_HEADERS_MAX 16

struct exchange {
    struct list link; /* the server's, while the parser knows it */
    unsigned refs;
    struct MHD_Connection *mhd;                 /* NULL: the caller has gone, or was answered */
    void *attached;                             /* the server's */
    struct front_conn *(*conn)(void *attached); /* NULL: it has gone */
    void (*wake)(void *arg);                    /* the parser must run: it was resumed */
    void *wake_arg;
    char *method, *path; /* owned */
    char id[UUID_TEXT_SIZE];
    struct front_peer peer;
    struct buf body;
    bool oversize;
    bool takes_chunks;
    bool dispatched; /* the handler has it */
    bool suspended;  /* and the parser waits for the answer */
    bool given_up;   /* its connection became a stream: there is no answer for the parser */
    unsigned status;
    struct MHD_Response *response; /* owned; set: answered */
    struct {
        char *name, *value; /* owned */
    } headers[EXCHANGE_HEADERS_MAX];
    size_t headers_count;
};

struct exchange *exchange_new(struct MHD_Connection *mhd, const char *method, const char *path,
                              const struct front_peer *peer, bool oversize);
/* Its connection, for a stream; NULL: the caller has gone, or was answered. From here on the parser
 * is told to forget it. */
struct front_conn *exchange_give_up(struct exchange *x);
