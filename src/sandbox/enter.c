/* SPDX-License-Identifier: MIT */
/* The child is made by clone(2) as fork would make it, with its namespaces, so that it is our own
 * child and the first process of its pid namespace. It tells us over a socket what failed, and
 * hands over its terminal; the exec closes that socket, which means success. */
#include "sandbox/enter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/caps.h"
#include "sandbox/landlock.h"
#include "sandbox/view.h"

#define MAP_MAX 65536

/* ---- words ---- */

static const char *const wall_names[] = {[ENTER_WALL_NONE] = "none",
                                         [ENTER_WALL_LANDLOCK] = "landlock",
                                         [ENTER_WALL_NAMESPACES] = "namespaces"};

const char *enter_wall_name(enum enter_wall wall)
{
    return wall_names[wall];
}

int enter_wall_parse(const char *name, enum enter_wall *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(wall_names); i++)
        if (str_eq(name, wall_names[i])) {
            *ret = (enum enter_wall)i;
            return 0;
        }
    return -EINVAL;
}

/* ---- the channel between us and the child ---- */

struct message {
    char kind; /* 'g' go on, 'e' it failed: words follow, 't' a terminal comes with it */
    char text[ERR_TEXT_MAX];
};

static int message_send(int channel, char kind, const char *text, int fd)
{
    struct message m = {.kind = kind};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct iovec v = {.iov_base = &m, .iov_len = sizeof(m)};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    (void)snprintf(m.text, sizeof(m.text), "%s", text);
    if (fd >= 0) {
        h.msg_control = control;
        h.msg_controllen = sizeof(control);
        struct cmsghdr *c = CMSG_FIRSTHDR(&h);
        *c = (struct cmsghdr){
            .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof(int))};
        memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    }
    ssize_t n;
    while ((n = sendmsg(channel, &h, MSG_NOSIGNAL)) < 0 && errno == EINTR)
        ;
    return n < 0 ? -errno : 0;
}

