/* SPDX-License-Identifier: MIT */
#include "mirror/seat.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mirror/cgroup.h"
#include "mirror/clone.h"
#include "mirror/compat.h"
#include "mirror/sieve.h"

#define IDLE_MS 30000
#define PIDS_MIN 128 /* no seats where the container's limit is lower: each counts as one */

/* What both see: the order, as in the worker, and what became of it. */
struct room {
    struct child_plan plan;
    struct helper_start start;
    struct helper_peer who;
    struct subject subject;
    struct inside inside;
    volatile bool taken; /* the order: from here on there may be a child */
    volatile long result;
    uint32_t groups[HELPER_GROUPS_MAX];
    uint8_t body[HELPER_INLINE_MAX];
    char *strings[HELPER_INLINE_MAX + 4]; /* each takes a byte at least */
};

static struct room *room; /* shared; made once */
static struct {
    pid_t pid;            /* 0: none */
    int ask, tell;        /* owned, eventfds */
    int pidfd, initfd;    /* owned: the seat, and the container's first process */
    struct inside inside; /* of the container when it was made; its root is owned */
    struct stat cgroup;
} seat = {.ask = -1, .tell = -1, .pidfd = -1, .initfd = -1, .inside = {.root = -1}};
static struct {
    pid_t init;
    uint64_t start_time;
} hopeless; /* a container that lets no seat be made */

/* ---- the seat itself ---- */

/* Does the filter let a command do all that child_run_seated() does? What it forbids is to be known
 * before there is a command. */
_Noreturn static void rehearse(int proc)
{
    struct compat_statx st;
    struct rlimit limit;
    struct msghdr m = {0};
    char link[16];
    char *none[] = {NULL};
    struct compat_cap_header head = {.version = COMPAT_CAP_VERSION_3};
    struct compat_cap_data data[2] = {{0}, {0}};
    sigset_t all;
    sigfillset(&all);
    bool fine =
        signal(SIGURG, SIG_IGN) != SIG_ERR &&
        setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0)) == 0 &&
        prlimit(0, RLIMIT_NOFILE, NULL, &limit) == 0 &&
        prlimit(0, RLIMIT_NOFILE, &limit, NULL) == 0 && dup2(0, 1) == 1 &&
        fcntl(0, F_DUPFD_CLOEXEC, 3) > 0 &&
        syscall(SYS_close_range, 3, ~0U, COMPAT_CLOSE_RANGE_CLOEXEC) == 0 &&
        prctl(PR_CAPBSET_READ, 0, 0, 0, 0) >= 0 && prctl(PR_CAPBSET_DROP, 0, 0, 0, 0) == 0 &&
        prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 &&
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0 &&
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && syscall(SYS_setgroups, 0, NULL) == 0 &&
        syscall(SYS_setresgid, -1, -1, -1) == 0 && syscall(SYS_setresuid, -1, -1, -1) == 0;
    fine = fine && syscall(SYS_capset, &head, data) == 0 &&
           prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && open(".", O_PATH | O_CLOEXEC) >= 0 &&
           syscall(SYS_statx, 0, "", AT_EMPTY_PATH, COMPAT_STATX_BASIC, &st) == 0 &&
           readlink("self/fd/0", link, sizeof(link)) > 0 && fchdir(proc) == 0 &&
           setpgid(0, 0) == 0 && sigprocmask(SIG_SETMASK, &all, NULL) == 0;
    (void)umask(077);
    fine = fine && umask(022) == 077 && recvmsg(0, &m, MSG_DONTWAIT) < 0 && errno == ENOTSOCK &&
           tcgetpgrp(0) < 0 && errno == ENOTTY && execve("", none, none) < 0 && errno == ENOENT &&
           syscall(SYS_execveat, -1, "", none, none, AT_EMPTY_PATH) < 0 && errno == EBADF;
    _exit(fine ? 0 : 1);
}

/* The session keyring is new, and all commands of the seat would share it: only where the filter
 * lets no command touch keys. */
static bool keys_are_out_of_reach(void)
{
    static const long calls[] = {SYS_keyctl, SYS_add_key, SYS_request_key};
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        if (syscall(calls[i], -1L, NULL, NULL, 0L, 0L) >= 0 || (errno != EPERM && errno != ENOSYS))
            return false;
    return true;
}

