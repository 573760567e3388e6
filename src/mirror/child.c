/* SPDX-License-Identifier: MIT */
#include "mirror/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "mirror/clone.h"
#include "mirror/compat.h"
#include "mirror/guise.h"
#include "mirror/hash.h"
#include "mirror/phrase.h"
#include "mirror/sender.h"
#include "mirror/sieve.h"
#include "mirror/way.h"
#include "wire/v2.h"

_Noreturn static void fail(struct child_plan *p, enum child_stage stage, int err)
{
    p->error = err;
    p->stage = stage;
    _exit(127);
}

int child_take_fds(const struct v2_fds *handover, int conn, int fds[CHILD_FDS_MAX])
{
    union {
        char buf[SENDER_SPACE + CMSG_SPACE(sizeof(int) * CHILD_FDS_MAX)];
        struct cmsghdr align;
    } control;
    uint8_t bytes[V2_HEAD_SIZE + V2_FDS_SIZE_MAX];
    struct iovec iov = {bytes, V2_HEAD_SIZE + V2_FDS_SIZE + 4 * (size_t)handover->more};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = control.buf,
                       .msg_controllen = sizeof(control.buf)};
    size_t size = sizeof(int) * v2_fds_carried(handover);
    if (recvmsg(conn, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != (ssize_t)iov.iov_len)
        return -EBADMSG;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    while (c && c->cmsg_type != SCM_RIGHTS)
        c = CMSG_NXTHDR(&m, c);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_len != CMSG_LEN(size) ||
        (m.msg_flags & MSG_CTRUNC))
        return -EBADMSG;
    memcpy(fds, CMSG_DATA(c), size);
    return 0;
}

static void take_fds(struct child_plan *p, int conn, int fds[CHILD_FDS_MAX])
{
    int r = child_take_fds(&p->handover, conn, fds);
    if (r < 0)
        fail(p, CHILD_FDS, -r);
    p->took = true;
}

static int move_up(struct child_plan *p, int fd)
{
    int up = fd < 0 ? fd : fcntl(fd, F_DUPFD_CLOEXEC, V2_FDS_NUMBER_MAX + 1);
    if (up < 0 && fd >= 0)
        fail(p, CHILD_FDS, errno);
    return up;
}

/* The numbers that will be given away are taken by what is harmless to replace: none of the
 * caller's descriptors lands on one, and so none is closed before exec. */
static void reserve_numbers(struct child_plan *p)
{
    for (uint32_t i = 0; i < p->handover.more; i++)
        if (dup2(STDIN_FILENO, p->handover.number[i]) < 0) /* ours: /dev/null */
            fail(p, CHILD_FDS, errno);
}

/* *ret_cwd: where p->cwd is now. */
static void place_fds(struct child_plan *p, int *ret_cwd)
{
    static const uint32_t closed[3] = {V2_FDS_CLOSED0, V2_FDS_CLOSED1, V2_FDS_CLOSED2};
    int fds[CHILD_FDS_MAX], *more = fds + v2_fds_carried(&p->handover) - p->handover.more;
    memcpy(fds, p->fds, sizeof(p->fds));
    *ret_cwd = p->cwd;
    if (p->conn >= 0 && p->handover.more == 0) {
        take_fds(p, p->conn, fds);
    } else if (p->conn >= 0) {
        int conn = move_up(p, p->conn);
        *ret_cwd = move_up(p, p->cwd);
        reserve_numbers(p);
        take_fds(p, conn, fds);
    }
    for (int i = 0; i < 3; i++) {
        if (p->handover.flags & closed[i])
            (void)close(i); /* ours: /dev/null */
        else if (dup2(fds[i], i) < 0)
            fail(p, CHILD_FDS, errno);
    }
    /* Closed by exec, which does it after the worker was let go: closing may block. */
    if (syscall(SYS_close_range, 3, ~0U, COMPAT_CLOSE_RANGE_CLOEXEC) < 0)
        fail(p, CHILD_FDS, errno);
    for (uint32_t i = 0; i < p->handover.more; i++)
        if (dup2(more[i], p->handover.number[i]) < 0)
            fail(p, CHILD_FDS, errno);
}

