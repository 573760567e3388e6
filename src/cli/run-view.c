/* SPDX-License-Identifier: MIT */
#include "cli/run-view.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/agents.h"
#include "cli/run-hidden.h"
#include "sandbox/aliases.h"
#include "sandbox/gitdir.h"
#include "sandbox/places.h"

/* Each part of "A:B:C". What is named by a person must be there. */
static int add_named(struct plan *p, enum plan_kind kind, const char *option, const char *list,
                     struct err *err)
{
    for (const char *s = list; s && *s;) {
        size_t n = strcspn(s, ":");
        _cleanup_free_ char *path = mem_strndup(s, n);
        s += n + (s[n] == ':');
        if (n == 0)
            continue;
        int r = plan_add_real(p, kind, path, err);
        if (r < 0)
            return err_prefix(err, r, "--%s", option);
        if (r == 0)
            return err_set(err, -ENOENT, "--%s: there is no '%s'", option, path);
    }
    return 0;
}

/* Nobody may be governed by what he can change. */
static int check_ours(const struct plan *p, const struct run_view *v, struct err *err)
{
    int r = plan_check_private(p, v->session, "state and audit", err);
    if (r < 0)
        return err_prefix(err, r, "set XDG_STATE_HOME or CLAWRDEN_STATE to another place");
    return plan_check_private(p, v->policy, "the policy", err);
}

/* A writable home or root would open everything that is started from there later. */
static int check_workspace(const struct run_view *v, const char *home, struct err *err)
{
    if (str_eq(v->workspace, "/") || plan_is_below(home, v->workspace))
        return err_set(err, -EPERM,
                       "the workspace '%s' holds the home directory: go into a project, or name "
                       "one by --workspace",
                       v->workspace);
    return 0;
}

int run_view_make(const struct run_view *v, struct plan *p, char **ret_agent, struct buf *notes,
                  struct err *err)
{
    const char *env_home = getenv("HOME");
    char home[PATH_MAX];
    if (!env_home || env_home[0] != '/' || !realpath(env_home, home))
        return err_set(err, -EINVAL, "HOME is not set to a directory that is there");
    const struct places of = {.home = home, .env = environ, .uid = geteuid()};
    int r = check_workspace(v, home, err);
    if (r == 0)
        r = places_fill(p, &of, err);
    if (r == 0)
        r = agents_add(p, home, v->words, v->count, ret_agent, err);
    if (r == 0)
        r = add_named(p, PLAN_WRITABLE, "write", v->writes, err);
    if (r == 0)
        r = add_named(p, PLAN_HIDDEN, "hide", v->hides, err);
    if (r == 0) {
        plan_add(p, PLAN_WRITABLE, v->workspace, 0);
        r = gitdir_protect(p, v->workspace, notes, err);
    }
    if (r == 0)
        r = check_ours(p, v, err);
    if (r == 0)
        r = run_hidden_add(p, v->session, err);
    plan_drop_covered(p);
    return r;
}

static bool can_write(const struct plan *p, const char *path)
{
    enum plan_kind kind;
    return plan_find(p, path, &kind) && kind != PLAN_SHOWN && kind != PLAN_FIXED;
}

/* Its real path is what is writable or not; the gate looks at each step of the way. */
static void add_tools(const struct plan *p, const char *dir, struct buf *dirs)
{
    char real[PATH_MAX];
    if (dir[0] != '/' || !realpath(dir, real) || can_write(p, real) || can_write(p, dir))
        return;
    (void)buf_append_str(dirs, dirs->len ? ":" : "");
    (void)buf_append_str(dirs, dir);
}

char *run_view_tools(const struct plan *p, struct buf *notes)
{
    _cleanup_free_ char *alias = NULL;
    _cleanup_buf_ struct buf dirs = BUF_INIT(65536);
    struct err err;
    char self[PATH_MAX];
    int r = aliases_find(p, &alias, &err);
    if (r != 0) {
        (void)buf_append_str(notes, "clawrden: your own tools count as unknown programs: ");
        (void)buf_append_str(notes, r < 0 ? err.text : alias);
        (void)buf_append_str(notes, r < 0 ? "\n" : " is mounted twice, and writable here\n");
        return NULL;
    }
    for (const char *s = getenv("PATH"); s && *s;) {
        size_t n = strcspn(s, ":");
        _cleanup_free_ char *dir = mem_strndup(s, n);
        s += n + (s[n] == ':');
        add_tools(p, dir, &dirs);
    }
    /* A link on PATH may lead to this program; it attacks the tree from inside (doctor). */
    if (realpath("/proc/self/exe", self)) {
        _cleanup_free_ char *dir = path_dirname(self);
        add_tools(p, dir, &dirs);
    }
    return mem_strdup(dirs.failed ? "" : buf_str(&dirs));
}
