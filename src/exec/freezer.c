/* SPDX-License-Identifier: MIT */
#include "exec/freezer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#define ROOT "/sys/fs/cgroup"
#define DEPTH_MAX 24
#define TEXT_MAX (4u << 20)
#define USERNS_DEPTH 40 /* of the kernel: 33 */

#ifndef NS_GET_USERNS
#define NS_GET_USERNS 0xb701 /* linux/nsfs.h */
#endif
#ifndef NS_GET_PARENT
#define NS_GET_PARENT 0xb702
#endif
#ifndef NS_GET_OWNER_UID
#define NS_GET_OWNER_UID 0xb704
#endif

/* ---- where ---- */

static bool is_dir(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool has_file(const char *dir, const char *name)
{
    _cleanup_free_ char *path = mem_printf("%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

/* Whether version 2 is all there is. A file cgroup.procs proves nothing: the root of versions 1 is
 * a tmpfs, in which anybody with root can have left one. */
static bool is_pure(const char *root)
{
    struct statfs fs;
    if (root)
        return has_file(root, "cgroup.procs"); /* of a test */
    return statfs(ROOT, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Takes the directory if it is one of a cgroup below a root. */
static void add(struct freezer *f, char *dir)
{
    if (f->dirs_count < FREEZER_DIRS_MAX && is_dir(dir) && has_file(dir, "cgroup.procs")) {
        if (!f->v1 && has_file(dir, "freezer.state"))
            f->v1 = mem_strdup(dir);
        if (!f->v2 && has_file(dir, "cgroup.freeze"))
            f->v2 = mem_strdup(dir);
        f->dirs[f->dirs_count++] = dir;
        return;
    }
    free(dir);
}

static bool path_is_plain(const char *path)
{
    return path[0] == '/' && path[1] && !strstr(path, "/../") && !str_ends(path, "/..");
}

int freezer_at_path(struct freezer *f, const char *root, const char *path, struct err *err)
{
    *f = (struct freezer){.v1 = NULL};
    bool pure = is_pure(root);
    root = root ? root : ROOT;
    if (!path_is_plain(path))
        return err_set(err, -EINVAL, "'%s' is no path of a cgroup", path);
    if (pure) {
        add(f, mem_printf("%s%s", root, path));
    } else {
        DIR *d = opendir(root);
        for (const struct dirent *e; d && (e = readdir(d));)
            if (e->d_name[0] != '.' && e->d_type == DT_DIR)
                add(f, mem_printf("%s/%s%s", root, e->d_name, path));
        if (d)
            (void)closedir(d);
    }
    return f->dirs_count ? 0 : err_set(err, -ENOENT, "there is no cgroup %s", path);
}

int freezer_of_text(struct freezer *f, const char *root, const char *text, struct err *err)
{
    *f = (struct freezer){.v1 = NULL};
    bool pure = is_pure(root);
    root = root ? root : ROOT;
    _cleanup_free_ char *copy = mem_strdup(text);
    char *save = NULL;
    for (char *line = strtok_r(copy, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *kind = strchr(line, ':'), *path = kind ? strchr(kind + 1, ':') : NULL;
        if (!path)
            continue;
        *path++ = '\0';
        if (!path_is_plain(path))
            continue;
        if (str_eq(kind, ":freezer"))
            add(f, mem_printf("%s/freezer%s", root, path));
        else if (str_eq(kind, ":"))
            add(f, mem_printf("%s%s%s", root, pure ? "" : "/unified", path));
    }
    return f->dirs_count ? 0 : err_set(err, -ENOENT, "it has no cgroup that is known here");
}

void freezer_done(struct freezer *f)
{
    for (size_t i = 0; i < f->dirs_count; i++)
        free(f->dirs[i]);
    free(f->v1);
    free(f->v2);
    *f = (struct freezer){.v1 = NULL};
}

/* ---- standing still ---- */

static int put(const char *dir, const char *name, const char *text)
{
    _cleanup_free_ char *path = mem_printf("%s/%s", dir, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static bool says(const char *dir, const char *name, const char *what)
{
    char text[512];
    _cleanup_free_ char *path = mem_printf("%s/%s", dir, name);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (n < 0)
        return false;
    text[n] = '\0';
    return strstr(text, what) != NULL;
}

int freezer_set(const struct freezer *f, bool on, struct err *err)
{
    if (!f->v1 && !f->v2)
        return on ? err_set(err, -EOPNOTSUPP,
                            "it has no cgroup of the freezer or of version 2: bind it to one")
                  : 0;
    int a = f->v1 ? put(f->v1, "freezer.state", on ? "FROZEN" : "THAWED") : 0;
    int b = f->v2 ? put(f->v2, "cgroup.freeze", on ? "1" : "0") : 0;
    if (a < 0 && (b < 0 || !f->v2 || !on))
        return err_errno(err, a, "its freezer");
    if (b < 0 && (!f->v1 || !on))
        return err_errno(err, b, "its cgroup.freeze");
    return 0;
}

bool freezer_is(const struct freezer *f)
{
    return (f->v1 && says(f->v1, "freezer.state", "FROZEN")) ||
           (f->v2 && says(f->v2, "cgroup.events", "frozen 1"));
}

bool freezer_wanted(const struct freezer *f)
{
    return (f->v1 && says(f->v1, "freezer.self_freezing", "1")) ||
           (f->v2 && says(f->v2, "cgroup.freeze", "1"));
}

/* ---- signals ---- */

static size_t signal_procs(const char *dir, int signo)
{
    _cleanup_buf_ struct buf text = BUF_INIT(TEXT_MAX);
    _cleanup_free_ char *path = mem_printf("%s/cgroup.procs", dir);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t n = 0;
    if (fd < 0 || fd_read_all(fd, &text) < 0)
        return 0;
    for (const char *p = buf_str(&text); *p;) {
        char *end;
        long pid = strtol(p, &end, 10);
        if (end == p)
            break;
        /* 0: of a pid namespace that is not below ours. */
        if (pid > 1 && pid != getpid()) {
            n++;
            if (signo)
                (void)kill((pid_t)pid, signo);
        }
        p = end + strspn(end, "\n");
    }
    return n;
}

static size_t signal_below(const char *dir, int signo, unsigned depth)
{
    size_t n = signal_procs(dir, signo);
    DIR *d = depth < DEPTH_MAX ? opendir(dir) : NULL;
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (e->d_type != DT_DIR || e->d_name[0] == '.')
            continue;
        _cleanup_free_ char *below = mem_printf("%s/%s", dir, e->d_name);
        n += signal_below(below, signo, depth + 1);
    }
    if (d)
        (void)closedir(d);
    return n;
}

size_t freezer_signal(const struct freezer *f, int signo)
{
    size_t most = 0;
    for (size_t i = 0; i < f->dirs_count; i++) {
        size_t n = signal_below(f->dirs[i], signo, 0);
        most = n > most ? n : most;
    }
    return most;
}

/* Is the user namespace of `pid`, or one around it up to ours, that of `owner`? */
static bool is_owned(pid_t pid, uid_t owner)
{
    char path[64];
    struct stat own, st;
    uid_t uid;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool found = false;
    for (int i = 0; fd >= 0 && !found && i < USERNS_DEPTH; i++) {
        if (stat("/proc/self/ns/user", &own) < 0 || fstat(fd, &st) < 0 || own.st_ino == st.st_ino)
            break;
        found = ioctl(fd, NS_GET_OWNER_UID, &uid) == 0 && uid == owner;
        int parent = ioctl(fd, NS_GET_PARENT);
        close(fd);
        fd = parent;
    }
    if (fd >= 0)
        close(fd);
    return found;
}

/* What has died and waits for its parent cannot be killed again. */
static bool is_zombie(uint64_t pid)
{
    char path[64], text[512];
    (void)snprintf(path, sizeof(path), "/proc/%" PRIu64 "/stat", pid);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(text, ')'); /* a name may have anything in it */
    return end && strlen(end) > 2 && (end[2] == 'Z' || end[2] == 'X');
}

size_t freezer_signal_userns(uid_t owner, int signo)
{
    DIR *d = opendir("/proc");
    size_t n = 0;
    for (const struct dirent *e; d && (e = readdir(d));) {
        uint64_t pid;
        if (str_parse_u64(e->d_name, INT32_MAX, &pid) < 0 || !is_owned((pid_t)pid, owner) ||
            is_zombie(pid))
            continue;
        n++;
        if (signo)
            (void)kill((pid_t)pid, signo);
    }
    if (d)
        (void)closedir(d);
    return n;
}
