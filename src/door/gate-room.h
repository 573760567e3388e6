/* SPDX-License-Identifier: MIT */
/* What the files of the door for gates share: the door, one gate's connection, one command of its
 * tree. Private to src/door. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <uv.h>

#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "core/container.h"
#include "core/warden.h"
#include "door/disposer.h"
#include "door/gate-ask.h"
#include "door/gate-link.h"

#define GATE_EXIT_CANNOT 125

struct gate_door {
    uv_loop_t *loop;
    struct warden *warden;
    struct resolver resolver;
    struct resolver *next; /* borrowed */
    struct executor inplace, redirect;
    char *
        shim; /* owned: what redirect puts in a program's place; absolute, in the tree's own root */
    struct fitter *fitter; /* borrowed; NULL: containers stay as they are */
    struct disposer *disposer;
    struct list gates;
    size_t count;
    bool exclusive; /* one was inherited: no others */
    bool closing;
    uint64_t last_tree;
    struct map *by_request; /* address of the request -> struct gate_command */
};

struct gate {
    struct list link;
    struct gate_door *door;
    struct gate_link wire;
    uv_poll_t poll;
    uv_timer_t timer;
    int polled;  /* the events that are waited for */
    int handles; /* not closed yet */
    bool greeted, closed, magic;
    bool fitting;          /* its container is being made what its jail asks for */
    uint64_t settle_until; /* loop ms: to find out of which container it is */
    bool settled;          /* it is known of which container it is: it was welcomed */
    uint32_t flags;
    pid_t pid;
    uint64_t tree;        /* its number */
    struct map *jobs;     /* number -> struct gate_command */
    struct map *by_pid;   /* process -> the struct gate_command that runs in it */
    struct map *programs; /* "DEV:INO" -> name (owned) of what was trusted */
    size_t bytes;
    char *search;            /* owned: the search path that it was told, to see a change */
    struct census *census;   /* borrowed; NULL: it is of this host */
    const struct bond *bond; /* borrowed; NULL: the door belongs to everybody */
    struct container *in;    /* owned reference; NULL: host. Where it stands, its tree does */
    char *container;         /* owned; NULL: host */
};

enum command_state { COMMAND_ASKED, COMMAND_LOOKING, COMMAND_RELEASED, COMMAND_RUNNING };

struct gate_command {
    struct caller caller;
    struct gate *gate; /* NULL once it is gone */
    uint64_t job;
    pid_t pid;         /* once it runs */
    struct request *r; /* borrowed until it has ended */
    enum command_state state;
    struct gate_ask *ask; /* owned: what the gate found, until it was judged */
    size_t bytes;
    bool waiting;
    uint64_t leader_start; /* as in door/watch.c; 0 none */
    bool ended;            /* the gate said so; END is on its way through the warden */
    bool still;            /* the gate has seen that it stands still */
};

/* ---- gate-door.c: the connection ---- */

/* `n` is what an encoder returned. Loses the gate when that is not possible. */
void gate_door_post(struct gate *g, enum gatewire_type type, const void *body, size_t n);
/* Sends what was put into its link. */
void gate_door_flush(struct gate *g);
void gate_door_deny(struct gate *g, uint64_t job, int code, const char *text);
/* The policy's search path, when the gate does not know it yet. */
void gate_door_welcome(struct gate *g);
/* A tick earlier than the usual one. */
void gate_door_soon(struct gate *g);
/* Ends the connection; `why` is logged, NULL: it was said already. */
void gate_door_lose(struct gate *g, const char *why);

/* Encodes into memory of its own: `encode` is one of wire/gatewire's. */
#define GATE_POST(g, type, encode, message)                                                        \
    do {                                                                                           \
        size_t n_ = encode(message, NULL, 0);                                                      \
        _cleanup_free_ uint8_t *body_ = mem_zalloc(n_ + 1);                                        \
        (void)encode(message, body_, n_);                                                          \
        gate_door_post(g, type, body_, n_);                                                        \
    } while (0)

/* ---- gate-command.c: one program of the tree ---- */

struct gate_command *gate_command_find(const struct gate *g, uint64_t job);
/* A new one that the warden has not seen yet: `r` gets it as its caller. Owns `a`. */
void gate_command_new(struct gate *g, struct request *r, struct gate_ask *a, size_t bytes);
/* It runs: its children are known by it. */
void gate_command_runs(struct gate_command *c);
/* Whether `p`, which has just been described, is a child of what runs in this tree: then its
 * parent's name is that program's. */
bool gate_command_is_parent(const struct gate *g, struct peer *p);
/* What the gate found becomes the facts; programs that can be trusted are known by their inode. */
void gate_command_judge(struct gate_command *c);
/* The warden has no more use for its request. */
void gate_command_done(struct gate_door *d, const struct request *r);
/* Its gate is gone. */
void gate_command_end(struct gate_command *c, const char *why);
/* Withdraws those of which the asker is gone. */
void gate_command_look_after(struct gate *g);
extern const struct executor gate_command_inplace, gate_command_redirect;
extern const struct resolver gate_command_resolver;

/* ---- gate-says.c: what the gate says ---- */

/* One message. May lose the gate. */
void gate_says(struct gate *g, const struct gatewire_head *h, const uint8_t *body);
/* Tells it what lies below the covers of its container, which may have changed. */
void gate_says_refit(struct gate *g);
/* Looks again of which container it is. */
void gate_says_again(struct gate *g);
/* Counts it, and loses the gate. */
void gate_says_nonsense(struct gate *g, const char *words);
/* Tells the gate why there is no service, and loses it. */
void gate_says_refused(struct gate *g, const char *words);
