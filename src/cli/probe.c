/* SPDX-License-Identifier: MIT */
/* Facts about a command for `policy explain`. It looks at the host with the rights of whoever asks;
 * what it may not read it does not know, and says so. */
#include "cli/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/pathtrust.h"
#include "mirror/script.h"

extern char **environ;

#define NAMES_MAX 2
#define PATHS_MAX 256
#define NESTED_MAX 4 /* interpreters of interpreters, as in the kernel */
#define SHIM_MARK "CLAWRDEN-SHIM-v2"

struct probe {
    struct policy_request q;
    struct pathtrust_user user;
    char *cwd, *path, *interpreter, *script; /* owned */
    const char *names[NAMES_MAX];            /* borrowed: argv[0] and `path` */
    struct policy_path paths[PATHS_MAX];
    char *resolved[PATHS_MAX]; /* owned */
    char why[512];
};

/* A file that was followed to. */
struct found {
    char *real; /* owned */
    struct stat st;
    char why[256];
    char head[SCRIPT_HEAD_MAX];
    size_t head_len;
};

static void found_done(struct found *f)
{
    free(f->real);
    f->real = NULL;
}

struct probe *probe_free(struct probe *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < PATHS_MAX; i++)
        free(x->resolved[i]);
    pathtrust_user_done(&x->user);
    free(x->cwd);
    free(x->path);
    free(x->interpreter);
    free(x->script);
    free(x);
    return NULL;
}

const struct policy_request *probe_request(const struct probe *x)
{
    return &x->q;
}

static void because(struct probe *x, const char *prefix, const char *why)
{
    if (!x->why[0])
        (void)snprintf(x->why, sizeof(x->why), "%s%s", prefix, why);
    x->q.program.why_unknown = x->why;
}

/* ---- files ---- */

