/* SPDX-License-Identifier: MIT */
/* Mounts that were there are copied into this namespace locked, so none of them can be taken off to
 * look under it; what is laid here cannot be either, once the rights of set-up are dropped: a user
 * namespace made later gets its own copy, locked again, read-only for ever.
 *
 * What stays writable or visible is taken (as detached copies) before the rest changes. */
#include "sandbox/view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define EMPTY_FILE "/dev/null"

static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};

struct view {
    const struct plan *plan;
    int *taken; /* owned; of each step, -1 none */
    int devices[ARRAY_LEN(devices)];
};

static void view_done(struct view *v)
{
    for (size_t i = 0; v->taken && i < v->plan->count; i++)
        cleanup_close(&v->taken[i]);
    free(v->taken);
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        cleanup_close(&v->devices[i]);
}

/* ---- pieces ---- */

/* Paths of a plan have no symlinks: one that is met now was put there since, by the agent of
 * another session that can write on the way, and would lead us to what it likes. */
static int find(const char *path, struct err *err)
{
    struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS};
    int fd = (int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));
    return fd < 0 ? err_errno(err, -errno, "cannot take '%s'", path) : fd;
}

static int take(const char *path, struct err *err)
{
    _cleanup_close_ int at = find(path, err);
    if (at < 0)
        return at;
    int fd = open_tree(at, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
    return fd < 0 ? err_errno(err, -errno, "cannot take '%s'", path) : fd;
}

static int make_read_only(int dir, const char *path, struct err *err)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
    unsigned flags = AT_RECURSIVE | (path[0] ? AT_SYMLINK_NOFOLLOW : AT_EMPTY_PATH);
    return mount_setattr(dir, path, flags, &attr, sizeof(attr)) < 0
               ? err_errno(err, -errno, "cannot make '%s' read-only", path[0] ? path : "a mount")
               : 0;
}

/* Makes what a mount needs to stand on; only inside of what is blank or hidden can it be missing.
 */
static int make_target(const char *path, bool is_dir, struct err *err)
{
    struct stat st;
    if (lstat(path, &st) == 0)
        return 0;
    _cleanup_free_ char *dir = is_dir ? NULL : path_dirname(path);
    int r = path_mkdirs(is_dir ? path : dir, 0755, err);
    if (r < 0 || is_dir)
        return r;
    _cleanup_close_ int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0444);
    return fd < 0 ? err_errno(err, -errno, "cannot make '%s'", path) : 0;
}

static int put(int tree, const char *path, struct err *err)
{
    struct stat st;
    if (fstat(tree, &st) < 0)
        return err_errno(err, -errno, "'%s'", path);
    int r = make_target(path, S_ISDIR(st.st_mode), err);
    _cleanup_close_ int at = r < 0 ? r : find(path, err);
    if (at < 0)
        return at;
    return move_mount(tree, "", at, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
               ? err_errno(err, -errno, "cannot put '%s' in its place", path)
               : 0;
}

static int put_memory(const char *path, unsigned mode, struct err *err)
{
    char options[32];
    int r = make_target(path, true, err);
    (void)snprintf(options, sizeof(options), "mode=%04o", mode);
    if (r == 0 && mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, options) < 0)
        r = err_errno(err, -errno, "cannot mount an empty '%s'", path);
    return r;
}

/* ---- before anything changes ---- */

static int take_step(const struct plan_step *s, int *ret, struct err *err)
{
    struct stat st;
    int fd = -1;
    switch (s->kind) {
    case PLAN_BLANK:
        return 0;
    case PLAN_WRITABLE:
        fd = take(s->path, err);
        break;
    case PLAN_SHOWN:
    case PLAN_FIXED:
        fd = take(s->path, err);
        if (fd >= 0 && make_read_only(fd, "", err) < 0) {
            close(fd);
            return -EPERM;
        }
        break;
    case PLAN_HIDDEN:
        if (stat(s->path, &st) < 0)
            return err_errno(err, -errno, "'%s'", s->path);
        if (S_ISDIR(st.st_mode))
            return 0; /* an empty one in memory */
        fd = take(EMPTY_FILE, err);
        break;
    }
    *ret = fd;
    return fd < 0 ? fd : 0;
}