static bool settle_down(const struct job *j, pid_t worker)
{
    int status = -1;
    const struct inside *in = &j->inside;
    if (inside_enter(in, j->w->proc) < 0)
        return false;
    subject_drop_bounds(~in->init_status.bounding);
    if (sieve_install(in->init, in->start_time, in->init_status.filters) < 0)
        return false;
    /* Entering may have changed the ids, which clears it. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != worker ||
        !keys_are_out_of_reach())
        return false;
    long pid = clone_sibling(
        (unsigned long)(COMPAT_CLONE_VM | COMPAT_CLONE_VFORK | (unsigned long)SIGCHLD));
    if (pid == 0)
        rehearse(j->w->proc);
    return pid > 0 && waitpid((pid_t)pid, &status, 0) == pid && status == 0;
}

_Noreturn static void sit(const struct job *j, pid_t worker)
{
    uint64_t one = 1;
    subject_know_limits(); /* while this is the host's /proc */
    if (!settle_down(j, worker))
        _exit(1);
    for (;;) {
        struct pollfd p[2] = {{.fd = seat.ask, .events = POLLIN},
                              {.fd = seat.initfd, .events = POLLIN}};
        one = 1;
        if (write(seat.tell, &one, sizeof(one)) != sizeof(one))
            _exit(0);
        int n = poll(p, 2, IDLE_MS);
        if (n <= 0 || p[1].revents || read(seat.ask, &one, sizeof(one)) != sizeof(one))
            _exit(0);
        room->taken = true;
        long pid = clone_sibling_vfork();
        if (pid == 0)
            child_run_seated(&room->plan);
        room->result = pid;
    }
}

/* ---- the worker ---- */

