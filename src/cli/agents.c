/* SPDX-License-Identifier: MIT */
#include "cli/agents.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "policy/doc.h"

#define TEXT_MAX 65536
#define WORDS_LOOKED_AT 4 /* "npx", "-y", "--", "@openai/codex" */

struct reading {
    struct doc doc;
    struct pool *pool;
    struct agents_entry *out;
};

static int read_name(void *arg, const struct doc_node *n, struct err *err)
{
    struct reading *x = arg;
    return doc_string(&x->doc, n, "name", &x->out->name, err);
}

static int read_commands(void *arg, const struct doc_node *n, struct err *err)
{
    struct reading *x = arg;
    int r = doc_strings(&x->doc, x->pool, n, "commands", &x->out->commands, &x->out->commands_count,
                        err);
    for (size_t i = 0; r == 0 && i < x->out->commands_count; i++)
        if (x->out->commands[i][0] == '\0' || strchr(x->out->commands[i], '/'))
            r = doc_fail(&x->doc, n, err, "a command is a name without '/'");
    return r;
}

/* Only what lies below the home directory, and never the home directory itself. */
static int read_paths(struct reading *x, const struct doc_node *n, const char *what,
                      const char *const **ret, size_t *ret_count, struct err *err)
{
    int r = doc_strings(&x->doc, x->pool, n, what, ret, ret_count, err);
    for (size_t i = 0; r == 0 && i < *ret_count; i++) {
        const char *s = (*ret)[i];
        _cleanup_free_ char *normal = str_starts(s, "~/") ? path_normalise(s + 1) : NULL;
        if (!normal || !str_eq(normal, s + 1) || str_eq(normal, "/"))
            r = doc_fail(&x->doc, n, err, "%s: a path begins with '~/' and has no '.' or '..'",
                         what);
    }
    return r;
}

static int read_state(void *arg, const struct doc_node *n, struct err *err)
{
    struct reading *x = arg;
    return read_paths(x, n, "state", &x->out->state, &x->out->state_count, err);
}

static int read_files(void *arg, const struct doc_node *n, struct err *err)
{
    struct reading *x = arg;
    return read_paths(x, n, "files", &x->out->files, &x->out->files_count, err);
}

static int read_caches(void *arg, const struct doc_node *n, struct err *err)
{
    struct reading *x = arg;
    return read_paths(x, n, "caches", &x->out->caches, &x->out->caches_count, err);
}

int agents_parse(struct pool *pool, const char *text, size_t len, const char *name,
                 struct agents_entry *ret, struct err *err)
{
    static const struct doc_key keys[] = {{"name", read_name},     {"commands", read_commands},
                                          {"state", read_state},   {"files", read_files},
                                          {"caches", read_caches}, {0}};
    struct reading x = {.pool = pool, .out = ret};
    *ret = (struct agents_entry){0};
    int r = doc_parse(pool, text, len, TEXT_MAX, name, &x.doc, err);
    if (r == 0)
        r = doc_decode(&x.doc, x.doc.root, keys, &x, "an agent", err);
    if (r == 0 && !ret->name)
        r = doc_fail(&x.doc, x.doc.root, err, "an agent needs a name");
    return r;
}

/* "@openai/codex@1.2" and "/opt/bin/codex" are both "codex". */
static bool names(const char *word, const char *command)
{
    const char *base = str_basename(word);
    size_t n = strcspn(base, "@");
    return strlen(command) == n && memcmp(base, command, n) == 0;
}

bool agents_is(const struct agents_entry *a, const char *const *words, size_t count)
{
    for (size_t i = 0; i < count && i < WORDS_LOOKED_AT; i++)
        for (size_t k = 0; k < a->commands_count; k++)
            if (names(words[i], a->commands[k]))
                return true;
    return false;
}

static int add_paths(struct plan *p, const char *home, const char *const *paths, size_t count,
                     bool make, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < count && r >= 0; i++) {
        _cleanup_free_ char *path = path_join(home, paths[i] + 2);
        if (make)
            r = path_mkdirs(path, 0700, err);
        if (r >= 0)
            r = plan_add_real(p, PLAN_WRITABLE, path, err);
    }
    return r < 0 ? r : 0;
}

int agents_add(struct plan *p, const char *home, const char *const *words, size_t count,
               char **ret_name, struct err *err)
{
    *ret_name = NULL;
    for (const struct agents_file *f = agents_file; f->name; f++) {
        _cleanup_(pool_freep) struct pool *pool = pool_new();
        struct agents_entry a;
        int r = agents_parse(pool, (const char *)f->text, f->len, f->name, &a, err);
        if (r == 0)
            r = add_paths(p, home, a.caches, a.caches_count, false, err);
        bool is = r == 0 && agents_is(&a, words, count);
        if (is) {
            free(*ret_name);
            *ret_name = mem_strdup(a.name);
            r = add_paths(p, home, a.state, a.state_count, true, err);
        }
        if (is && r == 0)
            r = add_paths(p, home, a.files, a.files_count, false, err);
        if (r < 0)
            return r;
    }
    return 0;
}
