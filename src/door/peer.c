/* SPDX-License-Identifier: MIT */
/* Nothing that the caller says is used here. /proc is read for a process that a pidfd pins: alive
 * behind the reading means that all of it was about this process. Files whose reading takes the
 * mmap lock (cmdline, environ, maps) are never touched: a caller can hold it for ever. */
#include "door/peer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "door/kernel.h"

#define PROC_TEXT_MAX (1u << 20) /* status: 65,536 groups of up to 11 characters */
#define WALKS_MAX 8
#define ANCESTORS_MAX 4096

/* ---- parsing ---- */

/* The next decimal, which may be negative; false when there is none. */
static bool next_number(const char **s, const char *end, int64_t *ret)
{
    const char *p = *s;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    bool negative = p < end && *p == '-';
    p += negative;
    uint64_t v = 0;
    const char *first = p;
    for (; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(v, 10u, &v) ||
            __builtin_add_overflow(v, (uint64_t)(*p - '0'), &v))
            return false;
    if (p == first)
        return false;
    *s = p;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

/* Fields 4 to 22: ppid pgrp session tty_nr tpgid, 14 that we skip, starttime. */
static int parse_stat_numbers(const char *s, const char *end, struct peer_stat *st)
{
    int64_t v[19];
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (!next_number(&s, end, &v[i]))
            return -EBADMSG;
    if (v[0] < 0 || v[0] > INT32_MAX || v[2] < 0 || v[2] > INT32_MAX)
        return -EBADMSG;
    st->ppid = (pid_t)v[0];
    st->sid = (pid_t)v[2];
    st->tty = (uint32_t)v[3];
    st->start_time = (uint64_t)v[18];
    return 0;
}

int peer_stat_parse(const char *text, size_t len, struct peer_stat *ret)
{
    /* Behind the name come numbers only, so the last ')' ends it whatever the name holds. */
    const char *open = memchr(text, '(', len), *close = memrchr(text, ')', len);
    if (!open || !close || close < open || (size_t)(text + len - close) < 4 || close[1] != ' ')
        return -EBADMSG;
    struct peer_stat st = {.state = close[2]};
    size_t n = (size_t)(close - open - 1);
    if (n >= sizeof(st.comm))
        n = sizeof(st.comm) - 1;
    memcpy(st.comm, open + 1, n);
    int r = parse_stat_numbers(close + 3, text + len, &st);
    if (r < 0)
        return r;
    *ret = st;
    return 0;
}

char *peer_cgroup_parse(const char *text, size_t len)
{
    for (const char *s = text, *end = text + len; s < end;) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        const char *stop = nl ? nl : end;
        if (stop - s > 3 && memcmp(s, "0::", 3) == 0)
            return mem_strndup(s + 3, (size_t)(stop - s - 3));
        s = stop + 1;
    }
    return NULL;
}

static bool four_ids(const char *s, const char *end, uint32_t out[4])
{
    for (size_t i = 0; i < 4; i++) {
        int64_t v;
        if (!next_number(&s, end, &v) || v < 0 || v > UINT32_MAX)
            return false;
        out[i] = (uint32_t)v;
    }
    return true;
}

static bool parse_groups(const char *s, const char *end, struct peer_status *st)
{
    size_t max = (size_t)(end - s) / 2 + 1;
    st->groups = mem_new_array(gid_t, max);
    for (int64_t v; next_number(&s, end, &v);) {
        if (v < 0 || v > UINT32_MAX || st->groups_count == max)
            return false;
        st->groups[st->groups_count++] = (gid_t)v;
    }
    return strspn(s, " \t\n") >= (size_t)(end - s);
}

/* The value of the line that begins with `key`. Name: comes first in the file and holds no raw
 * newline, so a line cannot be forged by it. */
