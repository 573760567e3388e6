/* SPDX-License-Identifier: MIT */
/* A grammar file as bytes: it is refused with its place, or each of its lookups finds what it
 * names. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "policy/grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
    if (!ok)
        abort();
}

static void look(const struct grammar *g)
{
    must(g->all_count >= 1 && g->all[0] == &g->root);
    for (size_t i = 0; i < g->all_count; i++) {
        const struct grammar_command *c = g->all[i];
        must(c->name != NULL);
        for (size_t k = 0; k < c->longs_count; k++) {
            const char *s = c->longs[k].text;
            must(grammar_long(c, s, strlen(s)) != NULL);
            must(c->longs[k].option->id < g->options_count);
            must(grammar_knows(g, s, strlen(s)));
        }
        for (int letter = 0; letter < 128; letter++)
            must(grammar_short(c, (char)letter) == c->shorts[letter]);
        (void)grammar_command(c, "push");
        (void)grammar_command_prefix(c, "pu");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(pool_freep) struct pool *pool = pool_new();
    struct grammar *g = NULL;
    struct err err = {{0}};
    int r = grammar_load(pool, (const char *)data, size, "f", &g, &err);
    must(r == 0 || strncmp(err.text, "f:", 2) == 0);
    if (r == 0)
        look(g);
    return 0;
}
