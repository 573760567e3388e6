/* SPDX-License-Identifier: MIT */
/* The order of the calls for one exec is what makes it sound:
 *   seize -> is the notification still the one we read -> interrupt -> continue it.
 * From there the thread can do nothing but load the image and stop in PTRACE_EVENT_EXEC, or fail
 * and stop on its way back. One exec in flight a process: seizing a second thread while a sibling
 * is in execve would wait for that one, inside the kernel, for ever. */
#include "gate/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/covers.h"
#include "gate/execs.h"
#include "gate/facts.h"
#include "gate/finders.h"
#include "gate/procfs.h"
#include "gate/steady.h"
#include "gate/still.h"
#include "gate/talk.h"
#include "gate/uapi.h"
#include "gate/verdict.h"
#include "mirror/phrase.h"

#define OPTIONS (PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define PASSES_MAX 8 /* covers on the way of one program */
#define PASS_FDS_MAX 4096
#define FACTS_MAX (2u << 20) /* 256 operands of 4 KiB, and what else there is */

int (*tracer_watch)(int pidfd, uint64_t job);

static int listener = -1;
static pid_t agent;
static bool over;
static int status_of_agent;
static char obstacle[160];
static struct pack_strings search;
static char search_text[GATEWIRE_SEARCH_MAX * 512];

void tracer_init(int fd, pid_t child)
{
    listener = fd;
    agent = child;
}

void tracer_search(const struct pack_strings *s)
{
    search = (struct pack_strings){.packed = search_text};
    const char *p = s->packed;
    for (uint32_t i = 0; i < s->count; i++, p = pack_next(p)) {
        size_t n = strlen(p) + 1;
        if (n > sizeof(search_text) - search.size)
            return; /* what is not searched names nothing */
        memcpy(search_text + search.size, p, n);
        search.size += n;
        search.count++;
    }
    steady_add(&search);
}

bool tracer_can_take(void)
{
    return !over && !execs_full() && !talk_is_full() && search.count > 0;
}

bool tracer_is_agent(pid_t pid)
{
    return pid == agent;
}

bool tracer_is_over(void)
{
    return over;
}

int tracer_status(void)
{
    return status_of_agent;
}

const char *tracer_obstacle(void)
{
    return obstacle[0] ? obstacle : NULL;
}

/* ---- a notification ---- */

static int answer_notification(uint64_t id, int error, uint32_t flags)
{
    struct uapi_seccomp_notif_resp r = {.id = id, .error = error, .flags = flags};
    return ioctl(listener, UAPI_NOTIF_SEND, &r) < 0 ? -errno : 0;
}

static void refuse_exec(struct exec *e, int error)
{
    (void)answer_notification(e->notif, -error, 0);
    execs_free(e);
}

static void note_obstacle(int error)
{
    struct phrase p = PHRASE(obstacle);
    if (obstacle[0] || execs_account.stopped > 0)
        return;
    phrase_add(&p, "the kernel does not let us watch programs here (ptrace: ");
    phrase_add_errno(&p, error);
    phrase_add(&p, "; /proc/sys/kernel/yama/ptrace_scope above 1, a security module, or a process "
                   "of another user)");
}

/* Seized: the thread goes on with what it waits for in its notification. */
static void let_load(struct exec *e)
{
    uint64_t id = e->notif;
    execs_set(e, EXEC_GOING);
    /* Its number may have been used again before we seized it; then it is not continued. */
    bool same = ioctl(listener, UAPI_NOTIF_ID_VALID, &id) == 0;
    (void)ptrace(PTRACE_INTERRUPT, e->tid, NULL, NULL);
    if (same && answer_notification(id, 0, UAPI_NOTIF_FLAG_CONTINUE) == 0) {
        e->continued = true;
        execs_account.continued++;
    }
}

static void go(struct exec *e)
{
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): ptrace(2) wants the number there */
    if (ptrace(PTRACE_SEIZE, e->tid, NULL, (void *)OPTIONS) < 0) {
        int error = errno;
        if (error != ESRCH)
            note_obstacle(error);
        refuse_exec(e, EACCES);
        return;
    }
    let_load(e);
}

static void go_on(pid_t tgid)
{
    struct exec *e;
    while (!execs_find_going(tgid) && (e = execs_find_queued(tgid)))
        go(e);
}

