/* SPDX-License-Identifier: MIT */
#include "mirror/way.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "mirror/phrase.h"

#define SYMLINKS_MAX 40

struct state {
    const struct way_caller *c;
    int dir; /* where we stand, O_PATH */
    struct compat_statx st;
    char rest[WAY_PATH_MAX * 2]; /* what is still to go */
    int links;
    bool fixed; /* all of the way so far is read-only, and that counts */
    struct way *w;
};

bool way_denied;

static int failed(int err)
{
    way_denied = way_denied || err == EACCES || err == EPERM;
    return -err;
}

bool (*way_may_touch)(uint64_t dev);
bool way_barred;
const char *(*way_below)(struct compat_statx *st);
static const char *link_below; /* of the file that was looked at last; NULL: not covered */

/* DONT_SYNC answers from what the kernel has, without asking whoever serves the file system. */
int way_stat(int fd, const char *name, int flags, struct compat_statx *ret)
{
    long r = syscall(SYS_statx, fd, name, flags | COMPAT_AT_STATX_DONT_SYNC,
                     COMPAT_STATX_BASIC | COMPAT_STATX_MNT_ID, ret);
    if (r < 0)
        return failed(errno);
    link_below = way_below ? way_below(ret) : NULL;
    if (!way_may_touch || way_may_touch(way_dev(ret)))
        return 0;
    way_barred = true;
    return -EXDEV;
}

uint64_t way_dev(const struct compat_statx *st)
{
    return makedev(st->dev_major, st->dev_minor);
}

void way_done(struct way *w)
{
    if (w->fd >= 0)
        close(w->fd);
    w->fd = -1;
}

static void distrust(struct way *w, const char *why)
{
    if (w->trusted)
        w->why = why;
    w->trusted = false;
}

static bool in_group(const struct way_caller *c, uint32_t gid)
{
    const struct helper_peer *p = c->peer;
    if (gid == p->gid)
        return true;
    if (c->in_group)
        return c->in_group(gid);
    for (uint32_t i = 0; i < p->groups_count; i++)
        if (helper_group(p, i) == gid)
            return true;
    return false;
}

/* The group bits are the mask of an ACL where there is one, and somebody in it may be our caller.
 */
static bool has_acl(int fd)
{
    char path[40];
    struct phrase w = PHRASE(path);
    phrase_add(&w, way_own_fds);
    phrase_add_number(&w, (uint64_t)fd);
    return getxattr(path, "system.posix_acl_access", NULL, 0) >= 0 ||
           (errno != ENODATA && errno != EOPNOTSUPP);
}

const char *way_own_fds = "/proc/self/fd/";

static struct compat_statx root; /* of our root directory, when its mask is not 0 */

void way_forget_root(void)
{
    root.mask = 0;
}

/* A file system whose answers its user makes up is worth nothing, unless all of ours is such a one.
 */
static void judge_mount(struct way *w, int fd, const struct compat_statx *st)
{
    struct statfs fs;
    if (root.mask == 0 && way_stat(AT_FDCWD, "/", 0, &root) < 0)
        root.mask = 0;
    if (root.mask && way_dev(&root) == way_dev(st) && root.mnt_id == st->mnt_id)
        return;
    if (fstatfs(fd, &fs) < 0)
        distrust(w, "it is on a file system that does not answer");
    else if (fs.f_type == COMPAT_FUSE_MAGIC)
        distrust(w, "it is on a FUSE file system");
    else if (fs.f_type == COMPAT_PROC_MAGIC)
        distrust(w, "it is in /proc");
    else if (fs.f_flags & COMPAT_ST_NOSUID)
        distrust(w, "it is on a file system mounted nosuid, as users' file systems are");
}

static void judge(const struct way_caller *c, struct way *w, int fd, const struct compat_statx *st)
{
    uint32_t uid = c->peer->uid;
    if (!w->trusted)
        return;
    if (uid != 0 && st->uid == uid)
        distrust(w, "the caller owns it or a directory on its way");
    else if (st->uid != 0 && st->uid != c->own_uid)
        distrust(w, "another user owns it or a directory on its way");
    else if (st->mode & S_IWOTH)
        distrust(w, "it or a directory on its way is writable by everybody");
    else if ((st->mode & S_IWGRP) && uid != 0 && (in_group(c, st->gid) || has_acl(fd)))
        distrust(w, "it or a directory on its way is writable by a group of the caller");
    else if ((st->mode & S_IWGRP) && uid == 0 && st->gid != 0)
        distrust(w, "it or a directory on its way is writable by a group");
}

