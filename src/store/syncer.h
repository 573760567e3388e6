/* SPDX-License-Identifier: MIT */
/* The thread that makes written records durable: fdatasync of the log, then the head file. Nothing
 * of it runs on the loop thread, which only hands over what was written and hears what is safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/head.h"

struct syncer;

struct syncer_config {
    const char *path;         /* of the active log, for words and for its directory */
    const char *head_path;    /* or NULL */
    bool at_once;             /* sync as soon as something is written; else within a second */
    int (*fdatasync)(int fd); /* NULL: fdatasync(2); a test's own */
    void (*wake)(void *arg);  /* called on the thread when syncer_state() changed */
    void *arg;
};

/* `fd`, the active file of `size` durable bytes, is borrowed; `h` is copied. */
struct syncer *syncer_new(const struct syncer_config *c, const struct record_hasher *h, int fd,
                          off_t size);
/* Everything up to record `seq` with `hash` was written; the file has `size` bytes now. */
void syncer_want(struct syncer *s, uint64_t seq, const char *hash, off_t size);
/* From now on records go to `fd`, a new file. The old one is synced, then closed: it is the
 * syncer's from here on. */
void syncer_switch(struct syncer *s, int fd);
/* Deletes a file once everything wanted so far is safe; `path` is copied. */
void syncer_unlink(struct syncer *s, const char *path);

struct syncer_state {
    uint64_t durable;  /* seq of the last record that is safe */
    int error;         /* negative errno of the last sync when it failed; 0: fine */
    uint64_t failed;   /* seq up to which a sync was last tried and failed */
    uint64_t failures; /* how often */
};
struct syncer_state syncer_state(struct syncer *s);
/* The error alone, without a lock. */
int syncer_error(const struct syncer *s);

/* Syncs what is left, writes the head file, ends the thread. Blocks. Returns the last error. */
int syncer_stop(struct syncer *s);
struct syncer *syncer_free(struct syncer *s); /* after syncer_stop(); NULL is fine */
