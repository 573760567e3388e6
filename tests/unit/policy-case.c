/* SPDX-License-Identifier: MIT */
#include "policy-case.h"

#include <string.h>

#include "base/path.h"
#include "base/str.h"
#include "policy/pool.h"
#include "policy/tokens.h"

static void resolve(struct policy_case *c, const struct policy *p)
{
    static size_t args[POLICY_CASE_PATHS];
    struct policy_request *q = &c->q;
    size_t n = policy_path_operands(p, q->command, q->argv, q->argc, args, POLICY_CASE_PATHS);
    q->paths = c->paths;
    q->paths_count = n > POLICY_CASE_PATHS ? 0 : n;
    for (size_t i = 0; i < q->paths_count; i++) {
        char *whole = path_join(q->cwd ? q->cwd : "/", q->argv[args[i]]);
        char *resolved = path_normalise(whole);
        c->paths[i].arg = args[i];
        c->paths[i].resolved = resolved ? pool_strndup(c->pool, resolved, strlen(resolved)) : NULL;
        free(whole);
        free(resolved);
    }
}

static void set_is(struct policy_case *c, char *list)
{
    struct policy_program *g = &c->q.program;
    g->names_count = 0;
    for (char *s = strtok(list, ","); s && g->names_count < 16; s = strtok(NULL, ","))
        c->names[g->names_count++] = s;
    g->path = pool_printf(c->pool, "/usr/bin/%s", c->names[0]);
}

static bool tag(struct policy_case *c, char *t, const char **argv)
{
    struct policy_program *g = &c->q.program;
    char *value = strchr(t, '=');
    if (value)
        *value++ = '\0';
    if (str_eq(t, "unknown")) {
        g->trust = PROGRAM_UNKNOWN;
    } else if (str_eq(t, "missing")) {
        g->trust = PROGRAM_NOT_FOUND;
        g->path = NULL;
        g->names_count = 0;
    } else if (value && str_eq(t, "is")) {
        set_is(c, value);
    } else if (value && str_eq(t, "argv0")) {
        argv[0] = value;
    } else if (value && (str_eq(t, "script") || str_eq(t, "bad-script"))) {
        g->script = value;
        g->script_trust = t[0] == 's' ? PROGRAM_TRUSTED : PROGRAM_UNKNOWN;
    } else if (value && str_eq(t, "container")) {
        c->q.container = value;
    } else if (value && str_eq(t, "below")) {
        c->above[0] = value;
        c->q.above = c->above;
        c->q.above_count = 1;
    } else {
        return false;
    }
    return true;
}

static void begin(struct policy_case *c, const char *const *argv, size_t argc, const char *cwd,
                  uint32_t uid)
{
    c->names[0] = str_basename(argv[0]);
    c->q = (struct policy_request){
        .command = argv[0],
        .argv = argv,
        .argc = argc,
        .cwd = cwd,
        .uid = uid,
        .program = {.trust = PROGRAM_TRUSTED,
                    .path = pool_printf(c->pool, "/usr/bin/%s", c->names[0]),
                    .names = c->names,
                    .names_count = 1},
    };
}

void policy_case_argv(struct policy_case *c, const struct policy *p, const char *const *argv,
                      size_t argc, const char *cwd, uint32_t uid)
{
    c->pool = pool_new();
    begin(c, argv, argc, cwd, uid);
    resolve(c, p);
}

bool policy_case_begin(struct policy_case *c, const struct policy *p, const char *line,
                       const char *cwd, uint32_t uid)
{
    const char *const *words;
    size_t count, tags = 0;
    c->pool = pool_new();
    if (tokens_split(c->pool, line, false, &words, &count, NULL) < 0)
        return false;
    while (tags < count && words[tags][0] == '{')
        tags++;
    if (tags == count)
        return false;
    const char **argv = pool_new_array(c->pool, const char *, count - tags + 1);
    memcpy(argv, words + tags, (count - tags) * sizeof(*argv));
    begin(c, argv, count - tags, cwd, uid);
    c->q.command = words[tags];
    for (size_t i = 0; i < tags; i++) {
        char *t = pool_strndup(c->pool, words[i] + 1, strlen(words[i]) - 2);
        if (!tag(c, t, argv))
            return false;
    }
    resolve(c, p);
    return true;
}

void policy_case_end(struct policy_case *c)
{
    c->pool = pool_free(c->pool);
}

struct policy *policy_case_parse(const char *text)
{
    struct policy *p = NULL;
    struct err err = {{0}};
    if (policy_parse(text, strlen(text), "test.yaml", &p, &err) < 0)
        fail_msg("%s", err.text);
    return p;
}

enum verdict policy_case_judge(const struct policy *p, const char *line)
{
    static struct policy_case c;
    struct policy_decision d;
    if (!policy_case_begin(&c, p, line, "/app", 1000))
        fail_msg("cannot read the line %s", line);
    policy_judge(p, &c.q, &d);
    policy_case_end(&c);
    return d.verdict;
}