static bool find_line(const char *text, size_t len, const char *key, const char **ret_s,
                      const char **ret_end)
{
    size_t n = strlen(key);
    for (const char *s = text, *end = text + len; s < end;) {
        const char *nl = memchr(s, '\n', (size_t)(end - s));
        const char *stop = nl ? nl : end;
        if ((size_t)(stop - s) >= n && memcmp(s, key, n) == 0) {
            *ret_s = s + n;
            *ret_end = stop;
            return true;
        }
        s = stop + 1;
    }
    return false;
}

int peer_status_parse(const char *text, size_t len, struct peer_status *ret)
{
    struct peer_status st = {.groups = NULL};
    const char *s, *end;
    if (!find_line(text, len, "Uid:", &s, &end) || !four_ids(s, end, st.uid) ||
        !find_line(text, len, "Gid:", &s, &end) || !four_ids(s, end, st.gid) ||
        !find_line(text, len, "Groups:", &s, &end))
        return -EBADMSG;
    if (!parse_groups(s, end, &st)) {
        free(st.groups);
        return -EBADMSG;
    }
    *ret = st;
    return 0;
}

/* ---- reading /proc ---- */

static int open_proc(pid_t pid, const char *name)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : errno == ENOENT ? -ESRCH : -errno;
}

/* These files are made whole for one read: less than asked for is all of it. */
static int read_proc(pid_t pid, const char *name, struct buf *out)
{
    char text[8192];
    _cleanup_close_ int fd = open_proc(pid, name);
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return -errno;
    int r = buf_append(out, text, (size_t)n);
    return r < 0 || (size_t)n < sizeof(text) ? r : fd_read_all(fd, out);
}

static int read_stat_of(pid_t pid, struct peer_stat *ret)
{
    char text[1024];
    _cleanup_close_ int fd = open_proc(pid, "stat");
    if (fd < 0)
        return fd;
    ssize_t n = read(fd, text, sizeof(text));
    if (n < 0)
        return -errno;
    return peer_stat_parse(text, (size_t)n, ret);
}

int peer_stat_read(pid_t pid, struct peer_stat *ret)
{
    int r = read_stat_of(pid, ret);
    return r == 0 && (ret->state == 'Z' || ret->state == 'X') ? -ESRCH : r;
}

bool peer_is_alive(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    return poll(&p, 1, 0) == 0;
}

/* ---- a connection ---- */

int peer_connected(int fd, struct peer_creds *ret, struct err *err)
{
    struct ucred u;
    socklen_t n = sizeof(u);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &u, &n) < 0)
        return err_errno(err, -errno, "cannot read who is calling");
    if (u.pid <= 0)
        return err_set(err, -EPERM,
                       "the caller lives in a pid namespace that the warden cannot see into; run "
                       "the warden in the host's (docker run --pid=host, compose: \"pid: host\")");
    int pidfd = -1;
    n = sizeof(pidfd);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &n) < 0) {
        if (errno != ENOPROTOOPT)
            return err_errno(err, -errno, "cannot pin process %d", (int)u.pid);
        /* Before Linux 6.5: the number may have been used again since the connect. Callers come
         * here at accept, so the time for that is the time in the backlog. */
        pidfd = (int)syscall(SYS_pidfd_open, u.pid, 0);
        if (pidfd < 0)
            return err_errno(err, -errno, "cannot pin process %d", (int)u.pid);
    }
    *ret = (struct peer_creds){.pid = u.pid, .uid = u.uid, .gid = u.gid, .pidfd = pidfd};
    return 0;
}

void peer_creds_done(struct peer_creds *c)
{
    if (c->pidfd >= 0)
        close(c->pidfd);
    c->pidfd = -1;
}

int peer_sender_check(const struct peer_creds *c, const struct ucred *sender, struct err *err)
{
    if (sender->pid != c->pid)
        return err_set(err, -EPERM, "process %d connected but process %d sends", (int)c->pid,
                       (int)sender->pid);
    if (sender->uid != c->uid || sender->gid != c->gid)
        return err_set(err, -EPERM, "process %d connected as %u:%u but sends as %u:%u", (int)c->pid,
                       (unsigned)c->uid, (unsigned)c->gid, (unsigned)sender->uid,
                       (unsigned)sender->gid);
    return 0;
}