/* True when the caller can change nothing there, because it reaches it through a read-only mount
 * only. What others of this machine could change is judged as ever. */
static bool judge_fixed(const struct way_caller *c, struct way *w, int fd,
                        const struct compat_statx *st)
{
    struct statfs fs;
    if (!c->read_only_counts || fstatfs(fd, &fs) < 0 || !(fs.f_flags & COMPAT_ST_RDONLY))
        return false;
    if (fs.f_type == COMPAT_FUSE_MAGIC)
        distrust(w, "it is on a FUSE file system");
    else if (fs.f_type == COMPAT_PROC_MAGIC)
        distrust(w, "it is in /proc");
    else if (st->uid != 0 && st->uid != c->own_uid && st->uid != c->peer->uid)
        distrust(w, "another user owns it or a directory on its way");
    else if (st->mode & S_IWOTH)
        distrust(w, "it or a directory on its way is writable by everybody");
    w->by_walls = w->by_walls || (st->uid != 0 && st->uid == c->peer->uid);
    return true;
}

/* Takes over `fd` as the place where we stand. */
static void stand(struct state *s, int fd, const struct compat_statx *st)
{
    bool fixed = judge_fixed(s->c, s->w, fd, st);
    s->fixed = s->fixed && fixed;
    if (!fixed && (s->dir < 0 || st->mnt_id != s->st.mnt_id || way_dev(st) != way_dev(&s->st)))
        judge_mount(s->w, fd, st);
    if (!fixed)
        judge(s->c, s->w, fd, st);
    if (s->dir >= 0)
        close(s->dir);
    s->dir = fd;
    s->st = *st;
}

static int enter(struct state *s, int fd)
{
    struct compat_statx st;
    int r = way_stat(fd, "", AT_EMPTY_PATH, &st);
    if (r < 0)
        close(fd);
    else
        stand(s, fd, &st);
    return r;
}

static int enter_path(struct state *s, const char *path)
{
    int fd = openat(AT_FDCWD, path, O_PATH | O_CLOEXEC | O_DIRECTORY);
    return fd < 0 ? failed(errno) : enter(s, fd);
}

static int push_name(struct way *w, const char *name, size_t n)
{
    size_t len = strlen(w->real);
    if (len + 1 + n + 1 > sizeof(w->real))
        return -ENAMETOOLONG;
    if (len > 1)
        w->real[len++] = '/';
    memcpy(w->real + len, name, n);
    w->real[len + n] = 0;
    return 0;
}

static void pop_name(struct way *w)
{
    char *slash = strrchr(w->real, '/');
    slash[slash == w->real ? 1 : 0] = 0;
}

/* Puts the target of a link in front of the rest. `below`: where it leads when it is covered. */
static int follow(struct state *s, const char *name, const char *below)
{
    char target[WAY_PATH_MAX];
    struct statfs fs;
    if (++s->links > SYMLINKS_MAX)
        return -ELOOP;
    /* A link in /proc leads where its text does not say, and "self" would be us. */
    if (fstatfs(s->dir, &fs) < 0 || fs.f_type == COMPAT_PROC_MAGIC)
        return -ELOOP;
    ssize_t n = below ? (ssize_t)strlen(below) : readlinkat(s->dir, name, target, sizeof(target));
    if (n <= 0)
        return n < 0 ? failed(errno) : -ENOENT;
    if (n > (ssize_t)sizeof(target))
        return -ENAMETOOLONG;
    if (below)
        memcpy(target, below, (size_t)n);
    size_t rest = strlen(s->rest);
    if ((size_t)n + 1 + rest + 1 > sizeof(s->rest))
        return -ENAMETOOLONG;
    memmove(s->rest + n + 1, s->rest, rest + 1);
    memcpy(s->rest, target, (size_t)n);
    s->rest[n] = '/';
    if (target[0] == '/') {
        memcpy(s->w->real, "/", 2);
        return enter_path(s, "/");
    }
    return 0;
}

