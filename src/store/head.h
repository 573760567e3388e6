/* SPDX-License-Identifier: MIT */
/* The head file: the last record that is known to be on the disk, kept beside the state and not
 * beside the log, so that a log whose tail was cut off gives itself away. One line:
 *   {"v":1,"seq":N,"hash":"<of record N>","file":"PATH","time":"...","check":"<64 hex>"}
 * `check` is the hash (with the log's key, if there is one) of the bytes before `,"check"`. */
#pragma once

#include <stdint.h>

#include "store/record.h"

struct head {
    uint64_t seq;
    char hash[RECORD_HASH_SIZE];
    char file[4096]; /* of the active log when it was written; "" when it does not fit */
};

/* -ENOENT: there is none. -EBADMSG: there is one, but not as it was written (or not by this key).
 */
int head_read(const char *path, struct record_hasher *h, struct head *ret,
              struct err *err) MUST_CHECK;
/* Replaces it, fsync included: blocks. */
int head_write(const char *path, struct record_hasher *h, const struct head *head,
               uint64_t realtime, struct err *err) MUST_CHECK;