/* There is a pidfd of the first thread of a process only: it tells that one without a look at its
 * /proc. Whether the number is still the same thread's is asked of the notification in go(). */
static pid_t process_of_thread(pid_t tid)
{
    struct procfs_status st;
    return procfs_status(tid, &st) == 0 ? st.tgid : -1;
}

/* The directory of what lies below the cover is there for this one exec, in a process of one thread
 * that nobody else has descriptors with. */
static void pass_on(struct exec *e, uint64_t notif)
{
    int dir;
    (void)covers_below(e->cover, &dir);
    struct uapi_seccomp_notif_addfd a = {.id = notif,
                                         .flags = UAPI_ADDFD_FLAG_SETFD,
                                         .srcfd = (uint32_t)dir,
                                         .newfd = (uint32_t)e->pass_fd,
                                         .newfd_flags = O_CLOEXEC};
    e->notif = notif;
    if (e->pass_fd >= 0 && ioctl(listener, UAPI_NOTIF_ADDFD, &a) < 0)
        (void)answer_notification(notif, -errno, 0); /* it says so and leaves */
    else
        let_load(e);
}

int tracer_notified(const char **ret_why)
{
    struct uapi_seccomp_notif n;
    memset(&n, 0, sizeof(n));
    if (ioctl(listener, UAPI_NOTIF_RECV, &n) < 0) {
        if (errno == ENOENT || errno == EINTR || errno == EAGAIN)
            return 0; /* it died before we looked */
        *ret_why = "the kernel does not report programs any more";
        return -errno;
    }
    struct exec *before = execs_find_passing((pid_t)n.pid);
    if (before) {
        pass_on(before, n.id);
        return 0;
    }
    int pidfd = (int)syscall(UAPI_SYS_PIDFD_OPEN, (pid_t)n.pid, 0u);
    pid_t tgid = pidfd >= 0 ? (pid_t)n.pid : process_of_thread((pid_t)n.pid);
    struct exec *e = tgid > 0 ? execs_new(EXEC_QUEUED) : NULL;
    if (!e) {
        if (pidfd >= 0)
            close(pidfd);
        (void)answer_notification(n.id, -EACCES, 0);
        return 0;
    }
    e->notif = n.id;
    e->tid = (pid_t)n.pid;
    e->tgid = tgid;
    e->pidfd = pidfd;
    go_on(e->tgid);
    return 0;
}

/* ---- a stop ---- */

/* What lies on file systems that cannot hang is looked at here and now: that saves waking another
 * process, twice. `who` (NULL: not known) is of its pidfd. False: a finder has to do it. */
static bool find_here(struct exec *e, const struct procfs_who *who)
{
    static uint8_t body[FACTS_MAX];
    struct gatewire_facts f;
    const struct facts_ask a = {.pid = e->tgid,
                                .execfn = e->called ? e->called : e->image.execfn,
                                .search = search,
                                .operands = {.packed = e->operands ? e->operands : "",
                                             .size = e->operands_size,
                                             .count = e->operands_count},
                                .who = who,
                                .args = &e->image.argv};
    size_t n = facts_find_here(&a, body, sizeof(body));
    if (n == 0 || n > sizeof(body) || gatewire_facts_decode(body, n, &f) < 0)
        return false;
    verdict_facts(e, &f);
    return true;
}

static void give(struct exec *e)
{
    const struct finders_job j = {.job = e->job,
                                  .pid = e->tgid,
                                  .execfn = e->called ? e->called : e->image.execfn,
                                  .search = search,
                                  .operands = {.packed = e->operands ? e->operands : "",
                                               .size = e->operands_size,
                                               .count = e->operands_count}};
    e->finder = finders_give(&j);
}

void tracer_find(struct exec *e)
{
    if (!find_here(e, NULL))
        give(e);
}

static void find_waiting(void)
{
    for (struct exec *e = execs_next(NULL); e && finders_idle(); e = execs_next(e))
        if (e->finder < 0 && !e->unread && (e->state == EXEC_FINDING || e->state == EXEC_LOOKING))
            give(e);
}

/* What ran in this process until now has ended, by being replaced. */
static void replace_running(struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    if (!before)
        return;
    e->above = before->above;
    still_leave(before);
    if (before->redirected)
        return; /* the shim is expected in its place */
    verdict_end(before, GATEWIRE_REPLACED, 0, "");
    execs_free(before);
}

