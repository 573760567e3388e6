/* SPDX-License-Identifier: MIT */
/* The inside of http/front: one connection, and what it shares with its listener. Nobody but
 * front.c, relay.c and stream.c includes this. */
#pragma once

#include <uv.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/front.h"
#include "http/gate.h"
#include "http/stream.h"
#include "http/tls.h"

#define FRONT_CHUNK (64u << 10)
#define FRONT_LISTENERS_MAX 4

enum relay_state {
    RELAY_HEAD,   /* a head is coming, or nothing */
    RELAY_BODY,   /* its head passed the gate */
    RELAY_READY,  /* the request is here, and stands in line for the parser */
    RELAY_ANSWER, /* the parser has the request */
    RELAY_DRAIN,  /* the parser is done; the rest of the answer is on its way */
    RELAY_STREAM, /* no parser any more: http/stream.h */
    RELAY_LINGER, /* our side is shut: the peer may finish reading */
    RELAY_CLOSED, /* handles are closing */
};

struct listener {
    struct front *front;
    uv_poll_t poll;
    int fd; /* owned */
    bool is_unix, paused;
    unsigned count;
};

struct front {
    uv_loop_t *loop;
    struct front_config config;
    struct list conns; /* the one that was busy least lately first */
    struct list streams;
    struct list ready; /* RELAY_READY, in the order of their coming */
    uv_check_t turn;
    uv_idle_t awake; /* active while somebody stands in line */
    unsigned count;
    struct listener listeners[FRONT_LISTENERS_MAX];
    size_t listeners_count;
    struct tls_context *tls; /* owned; NULL: TCP speaks in clear */
    uv_timer_t sweep;
    unsigned handles; /* that must close before this may go */
    bool closing;
    uint64_t close_at; /* loop ms: who still reads then is cut off */
    void (*gone)(void *arg);
    void *gone_arg;
    char plain[FRONT_CHUNK];   /* what TLS hands over, in one call too */
    char scratch[FRONT_CHUNK]; /* libuv reads into it and hands it over in one call */
};
/* One more handle of the front, or of a connection of it, has closed. */
void front_handle_gone(struct front *f);
/* The last connection of a closing front has gone. */
void front_emptied(struct front *f);

struct stream {
    const struct stream_ops *ops; /* NULL: no stream, or `gone` was called */
    void *arg;
};

struct front_conn {
    struct list link;    /* in conns or streams of the front */
    struct list in_line; /* in `ready` of the front */
    struct front *front;
    struct listener *listener;
    struct front_peer peer;
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } outer;
    struct tls *tls; /* owned; NULL: in clear */
    uv_pipe_t inner;
    bool has_inner;
    void *attached;   /* what config.attach returned, until detach */
    unsigned handles; /* that must close before this may go */
    enum relay_state state;
    struct buf in;
    struct gate_scan scan;
    struct gate_head head;
    size_t need;       /* bytes of the request that is coming */
    bool peer_done;    /* it has shut its side */
    bool inner_done;   /* the parser has closed its end */
    bool taken;        /* the parser has understood the request at hand */
    unsigned writes;   /* towards the peer, under way */
    uint64_t deadline; /* loop ms; 0: none */
    uint64_t stall;    /* the same, for the write that is under way */
    size_t lingered;
    bool counted; /* among the connections of its listener */
    struct stream stream;
};

/* Takes over `fd`. */
void relay_new(struct listener *l, int fd, const struct front_peer *peer);
void relay_close(struct front_conn *c);
/* Hands its request to the parser: it was the first in line. */
void relay_pass(struct front_conn *c);
/* For stream.c. The parser forgets the connection. */
void relay_stream_begin(struct front_conn *c);
int relay_stream_send(struct front_conn *c, const char *p, size_t n);
void relay_stream_end(struct front_conn *c);
/* Whatever deadline has passed. */
void relay_sweep(struct front_conn *c, uint64_t now);
