/* SPDX-License-Identifier: MIT */
#include "core/remember.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"

#define KEY_MAX (16u << 10)

struct remember {
    struct map *by_key; /* -> who, owned */
};

struct remember *remember_new(void)
{
    struct remember *m = mem_new(struct remember);
    m->by_key = map_new();
    return m;
}

struct remember *remember_free(struct remember *m)
{
    const char *key;
    void *who;
    if (!m)
        return NULL;
    for (size_t i = 0; map_next(m->by_key, &i, &key, &who);)
        free(who);
    map_free(m->by_key);
    free(m);
    return NULL;
}

int remember_check(const struct request *r, struct err *err)
{
    const struct policy_program *p = &r->facts.program;
    if (r->ask.door != DOOR_GATE || r->ask.tree == 0)
        return err_set(err, -EINVAL, "only programs under a gate are remembered");
    if (!r->facts.known || !str_eq(r->judged.rule_name, "unknown_executable") || r->judged.rule)
        return err_set(err, -EINVAL,
                       "a rule asks about this command each time; only programs that are asked "
                       "about because they are unknown can be remembered");
    if (!p->digest || !p->path)
        return err_set(err, -EINVAL,
                       "its content could not be read, so there is nothing to remember it by");
    return 0;
}

/* The content and every name that counts; a path holds no NUL, and what separates is one byte that
 * is not in the numbers before. False: too long. */
static bool key_of(const struct request *r, bool next, struct buf *out)
{
    const struct policy_program *p = &r->facts.program;
    (void)buf_printf(out, "%" PRIu64 ":%u:", r->ask.tree, (unsigned)r->peer.uid);
    if (next)
        (void)buf_printf(out, "next %d %" PRIu64 ":", (int)r->peer.pid, r->peer.start_time);
    (void)buf_printf(out, "%s:", p->digest);
    /* The interpreter of a remembered script belongs to it, but not for the step behind env. */
    if (!next || !p->script)
        (void)buf_printf(out, "%zu:%s:", strlen(p->path), p->path);
    return buf_append_str(out, p->script ? p->script : "") == 0 && !out->failed;
}

static void add(struct remember *m, const struct request *r, bool next, const char *who)
{
    _cleanup_buf_ struct buf key = BUF_INIT(KEY_MAX);
    if (map_count(m->by_key) >= REMEMBER_MAX || !r->facts.program.digest ||
        !r->facts.program.path || r->ask.tree == 0 || !key_of(r, next, &key))
        return;
    free(map_put(m->by_key, buf_str(&key), mem_strdup(who)));
}

void remember_add(struct remember *m, const struct request *r, const char *who)
{
    struct err err;
    if (remember_check(r, &err) < 0)
        return;
    _cleanup_free_ char *words = mem_printf("%s (request %s)", who, r->id_text);
    add(m, r, false, words);
}

void remember_next(struct remember *m, const struct request *r, const char *who)
{
    const struct policy_program *p = &r->facts.program;
    if (r->ask.door == DOOR_GATE && p->script && p->path && str_eq(str_basename(p->path), "env"))
        add(m, r, true, who);
}

bool remember_find(struct remember *m, const struct request *r, char *out, size_t size)
{
    struct err err;
    if (map_count(m->by_key) == 0 || remember_check(r, &err) < 0)
        return false;
    for (int next = 0; next < 2; next++) {
        _cleanup_buf_ struct buf key = BUF_INIT(KEY_MAX);
        if (!key_of(r, next, &key))
            continue;
        const char *who = map_get(m->by_key, buf_str(&key));
        if (!who)
            continue;
        (void)snprintf(out, size, "%s", who);
        if (next)
            free(map_remove(m->by_key, buf_str(&key)));
        return true;
    }
    return false;
}

void remember_forget(struct remember *m, uint64_t tree)
{
    char start[32];
    const char *key;
    void *who;
    (void)snprintf(start, sizeof(start), "%" PRIu64 ":", tree);
    for (size_t i = 0; map_next(m->by_key, &i, &key, &who);)
        if (str_starts(key, start)) {
            (void)map_remove(m->by_key, key);
            free(who);
        }
}

size_t remember_count(const struct remember *m)
{
    return map_count(m->by_key);
}