static void set_ids(struct child_plan *p)
{
    const struct helper_peer *who = p->who;
    /* System calls and not the library's functions: those would tell other threads. */
    if (guise_set_groups(who->groups_count, p->groups) < 0 ||
        syscall(SYS_setresgid, who->gid, who->gid, who->gid) < 0 ||
        syscall(SYS_setresuid, who->uid, who->uid, who->uid) < 0)
        fail(p, CHILD_IDS, errno);
}

static void become(struct child_plan *p)
{
    if (p->root)
        set_ids(p);
}

/* The directory may be the judged one and have been moved since. */
static bool is_at(int fd, const char *path)
{
    char link[40], real[WAY_PATH_MAX];
    struct phrase w = PHRASE(link);
    phrase_add(&w, "self/fd/"); /* we stand in the host's /proc */
    phrase_add_number(&w, (uint64_t)fd);
    ssize_t n = readlink(link, real, sizeof(real) - 1);
    if (n < 0)
        return false;
    real[n] = 0;
    return strcmp(real, path) == 0;
}

static void enter_cwd(struct child_plan *p, int fd)
{
    struct compat_statx st;
    const struct helper_start *s = p->start;
    if (s->flags & HELPER_PEER_V1) {
        fd = open(s->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            fail(p, CHILD_CWD, errno);
    }
    int r = way_stat(fd, "", AT_EMPTY_PATH, &st);
    if (r < 0)
        fail(p, CHILD_CWD, -r);
    if (way_dev(&st) != s->cwd_dev || st.ino != s->cwd_ino || st.mnt_id != s->cwd_mnt)
        fail(p, CHILD_CWD_CHANGED, 0);
    if (!(s->flags & HELPER_PEER_V1) && s->cwd[0] && !is_at(fd, s->cwd))
        fail(p, CHILD_CWD_CHANGED, 0);
    if (fchdir(fd) < 0)
        fail(p, CHILD_CWD, errno);
}

static bool same_digest(int fd, const char *want)
{
    char have[HASH_TEXT_SIZE];
    return hash_fd(fd, HASH_FILE_MAX, have) == 0 && strcmp(have, want) == 0;
}

/* An approved program that the caller can write: nobody may have it open for writing (a lease
 * tells, and keeps writers waiting), its content is what was approved, and this very file is
 * executed. */
static void check_content(struct child_plan *p, int *ret_exec_fd)
{
    const struct helper_start *s = p->start;
    const char *path = s->script[0] ? s->script : s->exec_path;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        fail(p, CHILD_EXEC_OPEN, errno);
    /* Refused on some file systems, and for files of others: then only the digest counts. */
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0 && errno == EAGAIN)
        fail(p, CHILD_EXEC_BUSY, 0);
    if (!same_digest(fd, s->digest))
        fail(p, CHILD_EXEC_CHANGED, 0);
    if (!s->script[0])
        *ret_exec_fd = fd;
}

/* Opens what is to be executed and compares it with what was judged; a descriptor of its content,
 * when that had to be read again, or -1. */
static int open_program(struct child_plan *p)
{
    const struct helper_start *s = p->start;
    struct compat_statx st;
    int content = p->program;
    int fd = content >= 0 ? content : open(s->exec_path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        fail(p, CHILD_EXEC_OPEN, errno);
    int r = way_stat(fd, "", AT_EMPTY_PATH, &st);
    if (r < 0)
        fail(p, CHILD_EXEC_OPEN, -r);
    if (way_dev(&st) != s->exec_dev || st.ino != s->exec_ino)
        fail(p, CHILD_EXEC_CHANGED, 0);
    /* A program that was approved by its content is opened by its name, where the shim is. */
    if (s->digest[0] && p->program >= 0)
        fail(p, CHILD_EXEC_CHANGED, 0);
    if (s->digest[0])
        check_content(p, &content);
    return content;
}

_Noreturn static void execute(struct child_plan *p, int content)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (content >= 0)
        syscall(SYS_execveat, content, "", p->argv, p->env, AT_EMPTY_PATH);
    else
        execve(p->start->exec_path, p->argv, p->env);
    fail(p, CHILD_EXEC, errno);
}

/* A group of its own in the worker's session: its parent is in that session too, so the group is
 * not orphaned and job control stops work. */
