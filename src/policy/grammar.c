/* SPDX-License-Identifier: MIT */
/* The model and its lookups; grammar_read.c fills it. */
#include "policy/grammar.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/grammar_data.h"

struct grammars {
    const struct grammar **list; /* owned; the grammars are in the pool */
    size_t count;
    struct map *by_program;
};

static void add(struct grammars *g, struct grammar *one)
{
    g->list = mem_realloc_array(g->list, g->count + 1, sizeof(const struct grammar *));
    g->list[g->count++] = one;
    for (size_t i = 0; i < one->names_count; i++)
        (void)map_put(g->by_program, one->names[i], one);
}

static void add_unknown(struct grammars *g, struct pool *pool)
{
    struct grammar *unknown = pool_alloc(pool, sizeof(*unknown));
    unknown->name = unknown->root.name = "";
    unknown->root.permute = true;
    unknown->root.operands = GRAMMAR_ANY;
    unknown->all = pool_new_array(pool, struct grammar_command *, 1);
    unknown->all[0] = &unknown->root;
    unknown->all_count = 1;
    add(g, unknown);
}

/* The data is a part of the program, so reading it once changes no verdict. */
static struct grammars shared;
static int shared_result;
static struct err shared_words;
static pthread_once_t shared_once = PTHREAD_ONCE_INIT;

static void load_shared(void)
{
    static struct pool *pool; /* reachable for good */
    pool = pool_new();
    shared.by_program = map_new();
    for (const struct grammar_data *d = grammar_data; d->name && shared_result == 0; d++) {
        struct grammar *one;
        shared_result =
            grammar_load(pool, (const char *)d->text, d->len, d->name, &one, &shared_words);
        if (shared_result == 0)
            add(&shared, one);
    }
    add_unknown(&shared, pool);
}

int grammar_all(const struct grammars **ret, struct err *err)
{
    (void)pthread_once(&shared_once, load_shared);
    if (shared_result < 0)
        return err_set(err, shared_result, "grammar: %s", shared_words.text);
    *ret = &shared;
    return 0;
}

const struct grammar *grammar_unknown(const struct grammars *g)
{
    return g->list[g->count - 1];
}

const struct grammar *grammar_find(const struct grammars *g, const char *program)
{
    const struct grammar *found = map_get(g->by_program, program);
    return found ? found : grammar_unknown(g);
}

size_t grammar_count(const struct grammars *g)
{
    return g->count;
}

const struct grammar *grammar_at(const struct grammars *g, size_t i)
{
    return g->list[i];
}

const struct grammar_option *grammar_long(const struct grammar_command *c, const char *s, size_t n)
{
    size_t low = 0, high = c->longs_count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const char *there = c->longs[mid].text;
        int order = strncmp(there, s, n);
        if (order == 0 && there[n])
            order = 1;
        if (order == 0)
            return c->longs[mid].option;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

const struct grammar_option *grammar_short(const struct grammar_command *c, char letter)
{
    unsigned char u = (unsigned char)letter;
    return u < 128 ? c->shorts[u] : NULL;
}

struct grammar_command *grammar_command(const struct grammar_command *c, const char *word)
{
    for (size_t i = 0; i < c->commands_count; i++) {
        struct grammar_command *sub = c->commands[i];
        if (str_eq(sub->name, word))
            return sub;
        for (size_t k = 0; k < sub->aliases_count; k++)
            if (str_eq(sub->aliases[k], word))
                return sub;
    }
    return NULL;
}

bool grammar_command_prefix(const struct grammar_command *c, const char *word)
{
    for (size_t i = 0; *word && i < c->commands_count; i++) {
        const struct grammar_command *sub = c->commands[i];
        if (str_starts(sub->name, word))
            return true;
        for (size_t k = 0; k < sub->aliases_count; k++)
            if (str_starts(sub->aliases[k], word))
                return true;
    }
    return false;
}

bool grammar_spelled(const struct grammar_option *o, const char *spelling, size_t n)
{
    for (size_t i = 0; i < o->spellings_count; i++)
        if (strncmp(o->spellings[i], spelling, n) == 0 && !o->spellings[i][n])
            return true;
    return false;
}

bool grammar_knows(const struct grammar *g, const char *spelling, size_t n)
{
    for (size_t i = 0; i < g->all_count; i++) {
        const struct grammar_command *c = g->all[i];
        if (n == 2 && spelling[0] == '-' && spelling[1] != '-') {
            if (grammar_short(c, spelling[1]))
                return true;
        } else if (grammar_long(c, spelling, n)) {
            return true;
        }
    }
    return false;
}