/* 0, or a negative errno with nothing to release. */
static int follow(const struct probe *x, const char *path, struct found *ret)
{
    _cleanup_free_ char *whole = path_join(x->cwd, path);
    *ret = (struct found){0};
    int r = pathtrust_follow(&x->user, whole, false, &ret->real, ret->why);
    if (r < 0)
        return r;
    if (stat(ret->real, &ret->st) < 0) {
        r = -errno;
        found_done(ret);
        return r;
    }
    _cleanup_close_ int fd = open(ret->real, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : read(fd, ret->head, sizeof(ret->head));
    ret->head_len = n > 0 ? (size_t)n : 0;
    return 0;
}

static bool is_shim(const struct found *f)
{
    return f->head_len > 4 && memcmp(f->head, "\177ELF", 4) == 0 &&
           memmem(f->head, f->head_len, SHIM_MARK, strlen(SHIM_MARK));
}

static bool is_program(const struct found *f)
{
    return S_ISREG(f->st.st_mode) && (f->st.st_mode & 0111) && !is_shim(f);
}

/* The first program of that name on the search path that is not the shim. */
static bool search(const struct probe *x, const struct policy *p, const char *name,
                   struct found *ret)
{
    if (strchr(name, '/'))
        return false;
    for (const char *const *dir = policy_search_path(p); *dir; dir++) {
        _cleanup_free_ char *path = path_join(*dir, name);
        if (follow(x, path, ret) < 0)
            continue;
        if (is_program(ret))
            return true;
        found_done(ret);
    }
    return false;
}

static bool find_program(const struct probe *x, const struct policy *p, struct found *ret)
{
    const char *called = x->q.argv[0];
    if (strchr(called, '/')) {
        if (follow(x, called, ret) < 0)
            return false;
        if (is_program(ret))
            return true;
        bool shim = is_shim(ret);
        found_done(ret);
        if (!shim)
            return false; /* a path to nothing stays one */
    }
    return search(x, p, x->q.command, ret);
}

/* Names by which the search path leads to this very file: what it was called, and its own. */
static void find_names(struct probe *x, const struct policy *p, const struct stat *st)
{
    const char *candidates[NAMES_MAX] = {x->q.command, str_basename(x->path)};
    for (size_t i = 0; i < NAMES_MAX; i++) {
        struct found f;
        if ((i > 0 && str_eq(candidates[0], candidates[1])) || !search(x, p, candidates[i], &f))
            continue;
        if (!f.why[0] && f.st.st_ino == st->st_ino && f.st.st_dev == st->st_dev)
            x->names[x->q.program.names_count++] = candidates[i];
        found_done(&f);
    }
    x->q.program.names = x->names;
}

/* ---- scripts ---- */

/* One step of "#!". */
static bool find_interpreter(const struct probe *x, const struct policy *p,
                             const struct script_line *line, struct found *ret)
{
    char name[SCRIPT_LINE_MAX];
    if (follow(x, line->interpreter, ret) < 0)
        return false;
    if (!str_eq(str_basename(ret->real), "env"))
        return true;
    bool trusted = !ret->why[0];
    found_done(ret);
    return trusted && script_env_name(line->argument, name, sizeof(name)) == 0 &&
           search(x, p, name, ret);
}

/* The program begins with "#!": it is the script, and somebody else reads it. */
static void follow_interpreters(struct probe *x, const struct policy *p,
                                const struct found *program)
{
    struct policy_program *g = &x->q.program;
    struct script_line line;
    struct found f = {.head_len = program->head_len};
    memcpy(f.head, program->head, program->head_len);
    int r;
    for (int i = 0; (r = script_line_parse(f.head, f.head_len, &line)) != 0; i++) {
        found_done(&f);
        if (r < 0 || i == NESTED_MAX || !find_interpreter(x, p, &line, &f)) {
            because(x, "its interpreter: ", "it cannot be told what it is");
            g->trust = PROGRAM_UNKNOWN;
            break;
        }
        if (f.why[0]) {
            because(x, "its interpreter: ", f.why);
            g->trust = PROGRAM_UNKNOWN;
        }
        free(x->interpreter);
        x->interpreter = mem_strdup(f.real);
    }
    found_done(&f);
    g->interpreter = x->interpreter;
    g->script = x->script = mem_strdup(x->path);
    g->script_trust = g->trust;
}

/* What script.c reads: strings one behind the other. */
static enum script_operand find_operand(const struct probe *x, const char *tool, struct buf *packed,
                                        const char **ret)
{
    size_t n = x->q.argc < HELPER_ARGS_MAX ? x->q.argc : HELPER_ARGS_MAX;
    buf_clear(packed);
    for (size_t i = 0; i < n; i++)
        (void)buf_append(packed, x->q.argv[i], strlen(x->q.argv[i]) + 1);
    struct helper_strings args = {
        .packed = buf_str(packed), .size = packed->len, .count = (uint32_t)n};
    return script_operand_find(tool, &args, n < x->q.argc, ret);
}

/* An interpreter that is told which file to read. */
static void follow_operand(struct probe *x, const struct policy *p)
{
    struct policy_program *g = &x->q.program;
    _cleanup_buf_ struct buf packed = BUF_INIT(16u << 20);
    const char *tool = str_basename(x->path), *name = NULL;
    enum script_operand o = find_operand(x, tool, &packed, &name);
    if (o == SCRIPT_NONE) {
        tool = x->q.command;
        o = find_operand(x, tool, &packed, &name);
    }
    if (o == SCRIPT_NONE)
        return;
    struct found f;
    bool known = o == SCRIPT_OPERAND && name[0];
    bool found = known && (follow(x, name, &f) == 0 ||
                           (script_searches_path(tool) && search(x, p, name, &f)));
    g->script = x->script = mem_strdup(found ? f.real : known ? name : "?");
    g->script_trust = found && !f.why[0] ? PROGRAM_TRUSTED : PROGRAM_UNKNOWN;
    if (!found)
        because(x, "its script: ", known ? "it was not found" : "it cannot be told which");
    else if (f.why[0])
        because(x, "its script: ", f.why);
    if (found)
        found_done(&f);
}

static void describe_program(struct probe *x, const struct policy *p)
{
    struct policy_program *g = &x->q.program;
    struct found f;
    g->trust = PROGRAM_NOT_FOUND;
    if (!find_program(x, p, &f))
        return;
    g->path = x->path = mem_strdup(f.real);
    g->dev = f.st.st_dev;
    g->ino = f.st.st_ino;
    g->trust = f.why[0] ? PROGRAM_UNKNOWN : PROGRAM_TRUSTED;
    if (f.why[0])
        because(x, "", f.why);
    find_names(x, p, &f.st);
    if (f.head_len >= 2 && memcmp(f.head, "#!", 2) == 0)
        follow_interpreters(x, p, &f);
    else
        follow_operand(x, p);
    found_done(&f);
}

/* ---- paths ---- */

static void find_paths(struct probe *x, const struct policy *p)
{
    size_t args[PATHS_MAX];
    size_t n = policy_path_operands(p, x->q.command, x->q.argv, x->q.argc, args, PATHS_MAX);
    if (n > PATHS_MAX)
        n = 0; /* as the helper does: none is resolved, so all are outside everything */
    for (size_t i = 0; i < n; i++) {
        char why[256];
        _cleanup_free_ char *path = path_join(x->cwd, x->q.argv[args[i]]);
        if (x->q.argv[args[i]][0])
            (void)pathtrust_follow(&x->user, path, true, &x->resolved[i], why);
        x->paths[i] = (struct policy_path){.arg = args[i], .resolved = x->resolved[i]};
    }
    x->q.paths = x->paths;
    x->q.paths_count = n;
}

int probe_new(const struct policy *p, uint32_t uid, const char *cwd, const char *const *argv,
              size_t argc, struct probe **ret, struct err *err)
{
    char real[PATH_MAX];
    if (!realpath(cwd ? cwd : ".", real))
        return err_errno(err, -errno, "the directory '%s'", cwd ? cwd : ".");
    struct probe *x = mem_new(struct probe);
    pathtrust_user_init(&x->user, uid);
    x->user.search = policy_search_path(p);
    x->cwd = mem_strdup(real);
    x->q.command = str_basename(argv[0]);
    x->q.argv = argv;
    x->q.argc = argc;
    x->q.cwd = x->cwd;
    x->q.uid = uid;
    x->q.gid = x->user.gid;
    x->q.env = (const char *const *)environ;
    while (environ[x->q.envc])
        x->q.envc++;
    describe_program(x, p);
    find_paths(x, p);
    *ret = x;
    return 0;
}
