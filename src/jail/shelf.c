/* SPDX-License-Identifier: MIT */
/* Every step is by a descriptor of the directory it is in and follows no link. A jail is taken away
 * under another name first, so that nobody sees half of one; containers that have it mounted see an
 * empty directory. */
#include "jail/shelf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"

#define SHIM_MAX (1u << 20)
#define MARK "CLAWRDEN-SHIM-v2" /* shim/marker.c */
#define FRESH ".new"
#define GONE ".old"

struct shelf {
    char *dir;       /* owned */
    int fd;          /* owned, of dir */
    struct buf shim; /* its bytes */
};

/* A directory that only we and root can change. */
static int open_own(int at, const char *name, int *ret)
{
    struct stat st;
    _cleanup_close_ int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        return -EPERM;
    *ret = TAKE_FD(fd);
    return 0;
}

/* Calls `fn` for each entry but "." and ".."; the first failure ends it. */
static int each_entry(int dirfd, int (*fn)(void *arg, int dirfd, const char *name), void *arg)
{
    int fd = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    for (const struct dirent *e; r == 0 && (e = readdir(d));)
        if (!str_eq(e->d_name, ".") && !str_eq(e->d_name, ".."))
            r = fn(arg, dirfd, e->d_name);
    (void)closedir(d);
    return r;
}

/* ---- one jail ---- */

