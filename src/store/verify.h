/* SPDX-License-Identifier: MIT */
/* Checks an audit log on disk: one file, or the active file with all rotated ones before it. Reads
 * only, takes no lock, works while the warden writes, memory does not grow with the log. */
#pragma once

#include <stdbool.h>

#include "base/err.h"
#include "store/chain.h"

struct verify_options {
    const char *path; /* the active log, or one rotated file */
    const char *head; /* path of the head file, or NULL */
    const char *key;  /* path of the key file, or NULL */
    bool single;      /* only this very file, not the rotated ones with it */
};

/* 0 when all was read, whatever was found: `fn` is called for each problem, *ret counts them.
 * Negative: a file could not be read, `err` says which. */
int verify_log(const struct verify_options *o, chain_fn *fn, void *arg, struct chain_result *ret,
               struct err *err) MUST_CHECK;
