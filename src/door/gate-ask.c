/* SPDX-License-Identifier: MIT */
#include "door/gate-ask.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define NAME_MAX_ 255
#define PROGRAMS_MAX 4096

int gate_ask_new(const uint8_t *body, size_t n, struct gate_ask **ret)
{
    _cleanup_(gate_ask_freep) struct gate_ask *a = mem_new(struct gate_ask);
    a->body = n ? mem_dup(body, n) : mem_zalloc(1);
    int r = gatewire_request_decode((const uint8_t *)a->body, n, &a->m);
    if (r < 0)
        return r;
    a->facts = a->m.facts;
    a->fresh = true;
    *ret = TAKE_PTR(a);
    return 0;
}

struct gate_ask *gate_ask_free(struct gate_ask *a)
{
    if (!a)
        return NULL;
    free(a->body);
    free(a->found_body);
    free(a->operands);
    free(a);
    return NULL;
}

static const char **list_strings(const char *first, size_t n)
{
    const char **v = mem_new_array(const char *, n + 1);
    for (size_t i = 0; i < n; i++, first = pack_next(first))
        v[i] = first;
    return v;
}

/* One component, as the names of shims are. */
static const char *name_of(const char *execfn)
{
    const char *name = str_basename(execfn);
    bool good = name[0] && strlen(name) <= NAME_MAX_ && !str_eq(name, ".") && !str_eq(name, "..");
    return good ? name : "?";
}

/* The path that it was started by; of a tool that is a script, the script's. */
static const char *called_as(const struct gate_ask *a)
{
    const char *arg = a->m.argv.packed;
    /* A covered link to a script was called by a name that its interpreter does not see. */
    bool by_name =
        a->facts.names.count > 0 && str_eq(a->facts.names.packed, str_basename(a->m.execfn));
    if (a->facts.script_arg == 0 || by_name || a->facts.script_arg >= a->m.argv.count)
        return a->m.execfn;
    for (uint32_t i = 0; i < a->facts.script_arg; i++)
        arg = pack_next(arg);
    return arg;
}

void gate_ask_fill(const struct gate_ask *a, struct request *r, bool unholdable)
{
    const char *name = name_of(called_as(a));
    size_t name_size = strlen(name) + 1;
    size_t size = name_size + a->m.argv.size + a->m.env.size;
    char *blob = mem_zalloc(size + 1), *argv = blob + name_size, *env = argv + a->m.argv.size;
    memcpy(blob, name, name_size);
    memcpy(argv, a->m.argv.packed, a->m.argv.size);
    memcpy(env, a->m.env.packed, a->m.env.size);
    r->ask = (struct ask){.door = DOOR_GATE,
                          .blob = blob,
                          .name = blob,
                          .cwd = "",
                          .argv = list_strings(argv, a->m.argv.count),
                          .argc = a->m.argv.count,
                          .env = list_strings(env, a->m.env.count),
                          .envc = a->m.env.count,
                          .unholdable = unholdable};
}

void gate_ask_expect(struct gate_ask *a, const size_t *argv_indices, size_t n)
{
    free(a->operands);
    a->operands = n ? mem_dup(argv_indices, n * sizeof(*argv_indices)) : NULL;
    a->operands_count = n;
}

void gate_ask_again(struct gate_ask *a, const uint8_t *body, size_t n)
{
    struct gatewire_found m;
    char *copy = mem_dup(body, n);
    if (gatewire_found_decode((const uint8_t *)copy, n, &m) < 0) {
        free(copy); /* not reached: it was decoded before */
        return;
    }
    free(a->found_body);
    a->found_body = copy;
    a->facts = m.facts;
}

static const char *keep(struct facts *f, const char *s)
{
    return s[0] ? facts_keep(f, mem_strdup(s)) : NULL;
}

static enum program_trust trust_of(uint32_t t)
{
    return t == GATEWIRE_TRUSTED ? PROGRAM_TRUSTED : PROGRAM_UNKNOWN;
}

static void program_key(uint64_t dev, uint64_t ino, char out[48])
{
    (void)snprintf(out, 48, "%" PRIu64 ":%" PRIu64, dev, ino);
}

/* A script that a trusted path leads to is the program; otherwise its interpreter is. */
static void fill_program(const struct gate_ask *a, struct facts *f)
{
    const struct gatewire_facts *m = &a->facts;
    const char **names = facts_keep(f, mem_new_array(const char *, m->names.count + 1));
    const char *s = m->names.packed;
    for (uint32_t i = 0; i < m->names.count; i++, s = pack_next(s))
        names[i] = keep(f, s);
    bool by_script = m->script_arg > 0;
    f->argv_skip = m->script_arg;
    f->program = (struct policy_program){
        .trust = trust_of(m->trust),
        .path = keep(f, by_script ? m->script : m->path),
        .dev = m->dev,
        .ino = m->ino,
        .names = names,
        .names_count = m->names.count,
        .script = keep(f, m->script),
        .script_trust = trust_of(m->script_trust),
        .interpreter = keep(f, by_script ? m->path : m->interpreter),
        .digest = keep(f, m->digest),
        .why_unknown = keep(f, m->why_unknown),
    };
}

static void fill_paths(const struct gate_ask *a, struct facts *f)
{
    struct policy_path *paths =
        facts_keep(f, mem_new_array(struct policy_path, a->operands_count + 1));
    const char *s = a->facts.operands.packed;
    for (size_t i = 0; i < a->operands_count; i++) {
        paths[i] = (struct policy_path){.arg = a->operands[i]};
        if (i < a->facts.operands.count) {
            paths[i].resolved = s[0] == '/' ? keep(f, s) : NULL;
            s = pack_next(s);
        }
    }
    f->paths = paths;
    f->paths_count = a->operands_count;
}

static void learn(struct map *programs, const struct facts *f)
{
    char key[48];
    const struct policy_program *p = &f->program;
    if (p->trust != PROGRAM_TRUSTED || p->names_count == 0 || p->interpreter ||
        map_count(programs) >= PROGRAMS_MAX)
        return;
    program_key(p->dev, p->ino, key);
    free(map_put(programs, key, mem_strdup(p->names[0])));
}

static void fill_above(const struct gate_ask *a, const struct map *programs, struct facts *f)
{
    const char *s = a->m.parents.packed;
    f->above = facts_keep(f, mem_new_array(const char *, a->m.parents.count + 1));
    for (uint32_t i = 0; i < a->m.parents.count; i++, s = pack_next(s)) {
        char key[48];
        size_t n = strcspn(s, " ");
        if (n >= sizeof(key))
            continue;
        memcpy(key, s, n);
        key[n] = '\0';
        const char *name = map_get(programs, key);
        if (name)
            f->above[f->above_count++] = facts_keep(f, mem_strdup(name));
    }
}

int gate_ask_facts(const struct gate_ask *a, struct map *programs, struct facts *ret, char *words,
                   size_t words_size)
{
    const struct gatewire_facts *m = &a->facts;
    facts_done(ret);
    if (m->error) {
        (void)snprintf(words, words_size, "%s", m->words);
        return -(int)(m->error < 4096 ? m->error : EIO);
    }
    words[0] = '\0';
    ret->cwd = m->cwd[0] ? mem_strdup(m->cwd) : NULL;
    ret->cwd_dev = m->cwd_dev;
    ret->cwd_ino = m->cwd_ino;
    ret->exec_path = mem_strdup(m->path);
    fill_program(a, ret);
    fill_paths(a, ret);
    if (programs) {
        fill_above(a, programs, ret);
        learn(programs, ret);
    }
    ret->known = true;
    return 0;
}