/* The nearest program above: processes between that only forked run its image. */
static uint64_t find_above(pid_t pid)
{
    struct procfs_status st;
    for (int i = 0; i < 64 && pid > 1 && pid != getpid(); i++, pid = st.ppid) {
        const struct exec *e = execs_find_running(pid);
        if (e)
            return e->job;
        if (procfs_status(pid, &st) < 0)
            break;
    }
    return 0;
}

static int free_number(pid_t pid)
{
    char path[64];
    for (int fd = 3; fd < PASS_FDS_MAX; fd++) {
        struct phrase p = PHRASE(path);
        path[0] = 0;
        phrase_add(&p, "/proc/");
        phrase_add_number(&p, (uint64_t)pid);
        phrase_add(&p, "/fd/");
        phrase_add_number(&p, (uint64_t)fd);
        if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            return fd;
    }
    return -1;
}

/* Instead of the shim, what it covers starts: the image that we have is not judged, but the next.
 */
static void pass_cover(struct exec *e, int cover)
{
    static const char words[] = "clawrden: not run: what lies below its cover cannot be executed\n";
    int dir;
    const char *name = covers_below(cover, &dir);
    e->cover = cover;
    e->pass_fd = dir < 0 ? -1 : free_number(e->tgid);
    if (!e->called)
        e->called = covers_path(cover);
    if (e->passed++ == PASSES_MAX || (dir >= 0 && e->pass_fd < 0) ||
        image_pass(e->tgid, &e->image, e->pass_fd, name, words) < 0 ||
        ptrace(PTRACE_CONT, e->tgid, NULL, NULL) < 0) {
        verdict_doom(e);
        return;
    }
    image_done(&e->image);
    execs_set(e, EXEC_PASSING);
}

static void stopped_in_exec(struct exec *e)
{
    struct procfs_who who;
    struct procfs_status st = {.ppid = 0};
    pid_t tgid = e->tgid;
    execs_account.stopped++;
    e->continued = false;
    e->tid = tgid;
    execs_set(e, EXEC_FINDING);
    if (e->pidfd < 0) /* another thread than the first called execve */
        e->pidfd = (int)syscall(UAPI_SYS_PIDFD_OPEN, tgid, 0u);
    bool told = procfs_who(e->pidfd, &who);
    replace_running(e);
    if (!e->above && (told || procfs_status(tgid, &st) == 0))
        e->above = find_above(told ? who.ppid : st.ppid);
    int r = image_read(tgid, &e->image), cover = r < 0 ? -1 : covers_find(tgid);
    if (r < 0)
        verdict_ask_unread(e, r);
    else if (cover >= 0)
        pass_cover(e, cover);
    else if (!verdict_alone(e) && !find_here(e, told ? &who : NULL))
        give(e);
    go_on(tgid); /* threads that are gone with the old image answer ESRCH */
}

static void stopped_without_exec(struct exec *e, int signo)
{
    pid_t tgid = e->tgid;
    if (e->continued)
        execs_account.failed++;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): as above */
    (void)ptrace(PTRACE_DETACH, e->tid, NULL, (void *)(long)signo);
    execs_free(e);
    go_on(tgid);
}

/* Stops as it would without us, and goes on when it would. */
static void let_leave(const struct exec *e, int event, int signo)
{
    bool group = event == PTRACE_EVENT_STOP && signo != SIGTRAP;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): as above */
    void *with = (void *)(long)(event ? 0 : signo);
    (void)ptrace(group ? PTRACE_LISTEN : PTRACE_CONT, e->tid, NULL, with);
}

static int stopped(pid_t pid, int status, const char **ret_why)
{
    int event = status >> 16;
    if (event == PTRACE_EVENT_EXEC) {
        unsigned long thread = 0;
        (void)ptrace(PTRACE_GETEVENTMSG, pid, NULL, &thread);
        struct exec *e = execs_find_thread((pid_t)thread);
        if (!e || e->state != EXEC_GOING || !e->continued || e->tgid != pid) {
            *ret_why = "a program started that was never reported";
            return -EPROTO;
        }
        stopped_in_exec(e);
        return 0;
    }
    struct exec *e = execs_find_thread(pid);
    if (!e)
        return pid == agent ? 0 : -ECHILD; /* not traced: the agent itself stopped, see reap() */
    if (e->state == EXEC_LEAVING || e->state == EXEC_PASSING)
        let_leave(e, event, WSTOPSIG(status));
    else if (e->state == EXEC_GOING)
        stopped_without_exec(e, event ? 0 : WSTOPSIG(status));
    else if (e->state == EXEC_DOOMED)
        (void)kill(pid, SIGKILL);
    return 0;
}

