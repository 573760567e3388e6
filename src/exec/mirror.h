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

/* Sends a message: `len` bytes at `body`, and copies of the descriptors, which stay the caller's.
 * Never blocks; what the socket does not take waits here. -ENOTCONN: no helper runs now. */
int mirror_send(struct mirror *m, enum helper_type type, uint64_t job, const uint8_t *body,
                size_t len, const int *fds, unsigned fds_count, struct err *err);

/* What it can do here, for status and log: "" before it said so, or when nothing is missing. */
const char *mirror_words(const struct mirror *m);
/* Why it cannot enter containers, or "". */
const char *mirror_outside(const struct mirror *m);
bool mirror_is_root(const struct mirror *m);       /* may run commands of other users */
const char *mirror_cgroup(const struct mirror *m); /* "" when commands have none of their own */
bool mirror_ready(const struct mirror *m);         /* it runs and has said hello */
pid_t mirror_pid(const struct mirror *m);          /* 0: none */