/* The next component off the rest; false at the end. */
static bool next_name(struct state *s, char name[256], int *ret_error)
{
    const char *p = s->rest;
    while (*p == '/')
        p++;
    size_t n = strcspn(p, "/");
    if (n == 0)
        return false;
    if (n > 255) {
        *ret_error = -ENAMETOOLONG;
        return false;
    }
    memcpy(name, p, n);
    name[n] = 0;
    p += n;
    memmove(s->rest, p, strlen(p) + 1);
    return true;
}

/* `name` is not there: what follows can only be names too, unless it climbs. */
static int missing_rest(struct state *s, const char *name)
{
    char next[256];
    int r = push_name(s->w, name, strlen(name));
    distrust(s->w, "it does not exist");
    while (r == 0 && next_name(s, next, &r)) {
        if (strcmp(next, "..") == 0)
            r = -ENOENT;
        else if (strcmp(next, ".") != 0)
            r = push_name(s->w, next, strlen(next));
    }
    return r;
}

static int step(struct state *s, const char *name, bool may_miss, bool *ret_missing)
{
    if (strcmp(name, ".") == 0)
        return (s->st.mode & S_IFMT) == S_IFDIR ? 0 : -ENOTDIR;
    if ((s->st.mode & S_IFMT) != S_IFDIR)
        return -ENOTDIR;
    int fd = openat(s->dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        if (errno != ENOENT || !may_miss || strcmp(name, "..") == 0)
            return failed(errno);
        *ret_missing = true;
        return missing_rest(s, name);
    }
    struct compat_statx st;
    int r = way_stat(fd, "", AT_EMPTY_PATH, &st);
    const char *below = link_below;
    if (r == 0 && (st.mode & S_IFMT) == S_IFLNK) {
        close(fd);
        return follow(s, name, below);
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    if (strcmp(name, "..") == 0)
        pop_name(s->w);
    else if ((r = push_name(s->w, name, strlen(name))) < 0) {
        close(fd);
        return r;
    }
    stand(s, fd, &st);
    return 0;
}

/* ---- other names of a file ---- */

#define DEPTH_MAX 4
#define ENTRIES_MAX 4096

struct names {
    const struct compat_statx *file;
    uint32_t found;
    int left; /* entries that may still be looked at */
};

/* Into one's own mount only: where another is, somebody may write. */
static int enter_below(const struct names *n, int dir, const char *name)
{
    struct compat_statx st;
    int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && (way_stat(fd, "", AT_EMPTY_PATH, &st) < 0 || st.mnt_id != n->file->mnt_id)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void count_names(struct names *n, int dir, int depth)
{
    char buf[4096];
    long len;
    while (n->found < n->file->nlink && n->left > 0 &&
           (len = syscall(SYS_getdents64, dir, buf, sizeof(buf))) > 0)
        for (long at = 0; at < len && n->left > 0; n->left--) {
            struct compat_dirent e;
            memcpy(&e, buf + at, offsetof(struct compat_dirent, name));
            const char *name = buf + at + offsetof(struct compat_dirent, name);
            at += e.len;
            struct compat_statx st;
            n->found += e.type != COMPAT_DT_DIR && e.ino == n->file->ino &&
                        way_stat(dir, name, AT_SYMLINK_NOFOLLOW, &st) == 0 &&
                        st.mnt_id == n->file->mnt_id;
            if (e.type != COMPAT_DT_DIR || depth == 0 || !strcmp(name, ".") || !strcmp(name, ".."))
                continue;
            int fd = enter_below(n, dir, name);
            if (fd >= 0) {
                count_names(n, fd, depth - 1);
                close(fd);
            }
        }
}

static bool all_names_near(const struct state *s)
{
    char dir[WAY_PATH_MAX];
    memcpy(dir, s->w->real, strlen(s->w->real) + 1);
    for (int up = 0; up < 3; up++) {
        char *slash = strrchr(dir, '/');
        if (slash == dir)
            return false;
        *slash = 0;
        struct names n = {.file = &s->st, .left = ENTRIES_MAX};
        int fd = enter_below(&n, AT_FDCWD, dir);
        if (fd < 0)
            return false;
        count_names(&n, fd, up == 0 ? 0 : DEPTH_MAX);
        close(fd);
        if (n.found == s->st.nlink)
            return true;
    }
    return false;
}

/* The same file may have another name where it can be written: a store of packages that is linked
 * into place, for one. All of its names must be found nearby, on the same read-only mount. A new
 * name changes the time of the file, so an answer holds as long as that. */
static bool has_names_elsewhere(const struct state *s)
{
    static struct {
        uint64_t dev, ino;
        int64_t ctime;
        uint32_t nsec, nlink;
        bool elsewhere;
    } known[32];
    static unsigned next;
    const struct compat_statx *f = &s->st;
    if (f->nlink == 1 || (f->mode & S_IFMT) != S_IFREG)
        return false;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i].ino == f->ino && known[i].dev == way_dev(f) && known[i].nlink == f->nlink &&
            known[i].ctime == f->ctime.sec && known[i].nsec == f->ctime.nsec)
            return known[i].elsewhere;
    unsigned at = next++ % (sizeof(known) / sizeof(known[0]));
    known[at].elsewhere = !all_names_near(s);
    known[at].dev = way_dev(f);
    known[at].ino = f->ino;
    known[at].ctime = f->ctime.sec;
    known[at].nsec = f->ctime.nsec;
    known[at].nlink = f->nlink;
    return known[at].elsewhere;
}