static void lead_group(struct child_plan *p)
{
    if (setpgid(0, 0) < 0)
        fail(p, CHILD_TERMINAL, errno);
    if (p->slave >= 0 && tcsetpgrp(p->slave, getpid()) < 0)
        fail(p, CHILD_TERMINAL, errno);
}

/* ---- in a container ---- */

static void set_caps(struct child_plan *p, uint64_t effective, uint64_t permitted,
                     uint64_t inheritable)
{
    struct compat_cap_header head = {.version = COMPAT_CAP_VERSION_3};
    struct compat_cap_data data[2];
    for (int i = 0; i < 2; i++)
        data[i] = (struct compat_cap_data){.effective = (uint32_t)(effective >> 32 * i),
                                           .permitted = (uint32_t)(permitted >> 32 * i),
                                           .inheritable = (uint32_t)(inheritable >> 32 * i)};
    if (syscall(SYS_capset, &head, data) < 0)
        fail(p, CHILD_IDS, errno);
}

#define CAP_SYS_ADMIN_BIT (UINT64_C(1) << 21)

/* Its ids and no more rights than the caller has in effect. `kept` stays permitted: one right for
 * installing the filters, which is gone with exec: that gives what the ids and the bounding set
 * allow. */
static void become_inside(struct child_plan *p, uint64_t kept)
{
    const struct subject *s = p->subject;
    uint64_t has = s->effective & s->bounding, ambient = s->ambient & s->bounding;
    (void)prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0);
    set_ids(p);
    set_caps(p, has, has | ambient | kept, s->inheritable & s->bounding);
    for (int cap = 0; cap < 64; cap++)
        if ((ambient >> cap & 1) && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            fail(p, CHILD_IDS, errno);
}

static void install_filters(struct child_plan *p)
{
    const struct subject *s = p->subject;
    uint64_t has = s->effective & s->bounding, ambient = s->ambient & s->bounding;
    set_caps(p, has | CAP_SYS_ADMIN_BIT, has | ambient | CAP_SYS_ADMIN_BIT,
             s->inheritable & s->bounding);
    int r = sieve_install(p->inside->init, p->inside->start_time, p->inside->init_status.filters);
    if (r < 0)
        fail(p, CHILD_FILTER, -r);
}

_Noreturn static void run_inside(struct child_plan *p)
{
    int cwd;
    subject_apply_limits(p->subject);
    int r = inside_enter(p->inside, p->proc);
    if (r == 0)
        r = inside_set_label(p->inside);
    if (r < 0)
        fail(p, CHILD_ENTER, -r);
    place_fds(p, &cwd); /* behind what needs descriptors of ours: it may take their numbers */
    subject_apply_bounds(p->subject, ~UINT64_C(0));
    umask((mode_t)p->start->umask);
    become_inside(p, CAP_SYS_ADMIN_BIT);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int content = open_program(p);
    enter_cwd(p, cwd);
    subject_apply_files(p->subject);
    install_filters(p);
    long pid = clone_sibling_vfork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        lead_group(p);
        execute(p, content);
    }
    if (pid < 0)
        fail(p, CHILD_CLONE, (int)-pid);
    p->pid = (pid_t)pid;
    _exit(0);
}

/* Under the filter already, so only calls that seat.c has rehearsed. */
_Noreturn void child_run_seated(struct child_plan *p)
{
    int cwd;
    subject_apply_limits(p->subject);
    int r = inside_set_label(p->inside);
    if (r < 0)
        fail(p, CHILD_ENTER, -r);
    place_fds(p, &cwd);
    subject_apply_bounds(p->subject, p->inside->init_status.bounding);
    umask((mode_t)p->start->umask);
    become_inside(p, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    int content = open_program(p);
    enter_cwd(p, cwd);
    subject_apply_files(p->subject);
    lead_group(p);
    execute(p, content);
}

_Noreturn void child_run(struct child_plan *p)
{
    int cwd; /* the plan is the worker's, whose table has other numbers */
    if (p->inside)
        run_inside(p);
    lead_group(p);
    place_fds(p, &cwd);
    subject_apply_limits(p->subject);
    subject_apply_bounds(p->subject, p->root ? ~UINT64_C(0) : 0);
    umask((mode_t)p->start->umask);
    become(p);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    enter_cwd(p, cwd);
    int content = open_program(p);
    subject_apply_files(p->subject);
    execute(p, content);
}