static int take_all(struct view *v, struct err *err)
{
    int r = 0;
    for (size_t i = 0; i < ARRAY_LEN(devices) && r >= 0; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        r = v->devices[i] = take(path, err);
    }
    for (size_t i = 0; i < v->plan->count && r >= 0; i++)
        r = take_step(&v->plan->steps[i], &v->taken[i], err);
    return r < 0 ? r : 0;
}

/* ---- laying it ---- */

static int lay_step(struct view *v, size_t i, struct err *err)
{
    const struct plan_step *s = &v->plan->steps[i];
    if (s->kind == PLAN_BLANK)
        return put_memory(s->path, s->mode, err);
    if (v->taken[i] >= 0)
        return put(v->taken[i], s->path, err);
    return put_memory(s->path, 0555, err); /* a hidden directory */
}

/* Hidden directories are filled by the steps below them before they close. */
static int close_hidden(struct view *v, struct err *err)
{
    int r = 0;
    for (size_t i = v->plan->count; i > 0 && r == 0; i--)
        if (v->plan->steps[i - 1].kind == PLAN_HIDDEN && v->taken[i - 1] < 0) {
            struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
            if (mount_setattr(AT_FDCWD, v->plan->steps[i - 1].path, 0, &attr, sizeof(attr)) < 0)
                r = err_errno(err, -errno, "cannot close '%s'", v->plan->steps[i - 1].path);
        }
    return r;
}

/* A small /dev: no disks, no other terminals, and a /dev/tty that is one's own. */
static int lay_devices(struct view *v, struct err *err)
{
    static const struct {
        const char *target, *path;
    } links[] = {{"/proc/self/fd", "/dev/fd"},
                 {"/proc/self/fd/0", "/dev/stdin"},
                 {"/proc/self/fd/1", "/dev/stdout"},
                 {"/proc/self/fd/2", "/dev/stderr"},
                 {"pts/ptmx", "/dev/ptmx"}};
    int r = put_memory("/dev", 0755, err);
    for (size_t i = 0; i < ARRAY_LEN(devices) && r == 0; i++) {
        char path[32];
        (void)snprintf(path, sizeof(path), "/dev/%s", devices[i]);
        r = put(v->devices[i], path, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(links) && r == 0; i++)
        if (symlink(links[i].target, links[i].path) < 0)
            r = err_errno(err, -errno, "'%s'", links[i].path);
    if (r == 0)
        r = path_mkdirs("/dev/pts", 0755, err);
    if (r == 0 && mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
                        "newinstance,ptmxmode=0666,mode=0620") < 0)
        r = err_errno(err, -errno, "cannot mount new terminals");
    if (r == 0)
        r = put_memory("/dev/shm", 01777, err);
    if (r == 0) {
        struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};
        if (mount_setattr(AT_FDCWD, "/dev", 0, &attr, sizeof(attr)) < 0)
            r = err_errno(err, -errno, "cannot make '/dev' read-only");
    }
    return r;
}

static int lay_proc(struct err *err)
{
    /* Read-only and locked in every namespace made later: nobody writes /proc/PID/mem. */
    return mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, NULL) < 0
               ? err_errno(err, -errno, "cannot mount a /proc of its own")
               : 0;
}

static int lay_all(struct view *v, bool own_pids, struct err *err)
{
    int r = make_read_only(AT_FDCWD, "/", err);
    for (size_t i = 0; i < v->plan->count && r == 0; i++)
        r = lay_step(v, i, err);
    if (r == 0)
        r = close_hidden(v, err);
    if (r == 0)
        r = lay_devices(v, err);
    return r == 0 && own_pids ? lay_proc(err) : r;
}

int view_make(const struct plan *p, bool own_pids, struct err *err)
{
    _cleanup_(view_done) struct view v = {.plan = p, .taken = mem_new_array(int, p->count + 1)};
    for (size_t i = 0; i < p->count; i++)
        v.taken[i] = -1;
    for (size_t i = 0; i < ARRAY_LEN(devices); i++)
        v.devices[i] = -1;
    (void)umask(0);
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return err_errno(err, -errno, "cannot part from the mounts outside");
    int r = take_all(&v, err);
    return r < 0 ? r : lay_all(&v, own_pids, err);
}
