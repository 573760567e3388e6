/* SPDX-License-Identifier: MIT */
/* The warden's end of clawrden-mirror: starts it from a sealed copy, talks to it over its socket,
 * starts it again when it dies. Knows messages, not requests: resolve.c and local.c stand on it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/list.h"
#include "wire/helper.h"

struct mirror;

/* Who hears of it. `lost`: everything that was under way is gone; a new one may be there already.
 */
struct mirror_listener {
    struct list link;                                                             /* the mirror's */
    bool (*message)(void *arg, const struct helper_head *h, const uint8_t *body); /* true: mine */
    void (*lost)(void *arg, const char *words);
    /* A lent worker is gone, and will not answer `job`. True: mine. NULL: never asks one. */
    bool (*line_lost)(void *arg, uint64_t job);
    void *arg;
};

/* Starts the helper from a copy of `binary`. `loop` is borrowed. */
int mirror_new(uv_loop_t *loop, const char *binary, struct mirror **ret,
               struct err *err) MUST_CHECK;
/* Ends the helper, and with it everything that runs. Frees itself when the loop has closed its
 * handles: run the loop once more. */
void mirror_close(struct mirror *m);

void mirror_listen(struct mirror *m, struct mirror_listener *l);

/* A number for a message that was never used before. */
uint64_t mirror_job(struct mirror *m);

/* Sends a message, to a lent worker when the job is one's: `len` bytes at `body`, and copies of the
 * descriptors, which stay the caller's. Never blocks; what the socket does not take waits here.
 * -ENOTCONN: no helper runs now. */
int mirror_send(struct mirror *m, enum helper_type type, uint64_t job, const uint8_t *body,
                size_t len, const int *fds, unsigned fds_count, struct err *err);

/* ---- workers that the helper has lent, each with a seat in a container ---- */

/* One in the container of `init`, if any is free, will get what is sent of `job`, which is to be a
 * lookup. False: the dispatcher will. */
bool mirror_claim(struct mirror *m, pid_t init, uint64_t job);
/* Between offer and withdrawal, the one that has done the lookup `job` for `owner` may go on with
 * its command. Withdrawn in any case, it is free when nobody has accepted; false: there was none.
 */
void mirror_offer(struct mirror *m, uint64_t job, const void *owner);
void mirror_accept(struct mirror *m, const void *owner, uint64_t job);
bool mirror_withdraw(struct mirror *m, uint64_t job);

/* What it can do here, for status and log: "" before it said so, or when nothing is missing. */
const char *mirror_words(const struct mirror *m);
/* Why it cannot enter containers, or "". */
const char *mirror_outside(const struct mirror *m);
bool mirror_is_root(const struct mirror *m);       /* may run commands of other users */
const char *mirror_cgroup(const struct mirror *m); /* "" when commands have none of their own */
bool mirror_ready(const struct mirror *m);         /* it runs and has said hello */
pid_t mirror_pid(const struct mirror *m);          /* 0: none */