/* Groups of the connect, as the kernel kept them; -ENOPROTOOPT never on a kernel we support. */
static int connect_groups(int fd, gid_t **ret, size_t *ret_count)
{
    gid_t few[64];
    socklen_t n = sizeof(few);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &n) == 0) {
        *ret = mem_dup(few, n);
        *ret_count = n / sizeof(gid_t);
        return 0;
    }
    if (errno != ERANGE)
        return -errno;
    gid_t *many = mem_zalloc(n);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, many, &n) < 0) {
        free(many);
        return -errno;
    }
    *ret = many;
    *ret_count = n / sizeof(gid_t);
    return 0;
}

/* Both are sorted by the kernel. */
static bool same_groups(const gid_t *a, size_t na, const gid_t *b, size_t nb)
{
    return na == nb && (na == 0 || memcmp(a, b, na * sizeof(*a)) == 0);
}

/* The ids that the process has now are those of its connect, in every one of their kinds: a program
 * between two users is refused. */
static int read_groups(const struct peer_creds *c, int fd, struct peer *p, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(PROC_TEXT_MAX);
    struct peer_status st = {.groups = NULL};
    int r = read_proc(c->pid, "status", &text);
    if (r == 0)
        r = peer_status_parse(buf_str(&text), text.len, &st);
    if (r < 0)
        return err_errno(err, r, "cannot read the ids of process %d", (int)c->pid);
    p->groups = st.groups;
    p->groups_count = st.groups_count;
    if (st.uid[0] != c->uid || st.uid[1] != c->uid || st.gid[0] != c->gid || st.gid[1] != c->gid)
        return err_set(err, -EPERM, "process %d connected as %u:%u and has other ids now",
                       (int)c->pid, (unsigned)c->uid, (unsigned)c->gid);
    _cleanup_free_ gid_t *then = NULL;
    size_t count = 0;
    r = connect_groups(fd, &then, &count);
    if (r < 0)
        return err_errno(err, r, "cannot read the groups of process %d", (int)c->pid);
    if (!same_groups(then, count, st.groups, st.groups_count))
        return err_set(err, -EPERM, "process %d connected with other groups than it has now",
                       (int)c->pid);
    return 0;
}

/* Of the parent, only for the record: it may be gone or out of sight. */
static void read_name(pid_t pid, char out[16])
{
    _cleanup_close_ int fd = pid > 0 ? open_proc(pid, "comm") : -1;
    ssize_t n = fd < 0 ? 0 : read(fd, out, 16);
    out[n > 0 ? n - 1 : 0] = '\0'; /* a newline ends it */
}

static int read_stat(const struct peer_creds *c, struct peer *p, struct err *err)
{
    struct peer_stat st = {.ppid = 0};
    int r = peer_stat_read(c->pid, &st);
    if (r < 0)
        return err_errno(err, r, "cannot read the state of process %d", (int)c->pid);
    p->ppid = st.ppid;
    p->sid = st.sid;
    p->tty = st.tty;
    p->start_time = st.start_time;
    return 0;
}

/* A cgroup of version 2 is never renamed and its id never used again, so a path once read under an
 * id stays right. Ids that fall on the same place take turns. */
static struct known_cgroup {
    uint64_t id; /* 0: none */
    char *path;  /* owned, NULL for none */
} known_cgroups[64];

static struct known_cgroup *known_cgroup(uint64_t id)
{
    return &known_cgroups[id % ARRAY_LEN(known_cgroups)];
}