/* Root can change anything: what it did not get with the system is not trusted for it. */
static bool is_systems(const struct way_caller *c, const struct way *w)
{
    static const char *const system[] = {"/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/"};
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        if (strncmp(w->real, system[i], strlen(system[i])) == 0)
            return true;
    const char *d = c->search.packed;
    for (uint32_t i = 0; i < c->search.count; i++, d = helper_next(d)) {
        size_t n = strlen(d);
        if (n > 1 && strncmp(w->real, d, n) == 0 && w->real[n] == '/')
            return true;
    }
    return false;
}

static void judge_whole(const struct state *s)
{
    bool by_root = s->c->peer->uid == 0;
    if (by_root && is_systems(s->c, s->w))
        return;
    s->w->by_walls = s->w->by_walls || by_root;
    if (by_root && !s->fixed)
        distrust(s->w, "the caller is root, and it is not in a directory of the system");
    else if (s->fixed && s->st.uid == s->c->peer->uid && has_names_elsewhere(s))
        distrust(s->w, "it is also known by another name, where it might be written");
}

/* What is named relative to the caller's directory is only as good as the way to that directory. */
static void judge_cwd(const struct way_caller *c, const char *cwd, struct way *w)
{
    struct way way;
    if (way_walk(c, -1, "/", cwd, false, &way) < 0) {
        distrust(w, "the way to the caller's directory cannot be followed");
        return;
    }
    if (!way.trusted)
        distrust(w, way.why);
    way_done(&way);
}

int way_walk(const struct way_caller *c, int cwd_fd, const char *cwd, const char *path,
             bool may_miss, struct way *ret)
{
    struct state s = {.c = c, .dir = -1, .fixed = true, .w = ret};
    char name[256];
    bool missing = false;
    int r;

    *ret = (struct way){.fd = -1, .trusted = true};
    if (strlen(path) >= WAY_PATH_MAX || strlen(cwd) >= WAY_PATH_MAX || cwd[0] != '/')
        return -ENAMETOOLONG;
    memcpy(s.rest, path, strlen(path) + 1);
    if (path[0] == '/') {
        memcpy(ret->real, "/", 2);
        r = enter_path(&s, "/");
    } else {
        if (cwd[1]) /* to "/" there is no way */
            judge_cwd(c, cwd, ret);
        memcpy(ret->real, cwd, strlen(cwd) + 1);
        int fd = fcntl(cwd_fd, F_DUPFD_CLOEXEC, 3);
        r = fd < 0 ? -errno : enter(&s, fd);
    }
    while (r == 0 && !missing && next_name(&s, name, &r))
        r = step(&s, name, may_miss, &missing);
    if (r == 0 && path[0] && path[strlen(path) - 1] == '/' && !missing &&
        (s.st.mode & S_IFMT) != S_IFDIR)
        r = -ENOTDIR;
    if (r < 0 || missing) {
        if (s.dir >= 0)
            close(s.dir);
        return r;
    }
    judge_whole(&s);
    ret->fd = s.dir;
    ret->st = s.st;
    return 0;
}
