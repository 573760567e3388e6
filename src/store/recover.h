/* SPDX-License-Identifier: MIT */
/* What a warden does with the log it finds at its start: take the lock, follow the chain, put a
 * torn tail aside. Evidence is kept, never mended away: what was found goes into records. Blocks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/chain.h"
#include "store/inflight.h"

struct recovery {
    int fd;      /* owned; the active file, open for appending */
    int lock_fd; /* owned; holds the lock while it is open */
    off_t size;
    bool fresh;   /* there was no record in it */
    uint64_t seq; /* the next record gets seq + 1: never a number that was used before */
    char hash[RECORD_HASH_SIZE]; /* and this as its `prev` */
    uint64_t first_seq;          /* of the active file; 0: fresh */
    uint64_t born;               /* time of its first record, realtime ns; 0: unknown */
    bool clean;                  /* its last record is a stop, or it is fresh */
    const char *head; /* "agrees", "disagrees", "missing", "damaged", "of another log", "off" */
    struct inflight *open; /* owned */
    uint64_t torn;         /* bytes taken off the end; kept in torn_path */
    char *torn_path;       /* owned */
    uint64_t breaks;       /* problems of the chain that no earlier start recorded */
    char break_text[640];  /* words about the first of them */
};

/* -EBUSY: another warden has this log. -EKEYREJECTED: not one of its records fits `h`. */
int recover_log(const char *path, const char *head_path, struct record_hasher *h, mode_t mode,
                uint64_t realtime, struct recovery *ret, struct err *err) MUST_CHECK;
void recover_done(struct recovery *r);
