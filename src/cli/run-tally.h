/* SPDX-License-Identifier: MIT */
/* What one run came to, counted from its audit log. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct run_tally {
    uint64_t commands; /* judged */
    uint64_t asked;    /* those for which a person was needed */
    uint64_t denied;   /* by policy, a person, a limit, for want of an answer or by an error */
    uint64_t waited_ms;
};

/* Where the log ends now; 0 when it is not there. */
off_t run_tally_mark(const char *audit);
/* Counts the records behind `from`. A line that is no record is passed over. */
int run_tally_count(const char *audit, off_t from, struct run_tally *ret,
                    struct err *err) MUST_CHECK;
/* "12 commands, 1 asked, 2 denied, waited 3s for a person" */
void run_tally_words(const struct run_tally *t, struct buf *out);
