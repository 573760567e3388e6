/* SPDX-License-Identifier: MIT */
/* A gate's REQUEST and FACTS in the form of the core. Private to src/door. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/map.h"
#include "core/request.h"
#include "wire/gatewire.h"

struct gate_ask {
    char *body;       /* owned: of the REQUEST; pointers of `m` lead into it */
    char *found_body; /* owned: of the last FACTS, or NULL */
    struct gatewire_request m;
    struct gatewire_facts facts; /* the newest */
    bool fresh;                  /* nothing was made of them yet */
    size_t *operands;            /* owned: argv indices that the facts' operands are for */
    size_t operands_count;
};

/* Copies the body. -EBADMSG, -E2BIG: nothing is made. */
int gate_ask_new(const uint8_t *body, size_t n, struct gate_ask **ret) MUST_CHECK;
struct gate_ask *gate_ask_free(struct gate_ask *a);
CLEANUP_DEFINE(struct gate_ask, gate_ask_free)

/* What was asked, into `r`; its strings are copies. */
void gate_ask_fill(const struct gate_ask *a, struct request *r, bool unholdable);
/* The operands of the next facts, by their index in argv. */
void gate_ask_expect(struct gate_ask *a, const size_t *argv_indices, size_t n);
/* Takes newer facts from the body of FACTS, which was decoded before. */
void gate_ask_again(struct gate_ask *a, const uint8_t *body, size_t n);
/* The facts as the core has them. `programs` ("DEV:INO" -> name, owned strings) learns trusted ones
 * and names what is above. 0, or a negative errno with `words`. */
int gate_ask_facts(const struct gate_ask *a, struct map *programs, struct facts *ret, char *words,
                   size_t words_size);