/* What the kernel tells by a pidfd; `mask` says what of it, nothing before Linux 6.13. */
static struct kernel_pidfd_info pidfd_info(int pidfd)
{
    struct kernel_pidfd_info info = {.mask = KERNEL_PIDFD_INFO_PID | KERNEL_PIDFD_INFO_CREDS |
                                             KERNEL_PIDFD_INFO_CGROUPID};
    if (ioctl(pidfd, KERNEL_PIDFD_GET_INFO, &info) < 0)
        info.mask = 0;
    return info;
}

/* 0: not known. */
static uint64_t cgroup_id(const struct kernel_pidfd_info *info)
{
    return info->mask & KERNEL_PIDFD_INFO_CGROUPID ? info->cgroupid : 0;
}

static int read_cgroup(const struct peer_creds *c, const struct kernel_pidfd_info *info,
                       struct peer *p, struct err *err)
{
    uint64_t id = cgroup_id(info);
    struct known_cgroup *k = known_cgroup(id);
    if (id != 0 && k->id == id) {
        p->cgroup = k->path ? mem_strdup(k->path) : NULL;
        return 0;
    }
    _cleanup_buf_ struct buf text = BUF_INIT(PROC_TEXT_MAX);
    int r = read_proc(c->pid, "cgroup", &text);
    if (r < 0)
        return err_errno(err, r, "cannot read the cgroup of process %d", (int)c->pid);
    p->cgroup = peer_cgroup_parse(buf_str(&text), text.len);
    /* Had it moved meanwhile, the path could be that of the other. */
    const struct kernel_pidfd_info again = pidfd_info(c->pidfd);
    if (id != 0 && cgroup_id(&again) == id) {
        free(k->path);
        *k = (struct known_cgroup){.id = id, .path = p->cgroup ? mem_strdup(p->cgroup) : NULL};
    }
    return 0;
}

static void forget(struct peer *p)
{
    free(p->groups);
    free(p->cgroup);
    *p = (struct peer){.pidfd = -1};
}

int peer_describe(struct peer_creds *c, int fd, struct peer *ret, struct err *err)
{
    struct peer p = {.pid = c->pid, .uid = c->uid, .gid = c->gid, .pidfd = -1};
    const struct kernel_pidfd_info info = pidfd_info(c->pidfd);
    int r = read_stat(c, &p, err);
    read_name(p.ppid, p.parent);
    if (r == 0)
        r = read_groups(c, fd, &p, err);
    if (r == 0)
        r = read_cgroup(c, &info, &p, err);
    /* Alive now: the number was its own all the time, and so was what was read. */
    if (r == 0 && !peer_is_alive(c->pidfd))
        r = err_set(err, -ESRCH, "process %d went away while it was asked about", (int)c->pid);
    if (r < 0) {
        forget(&p);
        return r;
    }
    p.pidfd = TAKE_FD(c->pidfd);
    *ret = p;
    return 0;
}

/* ---- a process that somebody else spoke for ---- */

/* The number that a pidfd pins, in our own pid namespace; before Linux 6.13 from /proc. */
static pid_t pid_of(int pidfd, const struct kernel_pidfd_info *info)
{
    char path[64], text[1024];
    int64_t pid = -1;
    if (info->mask & KERNEL_PIDFD_INFO_PID)
        return info->pid > 0 && info->pid == info->tgid ? (pid_t)info->pid : -1;
    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));
    const char *s, *end;
    if (n <= 0 || !find_line(text, (size_t)n, "Pid:", &s, &end) || !next_number(&s, end, &pid) ||
        pid <= 0 || pid > INT32_MAX)
        return -1;
    return (pid_t)pid;
}

/* A process between two users counts as the one that may do more. */
static void choose_ids(const struct peer_status *st, struct peer *p)
{
    p->uid = st->uid[1];
    p->gid = st->gid[1];
    for (size_t i = 0; i < ARRAY_LEN(st->uid); i++)
        if (st->uid[i] == 0)
            p->uid = 0;
}

