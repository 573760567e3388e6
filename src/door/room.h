/* SPDX-License-Identifier: MIT */
/* What the files of this layer share: one open door, and one caller's conversation. Private to
 * src/door. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/buf.h"
#include "base/company.h"
#include "base/list.h"
#include "base/map.h"
#include "core/warden.h"
#include "door/door.h"
#include "door/peer.h"
#include "door/v1json.h"
#include "wire/v1.h"
#include "wire/v2.h"

/* What one uid holds of the door. Lives while it holds anything. */
struct quota {
    char key[16];
    size_t sessions; /* that point here, also those whose connection is gone */
    unsigned connections;
    unsigned half_count; /* sessions in `half` */
    size_t bytes;
    struct list half; /* its sessions without a whole request, oldest first */
    bool parsing;     /* one large JSON text at a time */
    uid_t uid;
    uint64_t turn;        /* in which one of its connections was read last */
    uint64_t owed_until;  /* monotonic ns: for large requests, see door/turns.c */
    struct list line;     /* its sessions that can be read, the first to come first */
    struct list in_lines; /* turns.lines, while `line` is not empty */
};

/* Whose turn it is: door/turns.c. */
struct turns {
    uint64_t turn;          /* that goes on */
    unsigned served;        /* in this turn */
    struct list lines;      /* quotas with somebody in line, the next first */
    struct company company; /* uids that were read */
    uv_prepare_t prepare;
    uv_idle_t idle;   /* active: somebody can be read without waiting */
    uv_timer_t timer; /* active: who stands in line has to pay first */
};

struct room {
    uv_loop_t *loop;
    struct warden *warden;
    struct door_config config;
    struct disposer *disposer;
    bool rights_refused; /* the kernel refuses descriptors for us, so closing cannot block */
    struct map *quotas;  /* uid in decimal -> struct quota */
    unsigned connections;
    size_t bytes;
    struct map *asked; /* address of the request -> struct session */
    struct list all;   /* sessions */
    struct list half;  /* without a whole request, oldest first */
    struct list lingering;
    struct list waiting; /* for a person; the next to look at first */
    size_t waiting_count;
    struct list to_parse; /* large JSON texts */
    unsigned parsing;
    struct turns turns;
    size_t sessions; /* not yet freed */
    uv_timer_t timer;
    bool ticking;
    bool closing;
};

enum session_state {
    SESSION_READING,   /* its request */
    SESSION_PARSING,   /* a large JSON text, on another thread or in line for it */
    SESSION_NAMING,    /* the engine is asked for its container */
    SESSION_ASKED,     /* the warden has the request */
    SESSION_LINGERING, /* refused: the answer is on its way out */
    SESSION_CLOSED,    /* the connection is gone or given away; the request may still be going on */
};

struct session {
    struct caller caller;
    struct room *room; /* borrowed */
    struct quota *quota;
    enum session_state state;
    enum door_kind protocol; /* valid once `protocol_known` */
    bool protocol_known;
    bool whole;   /* the request was received to its end */
    bool acked;   /* v1: V1_ACK_PENDING was sent */
    bool polling; /* the handle is not closed */
    bool in_turn; /* stands in quota->line: it can be read, and is not watched */
    int fd;       /* owned */
    int events;   /* that the poll is armed for */
    uv_poll_t poll;
    struct peer_creds who;
    struct list in_all;
    struct list in_state; /* room: half, lingering, waiting or to_parse */
    struct list in_quota; /* quota->half */
    struct list in_line;  /* quota->line */
    uint64_t deadline;    /* monotonic ns, of the request or of the lingering */
    uint8_t head[V2_MAGIC_SIZE + V2_HEAD_SIZE];
    size_t head_len;
    uint32_t body_len;
    struct buf in;
    struct buf out;
    size_t charged;         /* bytes on the quota's account */
    struct request *naming; /* owned until it is submitted */
    struct request *r;      /* borrowed from the warden until it has ended */
    bool looked_after;      /* in room->waiting */
    uint64_t leader_start;  /* start time of the session leader when it began to wait; 0: none */
    uv_work_t work;
    bool working;
    struct ask parsed; /* by the worker */
    int parse_result;
    struct err parse_err;
};
