/* SPDX-License-Identifier: MIT */
#include "sandbox/offer.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/str.h"
#include "sandbox/landlock.h"

#define CGROUP2_MAGIC 0x63677270L /* linux/magic.h */
#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* Runs `try` in a child: 0, or the errno (negative) that it left with. */
static int in_child(int (*try)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(-try() & 0xff);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return -errno;
    return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

/* ---- seccomp ---- */

/* The listener is never read: with everything allowed nothing comes. */
static int install_filter(unsigned long flags)
{
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    const struct sock_fprog prog = {.len = 1, .filter = all};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -errno;
    long fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                      SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, &prog);
    return fd < 0 ? -errno : 0;
}

static int try_listener(void)
{
    return install_filter(0);
}

static int try_wait_killable(void)
{
    return install_filter(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
}

static void find_listener(struct offer *o)
{
    int r = in_child(try_listener);
    o->listener = r == 0;
    if (r == -EBUSY)
        (void)err_set(&o->no_listener, r, "this process stands under a gate already");
    else if (r < 0)
        (void)err_errno(&o->no_listener, r, "seccomp refuses a listener");
    o->wait_killable = o->listener && in_child(try_wait_killable) == 0;
}

/* ---- ptrace ---- */

static int try_tracing(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        (void)pause();
        _exit(0);
    }
    if (pid < 0)
        return -errno;
    int r = ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACEEXEC) < 0 ? -errno : 0;
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, __WALL);
    return r;
}

static int read_number(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(64);
    struct err err;
    if (fd_read_file(path, 64, &b, &err) < 0)
        return -1;
    return (int)strtol(buf_str(&b), NULL, 10);
}

static void find_tracing(struct offer *o)
{
    int r = in_child(try_tracing);
    o->yama = read_number("/proc/sys/kernel/yama/ptrace_scope");
    o->tracing = r == 0;
    if (r < 0)
        (void)err_errno(&o->no_tracing, r, "a child cannot be traced%s",
                        o->yama >= 2 ? " (kernel.yama.ptrace_scope)" : "");
}

/* ---- walls ---- */

static void find_walls(struct offer *o)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct entered x = ENTERED_INIT;
    struct enter e = {.plan = &p, .cwd = "/"};
    struct err err;
    plan_add(&p, PLAN_BLANK, "/tmp", 01777);
    o->landlock = landlock_abi();
    o->way = (struct enter_way){.wall = ENTER_WALL_NONE};
    if (enter_start(&e, ENTER_WALL_LANDLOCK, &x, &o->weaker) == 0)
        o->way = x.way;
    cleanup_close(&x.pidfd);
    x = ENTERED_INIT;
    e.no_network = true;
    o->network = enter_start(&e, ENTER_WALL_NAMESPACES, &x, &err) == 0;
    cleanup_close(&x.pidfd);
}

/* ---- cgroups ---- */

static bool is_cgroup2(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_MAGIC;
}

/* May we make one beside ourselves? Tried and taken back. */
static bool makes_cgroup(const char *mount)
{
    _cleanup_buf_ struct buf text = BUF_INIT(65536);
    _cleanup_close_ int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fd_read_all(fd, &text) < 0)
        return false;
    const char *own = strstr(buf_str(&text), "0::");
    if (!own)
        return false;
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s%.*s/clawrden-doctor-%d", mount,
                     (int)strcspn(own + 3, "\n"), own + 3, (int)getpid());
    if (n < 0 || (size_t)n >= sizeof(path) || mkdir(path, 0755) < 0)
        return false;
    (void)rmdir(path);
    return true;
}

static void find_cgroups(struct offer *o)
{
    static const char unified[] = "/sys/fs/cgroup/unified", whole[] = "/sys/fs/cgroup";
    const char *mount = NULL;
    if (is_cgroup2(whole)) {
        o->cgroups = OFFER_CGROUPS_V2;
        mount = whole;
    } else if (is_cgroup2(unified)) {
        o->cgroups = OFFER_CGROUPS_HYBRID;
        mount = unified;
    } else {
        o->cgroups =
            access("/sys/fs/cgroup/memory", F_OK) == 0 ? OFFER_CGROUPS_V1 : OFFER_CGROUPS_NONE;
    }
    o->cgroups_ours = mount && makes_cgroup(mount);
}

const char *offer_cgroups_name(enum offer_cgroups c)
{
    switch (c) {
    case OFFER_CGROUPS_NONE:
        return "none";
    case OFFER_CGROUPS_V1:
        return "v1";
    case OFFER_CGROUPS_HYBRID:
        return "hybrid";
    case OFFER_CGROUPS_V2:
        return "v2";
    }
    return "unknown";
}

/* ---- the rest ---- */

static bool answers(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}

static void find_pidfds(struct offer *o)
{
    int pair[2], got = -1;
    socklen_t n = sizeof(got);
    _cleanup_close_ int own = (int)syscall(SYS_pidfd_open, getpid(), 0);
    o->pidfd = own >= 0;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    o->peer_pidfd = getsockopt(pair[0], SOL_SOCKET, SO_PEERPIDFD, &got, &n) == 0;
    cleanup_close(&got);
    close(pair[0]);
    close(pair[1]);
}

void offer_find(struct offer *ret)
{
    static const char *const engines[] = {"/var/run/docker.sock", "/run/docker.sock",
                                          "/run/podman/podman.sock"};
    struct utsname u;
    *ret = (struct offer){.yama = -1, .root = geteuid() == 0};
    if (uname(&u) == 0)
        (void)snprintf(ret->kernel, sizeof(ret->kernel), "%.40s %.30s", u.release, u.machine);
    find_listener(ret);
    find_tracing(ret);
    find_walls(ret);
    find_cgroups(ret);
    find_pidfds(ret);
    for (size_t i = 0; i < ARRAY_LEN(engines); i++)
        ret->engine = ret->engine || answers(engines[i]);
}

bool offer_has_gate(const struct offer *o)
{
    return o->listener && o->tracing && o->pidfd;
}
