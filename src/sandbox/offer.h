/* SPDX-License-Identifier: MIT */
/* What this host has of what governing needs. Each answer comes from trying it, in a child process
 * that ends; nothing stays changed. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/enter.h"

enum offer_cgroups { OFFER_CGROUPS_NONE, OFFER_CGROUPS_V1, OFFER_CGROUPS_HYBRID, OFFER_CGROUPS_V2 };

struct offer {
    char kernel[80];
    bool listener; /* seccomp user notification; else why: */
    struct err no_listener;
    bool wait_killable; /* its flag of Linux 5.19 */
    bool tracing;       /* ptrace of one's own child */
    struct err no_tracing;
    int yama;             /* kernel.yama.ptrace_scope; -1: no Yama */
    struct enter_way way; /* the strongest walls; .wall NONE: none at all */
    struct err weaker;    /* why not stronger; "" for the strongest */
    bool network;         /* a network namespace can be had */
    int landlock;         /* ABI, 0: none */
    enum offer_cgroups cgroups;
    bool cgroups_ours;      /* we may make one */
    bool pidfd, peer_pidfd; /* Linux 5.3; SO_PEERPIDFD of 6.5 */
    bool engine;            /* a container engine's socket answers us */
    bool root;
};

void offer_find(struct offer *ret);
const char *offer_cgroups_name(enum offer_cgroups c);
/* True when the gate works here: `clawrden run`, and as the entry point of a container. */
bool offer_has_gate(const struct offer *o);