/* Its groups are nobody's business: what a gate lets go runs with those that it has. */
static int read_ids(pid_t pid, const struct kernel_pidfd_info *info, struct peer_status *ret)
{
    if (info->mask & KERNEL_PIDFD_INFO_CREDS) {
        *ret = (struct peer_status){.uid = {info->ruid, info->euid, info->suid, info->fsuid},
                                    .gid = {info->rgid, info->egid, info->sgid, info->fsgid}};
        return 0;
    }
    _cleanup_buf_ struct buf text = BUF_INIT(PROC_TEXT_MAX);
    int r = read_proc(pid, "status", &text);
    if (r == 0)
        r = peer_status_parse(buf_str(&text), text.len, ret);
    if (r == 0)
        free(ret->groups);
    return r;
}

static int read_pinned(pid_t pid, int pidfd, const struct kernel_pidfd_info *info, struct peer *p,
                       struct err *err)
{
    struct peer_creds c = {.pid = pid, .pidfd = pidfd}; /* which stays the caller's */
    struct peer_status st = {.groups = NULL};
    int r = read_stat(&c, p, err);
    if (r < 0)
        return r;
    r = read_ids(pid, info, &st);
    if (r < 0)
        return err_errno(err, r, "cannot read the ids of process %d", (int)pid);
    choose_ids(&st, p);
    return read_cgroup(&c, info, p, err);
}

int peer_pinned(int pidfd, struct peer *ret, struct err *err)
{
    const struct kernel_pidfd_info info = pidfd_info(pidfd);
    pid_t pid = pid_of(pidfd, &info);
    struct peer p = {.pid = pid, .pidfd = -1};
    if (pid <= 0)
        return err_set(err, -EBADF, "the gate sent something that names no process we can see");
    int r = read_pinned(pid, pidfd, &info, &p, err);
    if (r == 0 && !peer_is_alive(pidfd))
        r = err_set(err, -ESRCH, "process %d went away while it was asked about", (int)pid);
    if (r < 0) {
        forget(&p);
        return r;
    }
    p.pidfd = pidfd;
    *ret = p;
    return 0;
}

/* `name`: takes that of `pid` itself, or NULL. */
static int walk_up(pid_t pid, pid_t above, char name[16])
{
    for (int i = 0; i < ANCESTORS_MAX && pid > 0; i++) {
        struct peer_stat st = {.ppid = 0};
        if (pid == above) {
            if (name)
                read_name(pid, name);
            return 1;
        }
        if (pid == 1)
            return 0;
        /* One above that has ended in its first thread only keeps its children until the others
         * have: it is a link of the chain like any. */
        int r = i == 0 ? peer_stat_read(pid, &st) : read_stat_of(pid, &st);
        if (r < 0)
            return r;
        if (name)
            (void)snprintf(name, 16, "%.15s", st.comm);
        name = NULL;
        pid = st.ppid;
    }
    return pid == 0 ? 0 : -ELOOP;
}

/* One on the way may end while we look: then its children have another parent already. */
static int walk(pid_t pid, pid_t above, char name[16])
{
    int r = walk_up(pid, above, name);
    for (int i = 1; r < 0 && r != -ELOOP && i < WALKS_MAX; i++)
        r = walk_up(pid, above, name);
    return r;
}

int peer_descends(pid_t pid, pid_t above)
{
    return walk(pid, above, NULL);
}

int peer_parent_descends(struct peer *p, pid_t above)
{
    return walk(p->ppid, above, p->parent);
}

/* ---- the API's login by peer credentials ---- */

