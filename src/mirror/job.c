/* SPDX-License-Identifier: MIT */
#include "mirror/job.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/byengine.h"
#include "mirror/cgroup.h"
#include "mirror/clone.h"
#include "mirror/compat.h"
#include "mirror/cover.h"
#include "mirror/handover.h"
#include "mirror/phrase.h"
#include "mirror/seat.h"
#include "mirror/sender.h"
#include "mirror/sieve.h"
#include "mirror/ticket.h"
#include "mirror/tree.h"
#include "mirror/v1relay.h"
#include "wire/bytes.h"
#include "wire/v2.h"

#define LAST_MESSAGES 16

uint64_t job_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- words ---- */

void job_fail(struct job *j, uint32_t code, const char *words, int err)
{
    struct phrase w = PHRASE(j->text);
    w.text[0] = 0;
    phrase_add(&w, "clawrden: ");
    phrase_add_safe(&w, j->name);
    phrase_add(&w, ": ");
    phrase_add(&w, words);
    if (err) {
        phrase_add(&w, ": ");
        phrase_add_errno(&w, err);
    }
    phrase_add(&w, "\n");
    j->end = (struct helper_end){.kind = HELPER_END_FAILED, .value = code, .text = j->text};
}

/* What the child could not do, and the exit code that a shell would give for it. */
static void fail_stage(struct job *j, enum child_stage stage, int err)
{
    switch (stage) {
    case CHILD_FINE:
        break;
    case CHILD_FDS:
        j->reuse = false; /* what was not taken is closed with the connection, which may block */
        job_fail(j, 125, "stdin, stdout and stderr were not handed over as they should", err);
        return;
    case CHILD_TERMINAL:
        job_fail(j, 125, "the terminal could not be taken", err);
        return;
    case CHILD_ENTER:
        job_fail(j, 125, "its container could not be entered", err);
        return;
    case CHILD_FILTER:
        job_fail(j, 125, "the seccomp filter of its container could not be installed", err);
        return;
    case CHILD_CLONE:
        job_fail(j, 125, "no process could be made for it in its container", err);
        return;
    case CHILD_IDS:
        job_fail(j, 125, "the caller's ids could not be taken", err);
        return;
    case CHILD_CWD:
        job_fail(j, 125, "the caller's directory could not be entered", err);
        return;
    case CHILD_CWD_CHANGED:
        job_fail(j, 125, "the caller's directory is not the one that was judged; run it again", 0);
        return;
    case CHILD_EXEC_CHANGED:
        job_fail(j, 125, "the program is not the one that was judged; run it again", 0);
        return;
    case CHILD_EXEC_BUSY:
        job_fail(j, 125, "somebody has the approved file open for writing; run it again", 0);
        return;
    case CHILD_EXEC_OPEN:
    case CHILD_EXEC:
        if (err == ENOENT || err == ENOTDIR)
            job_fail(j, 127, stage == CHILD_EXEC ? "its interpreter was not found" : "not found",
                     0);
        else
            job_fail(j, err == EACCES || err == ENOEXEC || err == EPERM ? 126 : 125,
                     "could not be executed", err);
        return;
    }
    job_fail(j, 125, "could not be started", err);
}

/* ---- reports ---- */

void job_report_started(struct job *j)
{
    uint8_t out[sizeof(j->w->home_path) + 64];
    struct helper_started m = {.pid = (uint32_t)(j->by_engine ? j->engine_pid : j->pid),
                               .cgroup = j->lent ? j->w->home_path : ""};
    size_t n = helper_started_encode(&m, out, sizeof(out));
    if (j->lent)
        worker_does(j->w, CREW_RUNS);
    if (packet_send(j->boss, HELPER_STARTED, j->id, out, n, true) < 0)
        job_hang_up(j);
}

void job_report_ended(struct job *j)
{
    uint8_t out[HELPER_TEXT_MAX + 64];
    if (j->ended || j->pid)
        return;
    j->ended = true;
    if (j->caller_gone)
        j->end.flags |= HELPER_END_CALLER_GONE;
    if (j->spent && !j->lent)
        j->end.flags |= HELPER_END_CGROUP_SPENT;
    size_t n = helper_end_encode(&j->end, out, sizeof(out));
    if (j->lent)
        worker_does(j->w, CREW_ENDS);
    if (packet_send(j->boss, HELPER_ENDED, j->id, out, n, true) < 0)
        worker_leave();
}