/* 1: a message; 0: the other side has closed. */
static int message_receive(int channel, struct message *ret, int *ret_fd)
{
    char control[CMSG_SPACE(sizeof(int))];
    struct iovec v = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr h = {
        .msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
    ssize_t n;
    *ret_fd = -1;
    while ((n = recvmsg(channel, &h, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        return n < 0 ? -errno : 0;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_fd, CMSG_DATA(c), sizeof(int));
    ret->text[sizeof(ret->text) - 1] = '\0';
    return (size_t)n == sizeof(*ret) ? 1 : -EBADMSG;
}

/* ---- the child ---- */

static int bring_loopback_up(struct err *err)
{
    struct ifreq q = {.ifr_flags = IFF_UP | IFF_RUNNING};
    memcpy(q.ifr_name, "lo", sizeof("lo"));
    _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &q) < 0
               ? err_errno(err, -errno, "cannot bring the loopback interface up")
               : 0;
}

static int use_terminal(const struct enter *e, int *ret_other, struct err *err)
{
    struct termios modes;
    struct winsize size;
    _cleanup_close_ int other = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (other < 0 || unlockpt(other) < 0)
        return err_errno(err, -errno, "cannot make a terminal");
    int own = ioctl(other, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (own < 0 || ioctl(own, TIOCSCTTY, 0) < 0)
        return err_errno(err, -errno, "cannot use a new terminal");
    if (tcgetattr(e->like, &modes) == 0)
        (void)tcsetattr(own, TCSANOW, &modes);
    if (ioctl(e->like, TIOCGWINSZ, &size) == 0)
        (void)ioctl(own, TIOCSWINSZ, &size);
    for (int i = 0; i < 3; i++)
        if (e->std_at[i] && dup2(own, i) < 0)
            return err_errno(err, -errno, "cannot use a new terminal");
    if (own > 2)
        close(own);
    *ret_other = TAKE_FD(other);
    return 0;
}

/* Descriptors 3 ... become those of the caller; all others close at the exec. */
static int arrange_fds(const struct enter *e, int channel, struct err *err)
{
    int high[ENTER_FDS_MAX];
    for (size_t i = 0; i < e->fds_count; i++) {
        high[i] = fcntl(e->fds[i], F_DUPFD, 64); /* out of the way of the low ones */
        if (high[i] < 0)
            return err_errno(err, -errno, "descriptor %d", e->fds[i]);
    }
    /* The channel may stand in a place that is needed: its owner knows only the number. */
    if (channel < 64 && channel < 3 + (int)e->fds_count)
        return err_set(err, -EBUSY, "the channel is in the way");
    for (size_t i = 0; i < e->fds_count; i++)
        if (dup2(high[i], 3 + (int)i) < 0)
            return err_errno(err, -errno, "descriptor %zu", 3 + i);
    return syscall(SYS_close_range, 3 + e->fds_count, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) < 0
               ? err_errno(err, -errno, "cannot close what is inherited")
               : 0;
}

static int build_walls(const struct enter *e, const struct enter_way *w, struct err *err)
{
    int r = 0;
    if (w->wall == ENTER_WALL_NAMESPACES)
        r = view_make(e->plan, w->pids, err);
    return r == 0 && w->network ? bring_loopback_up(err) : r;
}

/* The session's keys (Kerberos, encrypted directories) are the person's, and whoever has the
 * keyring reads them; a user namespace has the keyrings of its own users. */
static int leave_keyring(struct err *err)
{
    bool none = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS &&
                errno != EPERM; /* a container's filter, which the agent has as well */
    return none ? err_errno(err, -errno, "cannot leave the session's keyring") : 0;
}

/* Behind this nothing can be mounted or gained. */
static int close_walls(const struct enter *e, const struct enter_way *w, struct err *err)
{
    int r = leave_keyring(err);
    if (r == 0)
        r = caps_drop(err);
    if (r == 0 && w->wall == ENTER_WALL_LANDLOCK)
        r = landlock_writes(e->plan, err);
    else if (r == 0 && w->scopes)
        r = landlock_scope(err);
    return r;
}

static void reset_signals(void)
{
    sigset_t none;
    for (int i = 1; i < NSIG; i++)
        (void)signal(i, SIG_DFL);
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static int prepare(const struct enter *e, const struct enter_way *w, int channel, mode_t mask,
                   struct err *err)
{
    int terminal = -1;
    int r = build_walls(e, w, err);
    if (r < 0)
        return r;
    (void)umask(mask);
    if (chdir(e->cwd) < 0)
        return err_errno(err, -errno, "'%s'", e->cwd);
    /* A session of its own in any case: the caller's terminal is not its controlling terminal. */
    (void)setsid();
    if (e->terminal) {
        r = use_terminal(e, &terminal, err);
        if (r == 0)
            r = message_send(channel, 't', "", terminal);
        cleanup_close(&terminal);
        if (r < 0)
            return r;
    }
    r = close_walls(e, w, err);
    return r < 0 ? r : arrange_fds(e, channel, err);
}

static _Noreturn void child(const struct enter *e, const struct enter_way *w, int channel,
                            mode_t mask)
{
    struct message m;
    struct err err = {0};
    int none;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* When our parent is gone already, its side of the channel is closed. */
    if (message_receive(channel, &m, &none) != 1 || m.kind != 'g')
        _exit(125);
    int r = prepare(e, w, channel, mask, &err);
    if (r == 0 && !e->argv)
        _exit(0);
    if (r == 0) {
        reset_signals();
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* dropping ids or rights clears it */
        (void)execve(e->argv[0], e->argv, e->env);
        (void)err_errno(&err, -errno, "cannot start '%s'", e->argv[0]);
    }
    (void)message_send(channel, 'e', err.text, -1);
    _exit(125);
}

/* ---- the parent ---- */

static int write_proc(pid_t pid, const char *name, const char *text, struct err *err)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
    return r < 0 ? err_errno(err, r, "cannot write %s", path) : 0;
}

/* Every id that we know stays what it is. */
static int same_ids(const char *map, struct buf *out)
{
    _cleanup_buf_ struct buf text = BUF_INIT(MAP_MAX);
    _cleanup_close_ int fd = open(map, O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : fd_read_all(fd, &text);
    const char *s = buf_str(&text);
    while (r == 0 && *s) {
        unsigned long inside, outside, count;
        char *end;
        inside = strtoul(s, &end, 10);
        outside = strtoul(end, &end, 10);
        count = strtoul(end, &end, 10);
        (void)outside;
        r = buf_printf(out, "%lu %lu %lu\n", inside, inside, count);
        s = end + strspn(end, " \n");
        if (*end != '\n')
            return -EBADMSG;
    }
    return r;
}

/* Root keeps every id, so that the files of others stay theirs; anybody else has his own only. */
static int map_ids(pid_t pid, struct err *err)
{
    _cleanup_buf_ struct buf uids = BUF_INIT(MAP_MAX), gids = BUF_INIT(MAP_MAX);
    int r = 0;
    if (geteuid() == 0) {
        if (same_ids("/proc/self/uid_map", &uids) < 0 || same_ids("/proc/self/gid_map", &gids) < 0)
            return err_set(err, -EBADMSG, "cannot read which ids there are");
    } else {
        (void)buf_printf(&uids, "%u %u 1\n", (unsigned)geteuid(), (unsigned)geteuid());
        (void)buf_printf(&gids, "%u %u 1\n", (unsigned)getegid(), (unsigned)getegid());
        r = write_proc(pid, "setgroups", "deny", err);
    }
    if (r == 0)
        r = write_proc(pid, "uid_map", buf_str(&uids), err);
    return r < 0 ? r : write_proc(pid, "gid_map", buf_str(&gids), err);
}

static unsigned long clone_flags(const struct enter_way *w)
{
    unsigned long f = SIGCHLD;
    if (w->wall == ENTER_WALL_NAMESPACES)
        f |= CLONE_NEWNS | CLONE_NEWIPC;
    return f | (w->user ? CLONE_NEWUSER : 0) | (w->pids ? CLONE_NEWPID : 0) |
           (w->network ? CLONE_NEWNET : 0);
}

/* Until the exec (the channel closes) or the words of a failure. */
static int await_child(const struct enter *e, int channel, struct entered *x, struct err *err)
{
    struct message m;
    int fd, r, status;
    while ((r = message_receive(channel, &m, &fd)) == 1) {
        if (m.kind == 't') {
            cleanup_close(&x->terminal);
            x->terminal = fd;
            continue;
        }
        cleanup_close(&fd);
        return err_set(err, -EPERM, "%s", m.text);
    }
    if (r < 0)
        return err_errno(err, r, "cannot hear of the child");
    if (!e->argv) {
        bool well = waitpid(x->pid, &status, 0) == x->pid && status == 0;
        x->pid = 0;
        return well ? 0 : err_set(err, -EPERM, "the set-up ended too early");
    }
    return 0;
}

static void give_up(struct entered *x)
{
    if (x->pid > 0) {
        (void)kill(x->pid, SIGKILL);
        (void)waitpid(x->pid, NULL, 0);
    }
    cleanup_close(&x->pidfd);
    cleanup_close(&x->terminal);
    *x = ENTERED_INIT;
}

static int start_one(const struct enter *e, const struct enter_way *w, struct entered *ret,
                     struct err *err)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return err_errno(err, -errno, "cannot make a socket");
    _cleanup_close_ int ours = pair[0], low = pair[1];
    /* Above every number that the caller's descriptors get. */
    _cleanup_close_ int theirs = fcntl(low, F_DUPFD_CLOEXEC, 32);
    cleanup_close(&low);
    low = -1;
    mode_t mask = umask(022);
    (void)umask(mask);
    struct entered x = ENTERED_INIT;
    x.way = *w;
    (void)fflush(NULL); /* or both would write it */
    /* Not fork(): it cannot make namespaces, and unshare() would make us a grandparent. */
    x.pid = (pid_t)syscall(SYS_clone, clone_flags(w), NULL, NULL, NULL, NULL);
    if (x.pid < 0)
        return err_errno(err, -errno, "cannot make namespaces");
    if (x.pid == 0) {
        close(ours);
        child(e, w, theirs, mask);
    }
    cleanup_close(&theirs);
    theirs = -1;
    x.pidfd = (int)syscall(SYS_pidfd_open, x.pid, 0);
    int r = x.pidfd < 0 ? err_errno(err, -errno, "cannot watch the child") : 0;
    if (r == 0 && w->user)
        r = map_ids(x.pid, err);
    if (r == 0)
        r = message_send(ours, 'g', "", -1);
    if (r == 0)
        r = await_child(e, ours, &x, err);
    if (r < 0) {
        give_up(&x);
        return r;
    }
    *ret = x;
    return 0;
}

int enter_start(const struct enter *e, enum enter_wall weakest, struct entered *ret,
                struct err *err)
{
    static const struct {
        struct enter_way way;
        bool root_only;
        const char *words;
    } ways[] = {
        {{ENTER_WALL_NAMESPACES, true, true, false, false},
         false,
         "user, mount and pid namespaces"},
        {{ENTER_WALL_NAMESPACES, true, false, false, false}, false, "user and mount namespaces"},
        {{ENTER_WALL_NAMESPACES, false, true, false, false}, true, "mount and pid namespaces"},
        {{ENTER_WALL_LANDLOCK, false, false, false, false}, false, "Landlock"},
    };
    _cleanup_buf_ struct buf tried = BUF_INIT(ERR_TEXT_MAX);
    bool scopes = landlock_abi() >= LANDLOCK_ABI_SCOPES;
    for (size_t i = 0; i < ARRAY_LEN(ways); i++) {
        struct err one = {0};
        struct enter_way way = ways[i].way;
        if (way.wall < weakest || (e->strongest != ENTER_WALL_NONE && way.wall > e->strongest) ||
            (ways[i].root_only && geteuid() != 0) ||
            (way.wall == ENTER_WALL_LANDLOCK && e->no_network))
            continue;
        way.network = e->no_network;
        way.scopes = scopes;
        if (start_one(e, &way, ret, &one) == 0) {
            (void)err_set(err, 0, "%s", buf_str(&tried));
            return 0;
        }
        (void)buf_printf(&tried, "%s%s: %s", tried.len ? "; " : "", ways[i].words, one.text);
    }
    return err_set(err, -EPERM, "%s", buf_str(&tried));
}
