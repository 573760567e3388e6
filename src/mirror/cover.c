/* SPDX-License-Identifier: MIT */
/* The container's root may be the agent, who lays out its file system as it likes: paths are
 * followed in its own root, without magic links, and whatever they lead to is a place in its own
 * mount namespace. */
#include "mirror/cover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/clone.h"
#include "mirror/compat.h"
#include "mirror/phrase.h"
#include "mirror/script.h"
#include "wire/gatewire.h"
#include "wire/v2.h"

static struct {
    const struct inside *in;
    const struct helper_resolve *ask;
    int proc, below;
    int tree[COVER_MAX]; /* detached, the shim each; of the worker's table and the child's */
    unsigned trees, used;
    char covered[HELPER_NAMES_MAX * 128], left[256];
    size_t covered_len;
    uint32_t covered_count;
    volatile int error;
    volatile int program;
    const char *path; /* of a program below a cover */
} c;

bool cover_is_shim(const char *head, size_t n)
{
    static const char mark[] = COVER_MARK;
    return n > 4 && memcmp(head, "\177ELF", 4) == 0 &&
           memmem(head, n, mark, sizeof(mark) - 1) != NULL;
}

bool cover_is_mount(int dir, const char *path)
{
    struct compat_statx st;
    return way_stat(dir, path, AT_SYMLINK_NOFOLLOW, &st) == 0 &&
           (st.attributes & COMPAT_STATX_ATTR_MOUNT_ROOT);
}

static int open_in(int dir, const char *path, uint64_t flags)
{
    struct compat_open_how how = {.flags = flags | O_CLOEXEC,
                                  .resolve = COMPAT_RESOLVE_IN_ROOT | COMPAT_RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
}

/* ---- covering, in the child ---- */

static void leave(const char *path, const char *why)
{
    struct phrase w = {.text = c.left, .size = sizeof(c.left)};
    if (c.left[0])
        phrase_add(&w, "; ");
    phrase_add_safe(&w, path);
    phrase_add(&w, why);
}

static void count(const char *path)
{
    size_t n = strlen(path) + 1;
    if (c.covered_len + n > sizeof(c.covered) || c.covered_count == HELPER_NAMES_MAX) {
        leave(path, ": covered, but too many are to be named");
        return;
    }
    memcpy(c.covered + c.covered_len, path, n);
    c.covered_len += n;
    c.covered_count++;
}

enum kind { KIND_NONE, KIND_SHIM, KIND_SCRIPT, KIND_TOOL };

static enum kind kind_of(int root, const char *path, const struct compat_statx *st)
{
    char head[SCRIPT_HEAD_MAX];
    if ((st->mode & S_IFMT) != S_IFREG || !(st->mode & 0111))
        return KIND_NONE;
    int fd = open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
    ssize_t n = fd < 0 ? -1 : read(fd, head, sizeof(head));
    if (fd >= 0)
        close(fd);
    if (n > 2 && head[0] == '#' && head[1] == '!')
        return KIND_SCRIPT;
    return n > 0 && cover_is_shim(head, (size_t)n) ? KIND_SHIM : KIND_TOOL;
}

static void mount_over(int at, const char *path)
{
    if (c.used == c.trees) {
        leave(path, ": too many tools at once");
        return;
    }
    if (syscall(SYS_move_mount, c.tree[c.used], "", at, "",
                COMPAT_MOVE_MOUNT_F_EMPTY_PATH | COMPAT_MOVE_MOUNT_T_EMPTY_PATH) == 0) {
        c.used++;
        count(path);
    } else {
        leave(path, ": it cannot be mounted over");
    }
}

/* A symlink is covered itself: what it leads to may be everybody's (busybox). A script is read by
 * its interpreter under its own name, which would find the shim there. */
static void cover_one(int root, uint64_t root_mount, const char *path)
{
    struct compat_statx st;
    int at = open_in(root, path, O_PATH | O_NOFOLLOW);
    if (at < 0)
        return;
    if (way_stat(at, "", AT_EMPTY_PATH, &st) == 0) {
        bool link = (st.mode & S_IFMT) == S_IFLNK;
        enum kind k = link ? KIND_TOOL : kind_of(root, path, &st);
        if (k == KIND_SHIM && (st.attributes & COMPAT_STATX_ATTR_MOUNT_ROOT))
            count(path); /* already */
        else if (k == KIND_SCRIPT)
            leave(path, ": a script");
        else if (k == KIND_TOOL && st.mnt_id != root_mount)
            leave(path, ": it is on another mount than the root");
        else if (k == KIND_TOOL)
            mount_over(at, path);
    }
    close(at);
}

static int send_below(const struct gatewire_cover *m, int dir)
{
    uint8_t body[GATEWIRE_COVER_SIZE_MAX];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {.space = {0}};
    struct iovec iov = {.iov_base = body, .iov_len = gatewire_cover_encode(m, body, sizeof(body))};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct cmsghdr *k = CMSG_FIRSTHDR(&h);
    k->cmsg_level = SOL_SOCKET;
    k->cmsg_type = SCM_RIGHTS;
    k->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(k), &dir, sizeof(int));
    return iov.iov_len && sendmsg(c.below, &h, MSG_DONTWAIT | MSG_NOSIGNAL) > 0 ? 0 : -1;
}

/* The gate goes by the number of the mount: what was executed through it is this cover and no
 * other, by whatever path. */