static void died(struct exec *e)
{
    pid_t tgid = e->tgid;
    verdict_drop_finder(e);
    if (e->state == EXEC_GOING && e->continued)
        execs_account.died++;
    if (verdict_expected(e))
        verdict_withdraw(e, "its process died while it waited");
    execs_free(e);
    go_on(tgid);
}

static void exited(pid_t pid, int status)
{
    struct exec *e = execs_find_thread(pid);
    if (e)
        died(e);
    if ((e = execs_find_running(pid))) {
        still_leave(e);
        if (WIFEXITED(status))
            verdict_end(e, GATEWIRE_EXITED, WEXITSTATUS(status), "");
        else
            verdict_end(e, GATEWIRE_SIGNALED, WTERMSIG(status), "");
        execs_free(e);
    }
    if (pid == agent) {
        over = true;
        status_of_agent = status;
    }
}

/* Ctrl-Z stops the terminal's whole group but for us, who ignore it: who started us is to see it.
 */
static void follow_stop(int status)
{
    int s = WSTOPSIG(status);
    if ((s == SIGTSTP || s == SIGTTIN || s == SIGTTOU) && getpgid(agent) == getpgrp())
        (void)raise(SIGSTOP);
}

int tracer_reap(const char **ret_why)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, __WALL | __WNOTHREAD | WNOHANG | WUNTRACED)) > 0) {
        if (WIFSTOPPED(status)) {
            if (pid == agent && !execs_find_thread(pid))
                follow_stop(status);
            else if (stopped(pid, status, ret_why) == -EPROTO)
                return -EPROTO;
        } else {
            exited(pid, status);
        }
    }
    if (!execs_balanced()) {
        *ret_why = "the accounts of started programs do not add up";
        return -EPROTO;
    }
    find_waiting();
    return 0;
}

/* ---- finders ---- */

void tracer_finder(int finder)
{
    const uint8_t *body;
    size_t len;
    struct gatewire_facts f;
    uint64_t job = finders_take(finder, &body, &len);
    struct exec *e = execs_find_job(job);
    if (!e)
        return;
    e->finder = -1;
    if (!body || gatewire_facts_decode(body, len, &f) < 0)
        f = (struct gatewire_facts){.error = EIO, .words = "who looked at its files broke down"};
    verdict_facts(e, &f);
    find_waiting();
}

/* ---- the end ---- */

void tracer_ended(uint64_t job)
{
    struct exec *e = execs_find_job(job);
    int status;
    if (!e || e->state != EXEC_RUNNING)
        return;
    if (procfs_end(e->pidfd, e->tgid, &status) < 0)
        verdict_end(e, GATEWIRE_GONE, 0, "");
    else if (WIFEXITED(status))
        verdict_end(e, GATEWIRE_EXITED, WEXITSTATUS(status), "");
    else
        verdict_end(e, GATEWIRE_SIGNALED, WTERMSIG(status), "");
    still_leave(e);
    execs_free(e);
}

void tracer_tick(uint64_t now)
{
    uint64_t job;
    while ((job = finders_late(now))) {
        struct exec *e = execs_find_job(job);
        const struct gatewire_facts f = {.error = ETIMEDOUT,
                                         .words = "its files did not answer in time"};
        if (!e)
            continue;
        e->finder = -1;
        verdict_facts(e, &f);
    }
    find_waiting();
    verdict_tick(now);
    still_tick(now);
    if (now >= talk_late_due())
        (void)talk_flush_late(); /* that the warden is gone is heard where it speaks */
}

uint64_t tracer_next(void)
{
    uint64_t next = finders_next(), late = talk_late_due();
    next = next < verdict_next() ? next : verdict_next();
    next = next < still_next() ? next : still_next();
    return next < late ? next : late;
}