static int same_namespace(pid_t pid, const char *kind, struct err *err)
{
    char path[64];
    struct stat theirs, ours;
    (void)snprintf(path, sizeof(path), "/proc/%d/ns/%s", (int)pid, kind);
    if (stat(path, &theirs) < 0)
        return err_errno(err, -EPERM, "cannot tell the %s namespace of process %d", kind, (int)pid);
    (void)snprintf(path, sizeof(path), "/proc/self/ns/%s", kind);
    if (stat(path, &ours) < 0)
        return err_errno(err, -EPERM, "cannot tell our own %s namespace", kind);
    if (theirs.st_dev != ours.st_dev || theirs.st_ino != ours.st_ino)
        return err_set(err, -EPERM, "process %d lives in another %s namespace", (int)pid, kind);
    return 0;
}

static bool in_subtree(const char *cgroup, const char *root)
{
    size_t n = strlen(root);
    return str_starts(cgroup, root) && (cgroup[n] == '\0' || cgroup[n] == '/');
}

static int outside_cgroup(pid_t pid, const char *root, struct err *err)
{
    _cleanup_buf_ struct buf text = BUF_INIT(PROC_TEXT_MAX);
    int r = read_proc(pid, "cgroup", &text);
    if (r < 0)
        return err_errno(err, -EPERM, "cannot tell the cgroup of process %d", (int)pid);
    _cleanup_free_ char *path = peer_cgroup_parse(buf_str(&text), text.len);
    if (!path)
        return err_set(err, -EPERM, "process %d has no cgroup", (int)pid);
    if (in_subtree(path, root))
        return err_set(err, -EPERM, "process %d belongs to a governed command", (int)pid);
    return 0;
}

static int not_below(pid_t pid, pid_t helper, struct err *err)
{
    int r = peer_descends(pid, helper);
    if (r < 0)
        return err_set(err, -EPERM, "cannot tell whom the caller descends from");
    return r ? err_set(err, -EPERM, "the caller was started by a governed command") : 0;
}

static int count_filters(const char *who, unsigned *ret)
{
    char path[64], text[16384];
    int64_t n = 0;
    const char *s, *end;
    (void)snprintf(path, sizeof(path), "/proc/%s/status", who);
    _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text));
    if (len <= 0 || !find_line(text, (size_t)len, "Seccomp_filters:", &s, &end) ||
        !next_number(&s, end, &n) || n < 0)
        return -EBADMSG;
    *ret = (unsigned)n;
    return 0;
}

/* What a gate governs keeps its filter when the gate is gone and it descends from nobody known. */
static int not_filtered(pid_t pid, struct err *err)
{
    char who[16];
    unsigned theirs = 0, ours = 0;
    (void)snprintf(who, sizeof(who), "%d", (int)pid);
    if (count_filters(who, &theirs) < 0 || count_filters("self", &ours) < 0)
        return err_set(err, -EPERM, "cannot tell the filters of process %d", (int)pid);
    if (theirs > ours)
        return err_set(err, -EPERM,
                       "process %d stands under more seccomp filters than the warden, as what a "
                       "gate governs does",
                       (int)pid);
    return 0;
}

static int check_outside(pid_t pid, const struct peer_fence *f, struct err *err)
{
    static const char *const kinds[] = {"user", "pid", "mnt"};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        int r = same_namespace(pid, kinds[i], err);
        if (r < 0)
            return r;
    }
    int r = f->cgroup ? outside_cgroup(pid, f->cgroup, err) : 0;
    if (r == 0 && f->helper > 0)
        r = not_below(pid, f->helper, err);
    if (r == 0 && f->governed && f->governed(f->arg, pid))
        r = err_set(err, -EPERM, "process %d stands below a gate", (int)pid);
    return r < 0 ? r : not_filtered(pid, err);
}

int peer_is_outside(int fd, const struct peer_fence *f, struct err *err)
{
    struct peer_creds c = {.pidfd = -1};
    int r = peer_connected(fd, &c, err);
    if (r < 0)
        return r;
    r = check_outside(c.pid, f, err);
    if (r == 0 && !peer_is_alive(c.pidfd))
        r = err_set(err, -EPERM, "process %d went away while it was asked about", (int)c.pid);
    peer_creds_done(&c);
    return r;
}
