/* SPDX-License-Identifier: MIT */
/* The chain of records: lines in, problems out, in bounded memory and one pass. Used by the warden
 * at its start and by `clawrden audit verify`, so both mean the same by a sound log. No files here.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "store/head.h"
#include "store/record.h"

enum chain_kind {
    CHAIN_MALFORMED, /* a line that is no record */
    CHAIN_CHANGED,   /* bytes do not fit the record's own hash */
    CHAIN_LINK,      /* the record before it is not the one it was written after */
    CHAIN_LOST,      /* records are missing here */
    CHAIN_REORDERED, /* stands at another place than where it was written */
    CHAIN_DUPLICATE,
    CHAIN_TORN, /* the last line has no end */
    CHAIN_CUT,  /* the head file knows of records behind the last */
    CHAIN_HEAD, /* the head file and the log do not agree */
    CHAIN_BREAK /* the warden itself found and recorded a break */
};
const char *chain_kind_name(enum chain_kind k); /* "changed", "lost" ... */

struct chain_problem {
    enum chain_kind kind;
    const char *file; /* borrowed */
    uint64_t line;    /* in that file, from 1; 0: not about a line */
    uint64_t seq;     /* 0: not known */
    char text[512];   /* may hold untrusted text: escape it for a terminal */
};
typedef void chain_fn(void *arg, const struct chain_problem *p);

struct chain_result {
    uint64_t files, records, problems;
    uint64_t intact; /* records whose bytes give their hash; that of chain_before() too */
    uint64_t first_seq, last_seq;
    char last_hash[RECORD_HASH_SIZE];
    uint64_t repairs;       /* torn tails that a warden mended */
    uint64_t unclean;       /* starts without a stop before them: crashes, kills */
    bool head_checked;      /* the record that the head file names was found as it says */
    uint64_t pruned_before; /* records below this seq were deleted as configured; 0: none */
};

struct chain;

/* `h`, `head` (NULL: none) and `fn`'s arg are borrowed. */
struct chain *chain_new(struct record_hasher *h, const struct head *head, chain_fn *fn, void *arg);
struct chain *chain_free(struct chain *c);
CLEANUP_DEFINE(struct chain, chain_free)

/* The last line of the file before the first one given, so that the step from file to file is
 * checked without reading all of it. Before chain_file(). */
void chain_before(struct chain *c, const char *line, size_t len);
void chain_file(struct chain *c, const char *name); /* the next file begins; name borrowed */
/* One line without its newline; `line` NULL: too long to be a record. True: *ret is a record (it
 * may have problems). */
bool chain_line(struct chain *c, const char *line, size_t len, struct record *ret);
/* Bytes behind the last newline of the last file. */
void chain_torn(struct chain *c, size_t len);
/* Nothing more comes. `whole`: the oldest file that exists was given first, so what is missing
 * before it must be known as pruned. */
void chain_end(struct chain *c, bool whole);

const struct chain_result *chain_result(const struct chain *c);
