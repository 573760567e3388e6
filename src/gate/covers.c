/* SPDX-License-Identifier: MIT */
#include "gate/covers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate/facts.h"
#include "mirror/phrase.h"
#include "mirror/way.h"
#include "wire/gatewire.h"

#define COVERS_MAX 1024

struct cover {
    uint64_t mount;
    struct compat_statx st; /* of what lies below; a symlink itself */
    char path[WAY_PATH_MAX];
    char link[2 * WAY_PATH_MAX]; /* where that symlink leads, from the root; "" none */
    int dir;                     /* owned, of the gate: finders do not have it */
};

/* Written by the gate, an entry before it is counted; read by finders too. */
static struct {
    volatile uint32_t count;
    struct cover at[COVERS_MAX];
} * all;

static const char *base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static int find(uint64_t mount)
{
    for (uint32_t i = 0; all && i < all->count; i++)
        if (all->at[i].mount == mount)
            return (int)i;
    return -1;
}

/* For mirror/way: what lies below counts in the shim's place, on the mount of the directory. */
static const char *replace(struct compat_statx *st)
{
    int i = find(st->mnt_id);
    if (i < 0)
        return NULL;
    *st = all->at[i].st;
    return all->at[i].link;
}

int covers_init(void)
{
    void *p = mmap(NULL, sizeof(*all), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return -errno;
    all = p;
    way_below = replace;
    return 0;
}

/* A relative link as the path that it means; the rest of the way is the kernel's. */
static int read_target(struct cover *k)
{
    char target[WAY_PATH_MAX];
    struct phrase p = {.text = k->link, .size = sizeof(k->link)};
    size_t dir = (size_t)(base_name(k->path) - k->path);
    ssize_t n = readlinkat(k->dir, base_name(k->path), target, sizeof(target) - 1);
    if (n <= 0)
        return -1;
    target[n] = 0;
    if (target[0] != '/') {
        memcpy(k->link, k->path, dir);
        k->link[dir] = 0;
        p.len = dir;
    }
    phrase_add(&p, target);
    return 0;
}

/* Takes `dir`. */
static int add(const struct gatewire_cover *m, int dir)
{
    struct compat_statx up;
    int i = find(m->mount);
    uint32_t at = i >= 0 ? (uint32_t)i : all->count;
    if (at == COVERS_MAX || strlen(m->path) >= sizeof(all->at[at].path)) {
        close(dir);
        return -E2BIG;
    }
    struct cover fresh = {.mount = m->mount, .dir = dir};
    memcpy(fresh.path, m->path, strlen(m->path) + 1);
    if (way_stat(AT_FDCWD, "/", 0, &up) < 0 ||
        way_stat(dir, base_name(m->path), AT_SYMLINK_NOFOLLOW, &fresh.st) < 0 ||
        ((fresh.st.mode & S_IFMT) == S_IFLNK && read_target(&fresh) < 0)) {
        close(dir);
        return 0; /* nothing that could be started: the kernel will say so */
    }
    fresh.st.mnt_id = up.mnt_id;
    if (i >= 0) /* told again, as to every warden that comes back */
        close(all->at[at].dir);
    all->at[at] = fresh;
    if (i < 0)
        all->count = at + 1;
    return 0;
}

/* 1: a message was there, 0: none. */
static int receive(int socket)
{
    uint8_t body[GATEWIRE_COVER_SIZE_MAX];
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = body, .iov_len = sizeof(body)};
    struct msghdr h = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    struct gatewire_cover m;
    int dir;
    ssize_t n = recvmsg(socket, &h, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n <= 0)
        return n == 0 || errno == EAGAIN ? 0 : -errno;
    const struct cmsghdr *k = CMSG_FIRSTHDR(&h);
    if (!k || k->cmsg_level != SOL_SOCKET || k->cmsg_type != SCM_RIGHTS)
        return -EBADMSG;
    memcpy(&dir, CMSG_DATA(k), sizeof(dir));
    if ((h.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) ||
        gatewire_cover_decode(body, (size_t)n, &m) < 0) {
        close(dir);
        return -EBADMSG;
    }
    int r = add(&m, dir);
    return r < 0 ? r : 1;
}

int covers_take(int socket)
{
    int r;
    while ((r = receive(socket)) > 0)
        ;
    close(socket);
    return r;
}

int covers_find(pid_t pid)
{
    return all && all->count > 0 ? find(facts_mount(pid)) : -1;
}

const char *covers_path(int cover)
{
    return all->at[cover].path;
}

const char *covers_below(int cover, int *ret_dir)
{
    const struct cover *k = &all->at[cover];
    *ret_dir = k->link[0] ? -1 : k->dir;
    return k->link[0] ? k->link : base_name(k->path);
}
