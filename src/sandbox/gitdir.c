/* SPDX-License-Identifier: MIT */
#include "sandbox/gitdir.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define LINK_MAX_BYTES 8192

static const char *const fixed[] = {"hooks", "config", "config.worktree"};

char *gitdir_parse(const char *text, size_t len)
{
    static const char key[] = "gitdir: ";
    size_t n = sizeof(key) - 1;
    if (len <= n || memcmp(text, key, n) != 0)
        return NULL;
    size_t end = len;
    while (end > n && (text[end - 1] == '\n' || text[end - 1] == '\r'))
        end--;
    if (end == n || memchr(text + n, '\0', end - n) || memchr(text + n, '\n', end - n))
        return NULL;
    return mem_strndup(text + n, end - n);
}

/* One line of a small file, without its end; NULL when there is none. */
static char *read_line(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(LINK_MAX_BYTES);
    struct err err;
    if (fd_read_file(path, LINK_MAX_BYTES, &b, &err) < 0)
        return NULL;
    return mem_strndup(buf_str(&b), strcspn(buf_str(&b), "\r\n"));
}

static bool is_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool is_link(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISLNK(st.st_mode);
}

/* `dir` is a whole repository: writable, less what runs outside. */
static int protect_repository(struct plan *p, const char *dir, struct buf *notes, struct err *err)
{
    _cleanup_free_ char *hooks = path_join(dir, "hooks");
    struct stat st;
    plan_add(p, PLAN_WRITABLE, dir, 0); /* a mount of its own cannot be renamed */
    /* Missing hooks could be made by the agent. */
    if (lstat(hooks, &st) < 0 && errno == ENOENT && path_mkdirs(hooks, 0755, err) < 0)
        return err_prefix(err, -EPERM, "the workspace's hooks");
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        _cleanup_free_ char *path = path_join(dir, fixed[i]);
        if (is_link(path))
            (void)buf_printf(notes, "%s is a symlink: the agent could replace it\n", path);
        else if (lstat(path, &st) == 0)
            plan_add(p, PLAN_FIXED, path, 0);
    }
    return 0;
}

/* COMMON of COMMON/worktrees/NAME, when that names `dot_git` as its worktree; else NULL. Without
 * this anybody who can write a .git file could make any directory writable at the next start. */
static char *common_of(const char *gitdir, const char *dot_git)
{
    char real[PATH_MAX];
    _cleanup_free_ char *back_path = path_join(gitdir, "gitdir"), *back = read_line(back_path);
    _cleanup_free_ char *list = path_dirname(gitdir), *common = path_dirname(list);
    _cleanup_free_ char *objects = path_join(common, "objects"), *head = path_join(common, "HEAD");
    if (!back || !str_eq(str_basename(list), "worktrees") || !is_dir(objects) ||
        access(head, F_OK) < 0 || !realpath(back, real) || !str_eq(real, dot_git))
        return NULL;
    return TAKE_PTR(common);
}

static int protect_worktree(struct plan *p, const char *dot_git, struct buf *notes, struct err *err)
{
    char real[PATH_MAX];
    _cleanup_buf_ struct buf text = BUF_INIT(LINK_MAX_BYTES);
    plan_add(p, PLAN_FIXED, dot_git, 0);
    if (fd_read_file(dot_git, LINK_MAX_BYTES, &text, err) < 0)
        return err_prefix(err, -EPERM, "the workspace's repository");
    _cleanup_free_ char *named = gitdir_parse(buf_str(&text), text.len);
    _cleanup_free_ char *dir = path_dirname(dot_git), *path = named ? path_join(dir, named) : NULL;
    _cleanup_free_ char *common = path && realpath(path, real) ? common_of(real, dot_git) : NULL;
    if (common)
        return protect_repository(p, common, notes, err);
    (void)buf_printf(notes,
                     "%s leads to a repository that does not name it as a worktree: git can "
                     "only read there\n",
                     dot_git);
    return 0;
}

int gitdir_protect(struct plan *p, const char *workspace, struct buf *notes, struct err *err)
{
    _cleanup_free_ char *dot_git = path_join(workspace, ".git");
    struct stat st;
    if (lstat(dot_git, &st) < 0)
        return 0;
    if (S_ISDIR(st.st_mode))
        return protect_repository(p, dot_git, notes, err);
    if (S_ISREG(st.st_mode))
        return protect_worktree(p, dot_git, notes, err);
    (void)buf_printf(notes, "%s is a symlink: hooks and config are not protected\n", dot_git);
    return 0;
}

void gitdir_inspect(const char *workspace, struct buf *notes)
{
    _cleanup_free_ char *dot_git = path_join(workspace, ".git");
    _cleanup_free_ char *elsewhere = path_join(dot_git, "commondir");
    if (access(elsewhere, F_OK) == 0)
        (void)buf_printf(notes,
                         "%s is there: git takes hooks and config from where it points, not "
                         "from the protected ones; remove it before you use git here\n",
                         elsewhere);
}
