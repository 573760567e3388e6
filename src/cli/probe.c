/* SPDX-License-Identifier: MIT */
/* Facts about a command for `policy explain`. It looks at the host with the rights of whoever asks;
 * what it may not read it does not know, and says so. */
#include "cli/probe.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/pathtrust.h"

extern char **environ;

#define NAMES_MAX 256
#define PATHS_MAX 256
#define LINE_MAX_ 256 /* of "#!..." */

struct probe {
    struct policy_request q;
    struct pathtrust_user user;
    char *cwd, *path, *interpreter, *script; /* owned */
    char *names[NAMES_MAX];                  /* owned */
    struct policy_path paths[PATHS_MAX];
    char *resolved[PATHS_MAX]; /* owned */
    char why[256];
};

struct probe *probe_free(struct probe *x)
{
    if (!x)
        return NULL;
    for (size_t i = 0; i < NAMES_MAX; i++)
        free(x->names[i]);
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

static bool is_program(const char *path, struct stat *ret)
{
    return stat(path, ret) == 0 && S_ISREG(ret->st_mode) && (ret->st_mode & 0111);
}

/* The first `name` on the search path; owned, NULL when there is none. */
static char *search(const struct policy *p, const char *name, struct stat *ret)
{
    const char *const *dir = policy_search_path(p);
    for (; *dir; dir++) {
        char *path = path_join(*dir, name);
        if (is_program(path, ret))
            return path;
        free(path);
    }
    return NULL;
}

/* Every name by which the search path leads to this very file. */
static void find_names(struct probe *x, const struct policy *p)
{
    const char *const *dir = policy_search_path(p);
    size_t n = 0;
    for (; *dir; dir++) {
        DIR *d = opendir(*dir);
        const struct dirent *e;
        while (d && n < NAMES_MAX && (e = readdir(d))) {
            struct stat st;
            bool known = false;
            for (size_t i = 0; i < n; i++)
                known = known || str_eq(x->names[i], e->d_name);
            if (known || fstatat(dirfd(d), e->d_name, &st, 0) < 0 ||
                st.st_ino != x->q.program.ino || st.st_dev != x->q.program.dev)
                continue;
            _cleanup_free_ char *first = search(p, e->d_name, &st);
            if (first && st.st_ino == x->q.program.ino && st.st_dev == x->q.program.dev)
                x->names[n++] = mem_strdup(e->d_name);
        }
        if (d)
            closedir(d);
    }
    x->q.program.names = (const char *const *)x->names;
    x->q.program.names_count = n;
}

/* The interpreter of "#!/path arg" at the head of `path`; owned, NULL when it is no script. */
static char *read_interpreter(const char *path)
{
    char line[LINE_MAX_ + 1] = {0};
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || read(fd, line, LINE_MAX_) < 3 || line[0] != '#' || line[1] != '!')
        return NULL;
    line[strcspn(line, "\n")] = '\0';
    char *s = line + 2 + strspn(line + 2, " \t");
    s[strcspn(s, " \t")] = '\0';
    char why[256], *real = NULL;
    struct pathtrust_user nobody = {.uid = (uid_t)-1};
    return s[0] == '/' && pathtrust_follow(&nobody, s, &real, why) == 0 ? real : NULL;
}

static int find_program(struct probe *x, const struct policy *p)
{
    struct policy_program *program = &x->q.program;
    const char *called = x->q.argv[0];
    struct stat st;
    program->trust = PROGRAM_NOT_FOUND;
    _cleanup_free_ char *found = NULL;
    if (strchr(called, '/'))
        found = path_join(x->cwd, called);
    else
        found = search(p, called, &st);
    if (!found || !is_program(found, &st))
        return 0;
    int r = pathtrust_follow(&x->user, found, &x->path, x->why);
    if (r < 0)
        return r;
    program->trust = x->why[0] ? PROGRAM_UNKNOWN : PROGRAM_TRUSTED;
    program->path = x->path;
    program->dev = st.st_dev;
    program->ino = st.st_ino;
    program->why_unknown = x->why[0] ? x->why : NULL;
    x->interpreter = read_interpreter(x->path);
    program->interpreter = x->interpreter;
    find_names(x, p);
    return 0;
}

/* An interpreter's first operand is the program that counts. */
static void find_script(struct probe *x)
{
    static const char *const interpreters[] = {"sh",   "bash", "dash",    "zsh",  "ksh",   "python",
                                               "node", "perl", "python3", "ruby", "nodejs"};
    bool known = false;
    for (size_t i = 0; i < ARRAY_LEN(interpreters); i++)
        known = known || str_eq(x->q.command, interpreters[i]);
    if (!known || x->q.argc < 2 || x->q.argv[1][0] == '-')
        return;
    _cleanup_free_ char *path = path_join(x->cwd, x->q.argv[1]);
    char why[256];
    if (pathtrust_follow(&x->user, path, &x->script, why) < 0)
        return;
    x->q.program.script = x->script;
    x->q.program.script_trust = why[0] ? PROGRAM_UNKNOWN : PROGRAM_TRUSTED;
}

/* The last component need not exist. Owned; NULL when it leads nowhere that can be told. */
static char *resolve(const char *cwd, const char *operand)
{
    char real[PATH_MAX];
    _cleanup_free_ char *path = path_join(cwd, operand);
    if (realpath(path, real))
        return mem_strdup(real);
    if (errno != ENOENT)
        return NULL;
    struct stat st;
    const char *base = str_basename(path);
    _cleanup_free_ char *dir = path_dirname(path);
    /* A link that dangles would be created where it points to. */
    if (!base[0] || lstat(path, &st) == 0 || !realpath(dir, real))
        return NULL;
    return path_join(real, base);
}

static void find_paths(struct probe *x, const struct policy *p)
{
    size_t args[PATHS_MAX];
    size_t n = policy_path_operands(p, x->q.command, x->q.argv, x->q.argc, args, PATHS_MAX);
    if (n > PATHS_MAX)
        n = 0; /* as the helper does: none is resolved, so all are outside everything */
    for (size_t i = 0; i < n; i++) {
        x->resolved[i] = resolve(x->cwd, x->q.argv[args[i]]);
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
    int r = find_program(x, p);
    if (r < 0) {
        (void)probe_free(x);
        return err_errno(err, r, "cannot look at '%s'", argv[0]);
    }
    find_script(x);
    find_paths(x, p);
    *ret = x;
    return 0;
}