static int tell_one(int root, int tree, const char *path)
{
    char text[WAY_PATH_MAX];
    struct compat_statx st;
    const char *name = strrchr(path, '/') + 1;
    size_t n = (size_t)(name - path);
    int at = open_in(root, path, O_PATH | O_NOFOLLOW);
    int r = at < 0 ? -1 : way_stat(at, "", AT_EMPTY_PATH, &st);
    if (at >= 0)
        close(at);
    if (r < 0 || n >= sizeof(text))
        return -1;
    memcpy(text, path, n);
    text[n] = 0;
    int dir = open_in(tree, text, O_RDONLY | O_DIRECTORY);
    if (dir < 0)
        return -1;
    const struct gatewire_cover m = {.mount = st.mnt_id, .path = path};
    r = send_below(&m, dir);
    close(dir);
    return r;
}

static int tell_below(int root)
{
    int tree = cover_open_below(), r = tree < 0 ? -1 : 0;
    const char *path = c.covered;
    for (uint32_t i = 0; r == 0 && i < c.covered_count; i++, path = helper_next(path))
        r = tell_one(root, tree, path);
    return r;
}

_Noreturn static void cover_all(void)
{
    struct compat_statx root;
    char path[WAY_PATH_MAX];
    if (inside_enter_files(c.in, c.proc) < 0)
        _exit(1);
    int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || way_stat(fd, "", AT_EMPTY_PATH, &root) < 0)
        _exit(1);
    const char *name = c.ask->paths.packed;
    for (uint32_t i = 0; i < c.ask->paths.count; i++, name = helper_next(name)) {
        const char *dir = c.ask->search.packed;
        for (uint32_t k = 0; k < c.ask->search.count; k++, dir = helper_next(dir)) {
            struct phrase w = {.text = path, .size = sizeof(path)};
            path[0] = 0;
            if (!name[0] || strchr(name, '/') || strlen(dir) + strlen(name) + 2 > sizeof(path))
                continue;
            phrase_add(&w, dir);
            phrase_add(&w, "/");
            phrase_add(&w, name);
            cover_one(fd, root.mnt_id, path);
        }
    }
    if (c.below >= 0 && tell_below(fd) < 0)
        _exit(1);
    c.error = 0;
    _exit(0);
}

/* ---- covering, the worker ---- */

/* Read-only, of no use for more rights, and nobody else's peer. */
static int make_tree(int shim)
{
    struct compat_mount_attr attr = {.set = COMPAT_MOUNT_ATTR_RDONLY | COMPAT_MOUNT_ATTR_NOSUID |
                                            COMPAT_MOUNT_ATTR_NODEV,
                                     .propagation = COMPAT_MS_PRIVATE};
    int tree =
        (int)syscall(SYS_open_tree, shim, "", COMPAT_OPEN_TREE_CLONE | O_CLOEXEC | AT_EMPTY_PATH);
    if (tree >= 0 && syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0) {
        close(tree);
        return -1;
    }
    return tree;
}

static void fail(struct helper_resolved *ret, int err, const char *words)
{
    *ret = (struct helper_resolved){.error = (uint32_t)(err > 0 ? err : EIO), .words = words};
}

void cover_run(const struct worker *w, const struct inside *in, const struct helper_resolve *ask,
               int shim, int below, struct helper_resolved *ret)
{
    int status;
    unsigned most = ask->paths.count * 2 < COVER_MAX ? ask->paths.count * 2 : COVER_MAX;
    c.in = in;
    c.ask = ask;
    c.proc = w->proc;
    c.below = below;
    c.trees = c.used = 0;
    c.covered_len = c.covered_count = 0;
    c.left[0] = 0;
    c.error = EIO;
    while (c.trees < most && (c.tree[c.trees] = make_tree(shim)) >= 0)
        c.trees++;
    int err = errno;
    if (c.trees < most) {
        fail(ret, err, "the shim cannot be mounted anywhere from here");
    } else {
        long pid = clone_vfork(-1);
        if (pid == 0)
            cover_all();
        if (pid > 0)
            (void)waitpid((pid_t)pid, &status, 0);
        if (pid < 0 || c.error)
            fail(ret, EIO, "its container could not be entered");
        else
            *ret = (struct helper_resolved){
                .words = c.left,
                .names = {.packed = c.covered, .size = c.covered_len, .count = c.covered_count}};
    }
    while (c.trees > 0)
        close(c.tree[--c.trees]);
}

/* ---- what lies below ---- */

int cover_open_below(void)
{
    return (int)syscall(SYS_open_tree, AT_FDCWD, "/", COMPAT_OPEN_TREE_CLONE | O_CLOEXEC);
}

/* Shares the worker's descriptors. */
_Noreturn static void open_below(void)
{
    if (inside_enter_files(c.in, c.proc) < 0)
        _exit(1);
    int tree = cover_open_below();
    c.program = tree < 0 ? -1 : open_in(tree, c.path, O_PATH);
    if (tree >= 0)
        close(tree);
    _exit(0);
}

int cover_open_program(const struct worker *w, const struct inside *in, const char *path)
{
    int status;
    struct compat_statx st;
    int at = open_in(in->root, path, O_PATH | O_NOFOLLOW);
    bool covered = at >= 0 && way_stat(at, "", AT_EMPTY_PATH, &st) == 0 &&
                   (st.attributes & COMPAT_STATX_ATTR_MOUNT_ROOT);
    if (at >= 0)
        close(at);
    if (!covered)
        return -1;
    c.in = in;
    c.proc = w->proc;
    c.path = path;
    c.program = -1;
    struct compat_clone_args *args = clone_args(-1);
    args->flags |= COMPAT_CLONE_FILES;
    long pid = clone_call(args, sizeof(*args));
    if (pid == 0)
        open_below();
    if (pid > 0)
        (void)waitpid((pid_t)pid, &status, 0);
    if (c.program < 0)
        return -1;
    /* Out of the way of those that the caller hands over. */
    int up = fcntl(c.program, F_DUPFD_CLOEXEC, V2_FDS_NUMBER_MAX + 1);
    close(c.program);
    return up;
}