static void close_all(void)
{
    int *fds[] = {&seat.ask, &seat.tell, &seat.pidfd, &seat.initfd, &seat.inside.root};
    for (unsigned i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

void seat_leave(void)
{
    int status;
    if (seat.pid) {
        (void)kill(seat.pid, SIGKILL); /* reaped now or, when it is slow, later: see below */
        (void)waitpid(seat.pid, &status, WNOHANG | __WCLONE);
        seat.pid = 0;
        close_all();
    }
    while (waitpid(-1, &status, WNOHANG | __WCLONE) > 0)
        ;
}

pid_t seat_pid(void)
{
    return seat.pid;
}

/* A seat that stands still does not see its container end, whose number another may get. */
bool seat_lives(void)
{
    struct pollfd p[2] = {{.fd = seat.pidfd, .events = POLLIN},
                          {.fd = seat.initfd, .events = POLLIN}};
    return seat.pid && poll(p, 2, 0) == 0;
}

static bool same_place(const struct inside *a, const struct inside *b)
{
    return a->init == b->init && a->start_time == b->start_time && a->spaces == b->spaces &&
           a->init_status.filters == b->init_status.filters &&
           a->init_status.bounding == b->init_status.bounding &&
           memcmp(a->at, b->at, sizeof(a->at)) == 0;
}

const struct inside *seat_inside(pid_t init)
{
    return seat_lives() && seat.inside.init == init ? &seat.inside : NULL;
}

bool seat_suits(const struct subject *caller)
{
    return seat.pid && !(caller->bounding & ~seat.inside.init_status.bounding);
}

bool seat_stands(int cgroup)
{
    struct stat st;
    return seat.pid && cgroup >= 0 && fstat(cgroup, &st) == 0 && st.st_ino == seat.cgroup.st_ino &&
           st.st_dev == seat.cgroup.st_dev && hierarchy_same(seat.inside.init, seat.pid) &&
           cgroup_holds(cgroup, seat.pid);
}

bool seat_fits(const struct job *j)
{
    if (!seat.pid)
        return false;
    if (seat_lives() && seat_suits(&j->subject) && same_place(&seat.inside, &j->inside) &&
        seat_stands(j->cgroup))
        return true;
    seat_leave();
    return false;
}

static bool write_order(const struct job *j)
{
    if (j->body_len > sizeof(room->body))
        return false;
    memcpy(room->body, j->body, j->body_len);
    if (helper_start_decode(room->body, j->body_len, &room->start) < 0)
        return false;
    room->who = j->who;
    room->subject = j->subject;
    room->inside = j->inside;
    room->plan = j->plan;
    room->plan.start = &room->start;
    room->plan.who = &room->who;
    room->plan.subject = &room->subject;
    room->plan.inside = &room->inside;
    char **p = room->plan.argv = room->strings;
    const char *s = room->start.argv.packed;
    for (uint32_t i = 0; i < room->start.argv.count; i++, s = helper_next(s))
        *p++ = (char *)s;
    *p++ = NULL;
    room->plan.env = p;
    s = room->start.env.packed;
    for (uint32_t i = 0; i < room->start.env.count; i++, s = helper_next(s))
        *p++ = (char *)s;
    *p = NULL;
    memcpy(room->groups, j->plan.groups, sizeof(uint32_t) * j->who.groups_count);
    room->plan.groups = room->groups;
    return true;
}

/* False: it has ended. */
static bool hear(void)
{
    struct pollfd p[2] = {{.fd = seat.tell, .events = POLLIN},
                          {.fd = seat.pidfd, .events = POLLIN}};
    uint64_t times;
    int n;
    do
        n = poll(p, 2, JOB_LAUNCH_S * 1000);
    while (n < 0 && errno == EINTR);
    /* It, or its child, was stopped or frozen, and may go on when nobody looks: our end ends all.
     */
    if (n <= 0)
        worker_leave();
    return p[0].revents && read(seat.tell, &times, sizeof(times)) == sizeof(times);
}

long seat_launch(struct job *j)
{
    uint64_t one = 1;
    if (!seat_lives() || !write_order(j))
        return -ESRCH;
    room->result = -EINTR;
    room->taken = false;
    if (write(seat.ask, &one, sizeof(one)) != sizeof(one))
        return -ESRCH;
    bool told = hear();
    if (!told && !room->taken) {
        seat_leave();
        return -ESRCH; /* it was at its end already: nothing was started */
    }
    j->plan.stage = room->plan.stage;
    j->plan.error = room->plan.error;
    j->plan.took = room->plan.took;
    long pid = room->result; /* its last word, also when it died before it could tell */
    if (pid < 0 || j->plan.stage != CHILD_FINE) {
        if (!told) {
            cgroup_kill(j->cgroup); /* a child may have executed */
            j->spent = true;
        }
        seat_leave();
        j->reuse = false; /* a child that has not yet ended */
    }
    return pid;
}

static bool make(struct job *j)
{
    pid_t worker = getpid();
    struct compat_clone_args args = {.flags = COMPAT_CLONE_FILES | COMPAT_CLONE_INTO_CGROUP |
                                              COMPAT_CLONE_PIDFD,
                                     .pidfd = (uint64_t)(uintptr_t)&seat.pidfd,
                                     /* so that waiting for the commands does not see it */
                                     .exit_signal = SIGURG,
                                     .cgroup = (uint64_t)j->cgroup};
    if (!room) {
        void *p = mmap(NULL, sizeof(*room), PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED)
            return false;
        room = p;
    }
    seat.inside = j->inside;
    seat.inside.tasks_count = 0;
    seat.ask = eventfd(0, EFD_CLOEXEC);
    seat.tell = eventfd(0, EFD_CLOEXEC);
    seat.initfd = fcntl(j->initfd, F_DUPFD_CLOEXEC, 3);
    seat.inside.root = fcntl(j->inside.root, F_DUPFD_CLOEXEC, 3);
    long pid = -1;
    if (seat.ask >= 0 && seat.tell >= 0 && seat.initfd >= 0 && seat.inside.root >= 0 &&
        fstat(j->cgroup, &seat.cgroup) == 0)
        pid = syscall(SYS_clone3, &args, sizeof(args));
    if (pid == 0)
        sit(j, worker);
    if (pid < 0) {
        seat.pidfd = -1;
        close_all();
        return false;
    }
    seat.pid = (pid_t)pid;
    /* It shares our descriptors, and needs those of the container until it is there. */
    if (hear())
        return true;
    hopeless.init = j->inside.init; /* it cannot be: there is nothing to try again */
    hopeless.start_time = j->inside.start_time;
    seat_leave();
    return false;
}

bool seat_keep(struct job *j)
{
    /* In a user namespace of its own a child could not be given limits above the worker's. */
    bool may = j->reuse && !j->spent && !j->by_engine && j->may_seat && j->inside.at[0].ino &&
               !j->inside.user_space;
    if (may && seat_lives() && cgroup_holds(j->cgroup, seat.pid))
        return true;
    seat_leave();
    if (!may || (hopeless.init == j->inside.init && hopeless.start_time == j->inside.start_time) ||
        !j->unseated || !j->inside.init_status.filters || cgroup_populated(j->cgroup) ||
        !hierarchy_pids_allow(j->inside.init, PIDS_MIN))
        return false;
    return make(j);
}