/* ---- killing, reaping ---- */

void job_kill_tree(struct job *j)
{
    if (j->by_engine)
        byengine_kill(j);
    if (j->cgroup >= 0) {
        cgroup_kill(j->cgroup);
        j->spent = true;
    }
    /* Also where there is a cgroup: a command of root can leave it. */
    if (j->pid)
        (void)kill(-j->pid, SIGKILL);
    (void)tree_signal(getpid(), SIGKILL);
}

static void signal_all(struct job *j, int signo)
{
    if (signo == SIGKILL) {
        j->shot = true;
        job_kill_tree(j);
    } else if (j->by_engine && j->cgroup < 0)
        byengine_signal(j, signo, true);
    else if (j->cgroup >= 0)
        cgroup_signal(j->cgroup, signo, seat_pid());
    else if (j->pid)
        (void)kill(-j->pid, signo);
}

void job_hang_up(struct job *j)
{
    if (j->caller_gone)
        return;
    j->caller_gone = j->shot = true;
    job_kill_tree(j);
}

static void on_stopped(struct job *j, int signo)
{
    uint8_t out[V2_HEAD_SIZE + V2_STOPPED_SIZE];
    if (j->v1)
        return;
    v2_head_encode(V2_STOPPED, V2_STOPPED_SIZE, out);
    bytes_put_u32(out + V2_HEAD_SIZE, (uint32_t)signo);
    if (send(j->conn, out, sizeof(out), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(out))
        job_hang_up(j); /* it does not read what we say */
}

static void on_gone(struct job *j, int status)
{
    j->pid = 0;
    j->end = (struct helper_end){.text = ""};
    if (j->by_engine) {
        byengine_news(j);
        byengine_ended(j, status);
        return;
    }
    if (WIFSIGNALED(status)) {
        j->end.kind = HELPER_END_SIGNAL;
        j->end.value = (uint32_t)WTERMSIG(status);
    } else {
        j->end.kind = HELPER_END_EXIT;
        j->end.value = (uint32_t)WEXITSTATUS(status);
    }
    if (j->killed || j->caller_gone)
        job_kill_tree(j);
}

/* HUP and TERM went to the command alone. What it leaves in its group gets the same when it has
 * ended, while its pid still belongs to the group: who ended the whole group of the shim wants all
 * of it gone. */
static void end_group(const struct job *j)
{
    if (j->ending && !j->by_engine)
        (void)kill(-j->pid, j->ending);
}

/* The leader of a pty's session gets what is typed while it is in front itself, which is before the
 * command is, and the hang-up. Both are meant for the command. */
static void on_terminal(const struct job *j, int signo)
{
    if (j->slave < 0 || !j->pid)
        return;
    if (j->by_engine) {
        byengine_signal(j, signo, true);
        return;
    }
    (void)kill(-j->pid, signo);
    if (signo == SIGHUP)
        (void)kill(-j->pid, SIGCONT);
}

static void on_conn(struct job *j);

/* A terminal's signal comes to all members of a pipeline at once, but to their commands one after
 * the other: one may end by itself, with 0, because its neighbour died first, and `a | b && c` go
 * on. So what the shim said before the end counts as if it had come in time, for the shim; the
 * record tells what happened. */
static void hear_last(struct job *j)
{
    struct pollfd p = {.fd = j->conn, .events = POLLIN};
    struct subject s;
    if (j->v1 || j->deaf)
        return;
    j->over = true;
    for (int i = 0; i < LAST_MESSAGES && !j->caller_gone && poll(&p, 1, 0) == 1; i++)
        on_conn(j);
    if (j->by_engine)
        j->missed = 0; /* its pid is the pump's: nobody can tell */
    if (j->missed &&
        (subject_read_status(j->pid, &s) < 0 || ((s.ignored | s.caught) >> (j->missed - 1) & 1)))
        j->missed = 0; /* it would have lived on */
}

void job_reap(struct job *j)
{
    struct signalfd_siginfo si;
    siginfo_t who;
    int status;
    /* SIGURG: a seat ended, or a child of one, which is as others are when it has executed. */
    while (read(j->w->signals, &si, sizeof(si)) == (ssize_t)sizeof(si))
        if (si.ssi_signo != SIGCHLD && si.ssi_signo != SIGURG)
            on_terminal(j, (int)si.ssi_signo);
    if (j->seated && j->pid && waitpid(j->pid, &status, WNOHANG | __WCLONE) == j->pid)
        on_gone(j, status);
    for (;;) {
        who.si_pid = 0;
        if (waitid(P_ALL, 0, &who, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) < 0 || who.si_pid == 0)
            return;
        bool stopped = who.si_code == CLD_STOPPED;
        if (who.si_pid == j->pid && !stopped) {
            hear_last(j);
            end_group(j);
        }
        if (waitpid(who.si_pid, &status, WNOHANG | WUNTRACED) != who.si_pid)
            return;
        if (who.si_pid != j->pid || (WIFSTOPPED(status) && j->by_engine))
            continue;
        if (WIFSTOPPED(status))
            on_stopped(j, WSTOPSIG(status));
        else
            on_gone(j, status);
    }
}

bool job_command(struct job *j)
{
    static uint8_t buf[HELPER_HEAD_SIZE + 16384];
    static char text[V2_TEXT_MAX + 1];
    struct packet p;
    struct helper_end end;
    uint32_t signo;
    bool released = false;
    int r = packet_receive(j->boss, buf, sizeof(buf), true, &p);
    if (r <= 0) {
        job_kill_tree(j);
        worker_leave();
    }
    if (p.head.job == j->id && p.head.type == HELPER_KILL &&
        helper_kill_decode(p.body, p.head.len, &signo) == 0) {
        j->killed = true;
        if (!j->ended)
            signal_all(j, (int)signo);
    } else if (p.head.job == j->id && p.head.type == HELPER_RELEASE &&
               helper_end_decode(p.body, p.head.len, &end) == 0) {
        j->end = end;
        memcpy(text, end.text, strlen(end.text) + 1);
        j->end.text = text;
        released = true;
    }
    packet_done(&p);
    return released;
}

/* ---- the start ---- */

/* Memory of the size that the caller's arguments need; given back when the worker's next job comes.
 */
static void *pool_get(size_t size)
{
    static void *pool;
    static size_t pool_size;
    if (size > pool_size) {
        if (pool)
            munmap(pool, pool_size);
        pool_size = (size + 0xffff) & ~(size_t)0xffff;
        pool = mmap(NULL, pool_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (pool == MAP_FAILED) {
            pool = NULL;
            pool_size = 0;
        }
    }
    return pool;
}

static bool prepare(struct job *j)
{
    const struct helper_start *s = &j->start;
    size_t groups = s->peer.groups_count;
    char **p = pool_get((s->argv.count + s->env.count + 2u) * sizeof(char *) + groups * 4);
    if (!p) {
        job_fail(j, 125, "no memory for its arguments", 0);
        return false;
    }
    j->who = s->peer;
    j->plan = (struct child_plan){.program = -1,
                                  .start = s,
                                  .who = &j->who,
                                  .subject = &j->subject,
                                  .conn = j->v1 ? -1 : j->conn,
                                  .cwd = -1,
                                  .slave = -1,
                                  .inside = j->initfd >= 0 ? &j->inside : NULL,
                                  .proc = j->w->proc,
                                  .root = j->w->root,
                                  .argv = p};
    const char *string = s->argv.packed;
    for (uint32_t i = 0; i < s->argv.count; i++, string = helper_next(string))
        *p++ = (char *)string;
    *p++ = NULL;
    j->plan.env = p;
    string = s->env.packed;
    for (uint32_t i = 0; i < s->env.count; i++, string = helper_next(string))
        *p++ = (char *)string;
    *p++ = NULL;
    j->plan.groups = (uint32_t *)(void *)p;
    return true;
}

static void list_groups(struct job *j)
{
    for (uint32_t i = 0; i < j->who.groups_count; i++)
        j->plan.groups[i] = helper_group(&j->who, i);
}

/* What the command needs that inherits nothing. */
static int without_seat(struct job *j, struct phrase *why)
{
    int r = inside_open_cgroups(&j->inside, why);
    if (r == 0)
        r = sieve_read(j->inside.init, j->inside.start_time, j->inside.init_status.filters, why);
    j->unseated = r == 0;
    return r;
}

/* Its container: walls that changed since the lookup, what its command has to join and to stand
 * under, and its ids as they are called in there. */
static bool look_at_container(struct job *j)
{
    static uint8_t groups[HELPER_GROUPS_MAX * 4];
    char text[256] = "";
    struct phrase why = PHRASE(text);
    const struct inside_caller caller = {(pid_t)j->start.peer.pid, j->pidfd, &j->subject};
    int r = j->w->root ? 0 : -EPERM;
    if (r < 0)
        phrase_add(&why, "the warden is not root and cannot enter containers");
    if (r == 0)
        r = inside_open((pid_t)j->start.init, j->initfd, &caller,
                        j->by_engine ? INSIDE_BY_ENGINE : INSIDE_RUN, &j->inside, &why);
    if (r == 0 && j->by_engine)
        r = inside_check_rights(&j->inside, &j->subject, j->start.peer.uid, &why);
    if (r == 0 && !j->by_engine && !(j->seated = seat_fits(j)))
        r = without_seat(j, &why);
    if (r == 0 && (r = inside_translate(&j->inside, &j->who, groups)) < 0)
        phrase_add(&why, "an id of the caller has no number in its container");
    if (r == 0)
        return true;
    j->reuse = false; /* what could not be let go of, our end lets go of */
    job_fail(j, 125, text, r == -EPERM || r == -ERANGE ? 0 : -r);
    return false;
}

/* What the lookup has seen is enough, when those whom it saw are still there. */
static bool go_by_ticket(struct job *j)
{
    j->seated = true;
    if (!subject_alive(j->pidfd)) {
        job_fail(j, 125, "its caller is gone", 0);
        j->caller_gone = true;
        return false;
    }
    if (!subject_alive(j->initfd)) {
        job_fail(j, 125, "its container has ended", 0);
        return false;
    }
    list_groups(j);
    return true;
}

/* What the command takes over from its caller, which is pinned by its pidfd. */
static bool look_at_caller(struct job *j)
{
    char path[40];
    struct phrase w = PHRASE(path);
    pid_t pid = (pid_t)j->start.peer.pid;
    int r = subject_read_status(pid, &j->subject);
    subject_read_limits(pid, &j->subject);
    subject_bound_root(&j->subject, j->start.peer.uid);
    if (j->v1) {
        subject_ignore_forwarded(&j->subject);
    } else {
        phrase_add(&w, "/proc/");
        phrase_add_number(&w, (uint64_t)pid);
        phrase_add(&w, "/cwd");
        j->plan.cwd = openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (j->plan.cwd < 0)
            r = -errno;
    }
    bool container = r < 0 || j->initfd < 0 || look_at_container(j);
    if (!subject_alive(j->pidfd)) {
        job_fail(j, 125, "its caller is gone", 0);
        j->caller_gone = true;
        return false;
    }
    if (r < 0) {
        job_fail(j, 125, "its caller cannot be looked at", -r);
        return false;
    }
    if (!container)
        return false;
    list_groups(j);
    if (!j->w->root && j->start.peer.uid != geteuid()) {
        job_fail(j, 125,
                 "the warden does not run as root and can run commands of its own user only", 0);
        return false;
    }
    return true;
}

/* While a child has our memory, we wait for it in the kernel; in a container others may stop it or
 * freeze it just then. A timer of the kernel kills us in the end: the dispatcher reports that, and
 * our children die with us. */
static void limit_launch(bool on)
{
    static int timer = -1; /* the kernel's number for it */
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    struct itimerspec t = {.it_value = {.tv_sec = on ? JOB_LAUNCH_S : 0}};
    if (timer < 0 && syscall(SYS_timer_create, CLOCK_MONOTONIC, &e, &timer) < 0)
        worker_leave();
    if (syscall(SYS_timer_settime, timer, 0, &t, NULL) < 0)
        worker_leave();
}

/* The first child has ended; the second is the command, unless something killed one of them. */
static long second_pid(struct job *j, long first)
{
    int status;
    while (waitpid((pid_t)first, &status, 0) < 0 && errno == EINTR)
        ;
    return j->plan.pid || j->plan.stage != CHILD_FINE ? j->plan.pid : -EINTR;
}

/* The pid, or a negative errno; the plan says what else went wrong. */
static long launch_alone(struct job *j)
{
    bool inside = j->plan.inside != NULL;
    if (inside)
        limit_launch(true);
    long pid = clone_vfork(j->cgroup);
    if (pid == 0)
        child_run(&j->plan);
    if (inside)
        limit_launch(false);
    if (inside && pid > 0)
        pid = second_pid(j, pid);
    return pid;
}

/* The seat may have been lost since it was looked at. */
static long launch_seated(struct job *j)
{
    char text[256] = "";
    struct phrase why = PHRASE(text);
    /* A terminal became ours after the seat was made: only our own children have it. */
    long pid = j->slave < 0 ? seat_launch(j) : -ESRCH;
    if (pid != -ESRCH)
        return pid;
    seat_leave();
    j->seated = false;
    int r = without_seat(j, &why);
    if (r < 0) {
        j->reuse = false; /* our end lets go of init, should it still be held */
        return r;
    }
    return launch_alone(j);
}

bool job_launch(struct job *j)
{
    if (j->by_engine)
        return byengine_launch(j);
    j->plan.stage = CHILD_FINE;
    if (j->plan.inside)
        j->plan.program = cover_open_program(j->w, j->plan.inside, j->start.exec_path);
    long pid = j->seated ? launch_seated(j) : launch_alone(j);
    if (j->plan.program >= 0)
        close(j->plan.program);
    if (pid < 0 && j->plan.stage == CHILD_FINE) {
        job_fail(j, 125, "no process could be made for it", (int)-pid);
        return false;
    }
    if (j->plan.stage != CHILD_FINE) {
        fail_stage(j, j->plan.stage, j->plan.error);
        return false;
    }
    j->pid = (pid_t)pid;
    /* Killed before it took them: they are no message of its caller's, and closing may block. */
    j->deaf = !j->v1 && !j->plan.took;
    j->reuse = j->reuse && !j->deaf;
    return true;
}

/* ---- version 2 ---- */

static bool start_v2(struct job *j)
{
    if (!prepare(j))
        return false;
    bool fine = handover_say_go(j) && (ticket_take(j) ? go_by_ticket(j) : look_at_caller(j)) &&
                handover_await(j) && handover_take_terminal(j) &&
                (!j->by_engine || byengine_await(j)) && job_launch(j);
    if (j->plan.cwd >= 0)
        close(j->plan.cwd);
    return fine;
}

static void set_foreground(struct job *j, bool gained)
{
    if (j->slave < 0)
        return;
    if (!gained) {
        pid_t group = tcgetpgrp(j->slave);
        if (group != getpgrp())
            j->group = group;
        (void)tcsetpgrp(j->slave, getpgrp());
        return;
    }
    if (j->group <= 0 || kill(-j->group, 0) < 0)
        j->group = j->pid;
    (void)tcsetpgrp(j->slave, j->group);
    (void)kill(-j->group, SIGCONT);
    if (j->group != j->pid)
        (void)kill(-j->pid, SIGCONT);
}

/* What a keyboard sends, it sends to the whole group; everything else is mostly meant for one
 * process, as kill(1) sends it, and a handler of the command must not find its children dead. */
static void pass_on(struct job *j, int signo)
{
    bool all = signo == SIGINT || signo == SIGQUIT || signo == SIGTSTP || signo == SIGCONT;
    if (signo == SIGHUP || signo == SIGTERM)
        j->ending = signo;
    if (j->over && (j->ending == signo || signo == SIGINT || signo == SIGQUIT))
        j->missed = signo;
    if (j->by_engine)
        byengine_signal(j, signo, all);
    else
        (void)kill(all ? -j->pid : j->pid, signo);
}

/* false: nonsense */
static bool on_message(struct job *j)
{
    struct v2_head head;
    uint32_t value = bytes_get_u32(j->in + V2_HEAD_SIZE);
    if (v2_head_decode(j->in, 4, &head) < 0 || head.len != 4)
        return false;
    if (head.type == V2_SIGNAL && v2_signal_ok(value)) {
        if (j->pid)
            pass_on(j, (int)value);
        return true;
    }
    if (head.type == V2_FOREGROUND && value <= 1) {
        if (j->pid)
            set_foreground(j, value == 1);
        return true;
    }
    return false;
}

static void on_conn(struct job *j)
{
    ssize_t n = sender_peek(j->conn, &j->start.peer, j->in + j->in_len, sizeof(j->in) - j->in_len);
    if (n == -EAGAIN)
        return;
    if (n <= 0) {
        j->reuse = j->reuse && n != -EPERM; /* closing what lies there may block */
        job_hang_up(j);
        return;
    }
    if (recv(j->conn, j->in + j->in_len, (size_t)n, MSG_DONTWAIT) != n) {
        job_hang_up(j);
        return;
    }
    j->in_len += (unsigned)n;
    if (j->in_len < sizeof(j->in))
        return;
    j->in_len = 0;
    if (!on_message(j))
        job_hang_up(j);
}

/* Of the pump, which may have closed its end. */
static void watch_news(struct job *j, short revents)
{
    byengine_news(j);
    if (revents & POLLIN)
        return;
    close(j->news);
    j->news = -1;
}

static void watch(struct job *j)
{
    while (j->pid) {
        bool deaf = j->caller_gone || j->deaf;
        struct pollfd p[5] = {{.fd = deaf ? -1 : j->conn, .events = POLLIN | POLLRDHUP},
                              {.fd = j->boss, .events = POLLIN},
                              {.fd = j->w->signals, .events = POLLIN},
                              {.fd = j->caller_gone ? -1 : j->pidfd, .events = POLLIN},
                              {.fd = j->news, .events = POLLIN}};
        if (poll(p, 5, -1) < 0)
            continue;
        if (p[4].revents)
            watch_news(j, p[4].revents);
        if (p[2].revents)
            job_reap(j);
        if (p[1].revents && j->pid)
            (void)job_command(j);
        if (p[0].revents && j->pid) {
            if (p[0].revents & POLLIN)
                on_conn(j);
            else
                job_hang_up(j);
        }
        /* It may be gone while others hold its connection open. */
        if (p[3].revents && j->pid)
            job_hang_up(j);
    }
}

static void say_exit(struct job *j)
{
    uint8_t out[V2_HEAD_SIZE + V2_EXIT_HEAD_SIZE + V2_TEXT_MAX];
    size_t n = strlen(j->end.text);
    if (n > V2_TEXT_MAX)
        n = V2_TEXT_MAX;
    bool missed = j->missed && j->end.kind == HELPER_END_EXIT;
    v2_head_encode(V2_EXIT, (uint32_t)(V2_EXIT_HEAD_SIZE + n), out);
    bytes_put_u32(out + V2_HEAD_SIZE,
                  j->end.kind == HELPER_END_SIGNAL || missed ? V2_EXIT_SIGNAL : V2_EXIT_CODE);
    bytes_put_u32(out + V2_HEAD_SIZE + 4, missed ? (uint32_t)j->missed : j->end.value);
    memcpy(out + V2_HEAD_SIZE + V2_EXIT_HEAD_SIZE, j->end.text, n);
    (void)send(j->conn, out, V2_HEAD_SIZE + V2_EXIT_HEAD_SIZE + n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Nothing that the caller says from here on carries descriptors: where the kernel can refuse them,
 * it does (Linux 6.16), elsewhere they end the command. */
static void refuse_rights(const struct job *j)
{
    int zero = 0;
    (void)setsockopt(j->conn, SOL_SOCKET, COMPAT_SO_PASSRIGHTS, &zero, sizeof(zero));
}

static void run_v2(struct job *j)
{
    if (start_v2(j)) {
        refuse_rights(j);
        job_report_started(j);
        watch(j);
    }
    job_report_ended(j);
    while (!job_command(j))
        ;
    if (!j->caller_gone)
        say_exit(j);
}

/* ---- both ---- */

static void run_v1(struct job *j)
{
    refuse_rights(j);
    if (prepare(j) && look_at_caller(j) && (!j->by_engine || byengine_await(j)))
        v1relay_start(j);
    v1relay_run(j);
}

static void done(struct job *j)
{
    uint8_t out[64];
    struct helper_end m = {.text = ""};
    int status;
    bool kept = false;
    /* Closing the caller's connection may block when it sent descriptors that nobody took. */
    close(j->conn);
    if (j->pidfd >= 0)
        close(j->pidfd);
    if (j->slave >= 0)
        close(j->slave);
    if (j->by_engine)
        byengine_done(j);
    while (waitpid(-1, &status, WNOHANG) > 0)
        ;
    if (waitpid(-1, &status, WNOHANG) == 0)
        j->reuse = false; /* a child that cannot die yet, or what it left behind */
    if (j->reuse)
        kept = seat_keep(j);
    if (j->cgroup >= 0 && !j->lent)
        close(j->cgroup);
    if (j->initfd >= 0) {
        inside_close(&j->inside);
        close(j->initfd);
    }
    if (!j->reuse)
        return;
    if (j->lent && !kept) {
        worker_return(j->w, j->spent);
        return;
    }
    if (j->lent)
        worker_does(j->w, CREW_FREE);
    if (kept)
        m.flags |= HELPER_END_SEAT;
    if (j->spent)
        m.flags |= HELPER_END_CGROUP_SPENT;
    size_t n = helper_end_encode(&m, out, sizeof(out));
    if (packet_send(j->boss, HELPER_IDLE, j->id, out, n, true) < 0)
        worker_leave();
}

bool job_run(struct worker *w, struct packet *p, int from)
{
    struct job j = {.w = w,
                    .boss = from,
                    .lent = from == w->line,
                    .id = p->head.job,
                    .conn = -1,
                    .pidfd = -1,
                    .initfd = -1,
                    .cgroup = -1,
                    .slave = -1,
                    .stream = -1,
                    .news = -1,
                    .enginefd = -1,
                    .inside = {.root = -1}};
    unsigned at = 2;
    j.reuse = true;
    j.end.text = "";
    if (packet_map(p) < 0 || helper_start_decode(p->body, p->head.len, &j.start) < 0 ||
        p->fds_count != 2u + (j.start.init != 0) + !!(p->head.flags & HELPER_CGROUP) +
                            !!(p->head.flags & HELPER_ATTACHED))
        return false;
    j.conn = p->fds[0];
    j.pidfd = p->fds[1];
    p->fds[0] = p->fds[1] = -1;
    if (j.start.init) {
        j.initfd = p->fds[at];
        p->fds[at++] = -1;
    }
    if (p->head.flags & HELPER_CGROUP) {
        j.cgroup = p->fds[at];
        p->fds[at] = -1;
    }
    j.body = p->body;
    j.body_len = p->head.len;
    if (j.lent) {
        j.cgroup = w->home;
        w->share->uid = j.start.peer.uid;
    }
    j.may_seat = j.lent || (p->head.flags & HELPER_SEAT);
    j.v1 = j.start.flags & HELPER_PEER_V1;
    j.by_engine = j.start.flags & HELPER_BY_ENGINE;
    if (j.by_engine && j.initfd < 0)
        return false;
    struct phrase name = PHRASE(j.name);
    phrase_add_safe(&name, j.start.name);
    sender_ask(j.conn);
    if (j.v1)
        run_v1(&j);
    else
        run_v2(&j);
    done(&j);
    return j.reuse;
}