static int remove_entry(void *arg, int dirfd, const char *name)
{
    (void)arg;
    return unlinkat(dirfd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_tree(int at, const char *name)
{
    _cleanup_close_ int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    int r = each_entry(fd, remove_entry, NULL);
    return r < 0 ? r : unlinkat(at, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static bool same_shim(const struct shelf *s, int at)
{
    struct stat st;
    _cleanup_buf_ struct buf have = BUF_INIT(SHIM_MAX);
    _cleanup_close_ int fd = openat(at, SHELF_SHIM, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0755 &&
           (size_t)st.st_size == s->shim.len && fd_read_all(fd, &have) == 0 &&
           have.len == s->shim.len && memcmp(have.data, s->shim.data, have.len) == 0;
}

/* Renamed into place: a shim that runs keeps its file. */
static int put_shim(const struct shelf *s, int at)
{
    if (same_shim(s, at))
        return 0;
    (void)unlinkat(at, FRESH, 0);
    _cleanup_close_ int fd =
        openat(at, FRESH, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0700);
    int r = fd < 0 ? -errno : fd_write_all(fd, s->shim.data, s->shim.len);
    if (r == 0 && (fchmod(fd, 0755) < 0 || renameat(at, FRESH, at, SHELF_SHIM) < 0))
        r = -errno;
    return r;
}

static int put_link(int at, const char *name)
{
    char target[sizeof(SHELF_SHIM) + 1];
    ssize_t n = readlinkat(at, name, target, sizeof(target));
    if (n == (ssize_t)strlen(SHELF_SHIM) && memcmp(target, SHELF_SHIM, (size_t)n) == 0)
        return 0;
    (void)unlinkat(at, FRESH, 0);
    return symlinkat(SHELF_SHIM, at, FRESH) < 0 || renameat(at, FRESH, at, name) < 0 ? -errno : 0;
}

static int remove_stranger(void *arg, int dirfd, const char *name)
{
    if (str_eq(name, SHELF_SHIM) || map_get(arg, name))
        return 0;
    return remove_entry(NULL, dirfd, name);
}

static int fill(struct shelf *s, int at, const char *const *commands, size_t count)
{
    _cleanup_(map_freep) struct map *wanted = map_new();
    int r = fchmod(at, 0755) < 0 ? -errno : put_shim(s, at);
    for (size_t i = 0; r == 0 && i < count; i++) {
        (void)map_put(wanted, commands[i], s);
        r = put_link(at, commands[i]);
    }
    return r < 0 ? r : each_entry(at, remove_stranger, wanted);
}

static int make(struct shelf *s, const char *name, const char *const *commands, size_t count)
{
    _cleanup_free_ char *fresh = mem_printf(FRESH "-%s", name);
    _cleanup_close_ int fd = -1;
    int r = remove_tree(s->fd, fresh);
    if (r == 0 && mkdirat(s->fd, fresh, 0755) < 0)
        r = -errno;
    if (r == 0)
        r = open_own(s->fd, fresh, &fd);
    if (r == 0)
        r = fill(s, fd, commands, count);
    if (r == 0 && renameat(s->fd, fresh, s->fd, name) < 0)
        r = -errno;
    return r;
}

int shelf_put(struct shelf *s, const char *name, const char *const *commands, size_t count,
              struct err *err)
{
    _cleanup_close_ int fd = -1;
    int r = open_own(s->fd, name, &fd);
    if (r == -ENOENT)
        r = make(s, name, commands, count);
    else if (r == 0)
        r = fill(s, fd, commands, count);
    if (r == -EPERM)
        return err_set(err, r, "'%s/%s': others can write to it: remove it", s->dir, name);
    return r < 0 ? err_errno(err, r, "'%s/%s'", s->dir, name) : 0;
}

static int take_away(struct shelf *s, const char *name)
{
    _cleanup_free_ char *gone = mem_printf(GONE "-%s", name);
    int r = remove_tree(s->fd, gone);
    if (r == 0 && renameat(s->fd, name, s->fd, gone) < 0)
        return errno == ENOENT ? 0 : -errno;
    return r < 0 ? r : remove_tree(s->fd, gone);
}

int shelf_remove(struct shelf *s, const char *name, struct err *err)
{
    int r = take_away(s, name);
    return r < 0 ? err_errno(err, r, "'%s/%s'", s->dir, name) : 0;
}

/* ---- all of them ---- */

struct sweep {
    struct shelf *s;
    bool (*keep)(void *arg, const char *name);
    void *arg;
};

static int is_something(void *arg, int dirfd, const char *name)
{
    return 1;
}

/* An empty one is not of ours: an engine made it for a container that is about to start, whose
 * mount would be lost with it. */
static int remove_stale(struct shelf *s, const char *name)
{
    _cleanup_close_ int fd = openat(s->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 ? -errno : each_entry(fd, is_something, NULL);
    return r == 1 ? take_away(s, name) : r == -ENOENT ? 0 : r;
}

static int sweep_one(void *arg, int dirfd, const char *name)
{
    const struct sweep *w = arg;
    struct stat st;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (!S_ISDIR(st.st_mode))
        return remove_entry(NULL, dirfd, name);
    if (name[0] == '.')
        return remove_tree(dirfd, name);
    return w->keep && !w->keep(w->arg, name) ? remove_stale(w->s, name) : 0;
}

int shelf_sweep(struct shelf *s, bool (*keep)(void *arg, const char *name), void *arg,
                struct err *err)
{
    struct sweep w = {s, keep, arg};
    int r = each_entry(s->fd, sweep_one, &w);
    return r < 0 ? err_errno(err, r, "'%s'", s->dir) : 0;
}

const char *shelf_dir(const struct shelf *s)
{
    return s->dir;
}

int shelf_open(const char *dir, const char *shim, struct shelf **ret, struct err *err)
{
    _cleanup_(shelf_freep) struct shelf *s = mem_new(struct shelf);
    *s = (struct shelf){.dir = mem_strdup(dir), .fd = -1, .shim = BUF_INIT(SHIM_MAX)};
    if (!shim)
        return err_set(err, -ENOENT, "clawrden-shim was not found; name it with --shim-binary");
    int r = fd_read_file(shim, SHIM_MAX, &s->shim, err);
    if (r < 0)
        return r;
    if (s->shim.len < 4 || !memmem(s->shim.data, s->shim.len, MARK, strlen(MARK)))
        return err_set(err, -EBADMSG, "'%s' is no clawrden-shim", shim);
    if (access(dir, F_OK) < 0 && (r = path_mkdirs(dir, 0755, err)) < 0)
        return r;
    r = open_own(AT_FDCWD, dir, &s->fd);
    if (r < 0)
        return r == -EPERM ? err_set(err, r, "others can write to '%s'", dir)
                           : err_errno(err, r, "'%s'", dir);
    if (fchmod(s->fd, 0755) < 0) /* whatever the umask was */
        return err_errno(err, -errno, "'%s'", dir);
    r = shelf_sweep(s, NULL, NULL, err);
    if (r == 0)
        *ret = TAKE_PTR(s);
    return r;
}

struct shelf *shelf_free(struct shelf *s)
{
    if (!s)
        return NULL;
    if (s->fd >= 0)
        close(s->fd);
    buf_done(&s->shim);
    free(s->dir);
    free(s);
    return NULL;
}
