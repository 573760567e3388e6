/* SPDX-License-Identifier: MIT */
/* The chain over the files of a log. The head file is read first: what it names then must be there
 * when the end is reached, whatever the warden writes meanwhile. */
#include "store/verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "store/logset.h"
#include "store/walk.h"

struct check {
    struct chain *chain;
    char *name;  /* of the file being read; the chain borrows it */
    size_t torn; /* at the end of the file before, or of this one */
};

static void next_file(void *arg, const char *name)
{
    struct check *c = arg;
    if (c->torn > 0)
        chain_torn(c->chain, c->torn);
    c->torn = 0;
    free(c->name);
    c->name = mem_strdup(name);
    chain_file(c->chain, c->name);
}

static int next_line(void *arg, const char *line, size_t len)
{
    struct check *c = arg;
    struct record r;
    (void)chain_line(c->chain, line, len, &r);
    return 0;
}

static void torn_end(void *arg, size_t len)
{
    ((struct check *)arg)->torn = len;
}

static const struct walk_ops ops = {.file = next_file, .line = next_line, .torn = torn_end};

/* A head file that is missing or damaged is a finding, not a failure to check. */
static bool read_head(const char *path, struct record_hasher *h, struct head *head, chain_fn *fn,
                      void *arg)
{
    struct err words = {0};
    if (head_read(path, h, head, &words) == 0)
        return true;
    struct chain_problem p = {.kind = CHAIN_HEAD, .file = path};
    (void)snprintf(p.text, sizeof(p.text), "%.500s", words.text);
    if (fn)
        fn(arg, &p);
    return false;
}

int verify_log(const struct verify_options *o, chain_fn *fn, void *arg, struct chain_result *ret,
               struct err *err)
{
    *ret = (struct chain_result){0};
    _cleanup_(record_hasher_freep) struct record_hasher *h = NULL;
    int r = record_hasher_load(o->key, &h, err);
    if (r < 0)
        return r;
    struct head head;
    bool have_head = o->head && read_head(o->head, h, &head, fn, arg);
    bool single = o->single || logset_is_rotated(o->path, NULL);
    _cleanup_(chain_freep) struct chain *chain = chain_new(h, have_head ? &head : NULL, fn, arg);
    struct check c = {.chain = chain};
    r = walk_log(o->path, 0, single, &ops, &c, err);
    if (r == 0) {
        if (c.torn > 0)
            chain_torn(chain, c.torn);
        chain_end(chain, !single);
    }
    *ret = *chain_result(chain);
    ret->problems += o->head && !have_head;
    free(c.name);
    return r;
}
