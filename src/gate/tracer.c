/* SPDX-License-Identifier: MIT */
/* The order of the calls for one exec is what makes it sound:
 *   seize -> is the notification still the one we read -> interrupt -> continue it.
 * From there the thread can do nothing but load the image and stop in PTRACE_EVENT_EXEC, or fail
 * and stop on its way back. One exec in flight a process: seizing a second thread while a sibling
 * is in execve would wait for that one, inside the kernel, for ever. */
#include "gate/tracer.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/execs.h"
#include "gate/finders.h"
#include "gate/procfs.h"
#include "gate/talk.h"
#include "gate/uapi.h"
#include "mirror/phrase.h"

#define OPTIONS (PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL)
#define LOOK_AT_SIGNALS_MS 100
#define NAME_SIZE 64

int (*tracer_watch)(int pidfd, uint64_t job);

static int listener = -1;
static pid_t agent;
static bool over;
static int status_of_agent;
static char obstacle[160];
static struct pack_strings search;
static char search_text[GATEWIRE_SEARCH_MAX * 512];
static uint64_t signals_due = UINT64_MAX;

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
}

bool tracer_can_take(void)
{
    return !over && !execs_full() && !talk_is_full() && search.count > 0;
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

/* ---- what the warden hears ---- */

static void tell_end(const struct exec *e, enum gatewire_end_kind kind, int value, const char *text)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    const struct gatewire_end m = {
        .job = e->job, .kind = kind, .value = (uint32_t)value & 255, .text = text};
    (void)talk_send(GATEWIRE_END, gatewire_end_encode(&m, body, size), -1);
}

static void tell_withdrawn(const struct exec *e, const char *why)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    const struct gatewire_withdraw m = {.job = e->job, .why = why};
    (void)talk_send(GATEWIRE_WITHDRAW, gatewire_withdraw_encode(&m, body, size), -1);
}

static void tell_started(const struct exec *e)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    struct pack_writer w = {.p = body, .size = size};
    pack_put_u64(&w, e->job);
    (void)talk_send(GATEWIRE_STARTED, w.len, -1);
}

static bool warden_knows(const struct exec *e)
{
    return e->state == EXEC_ASKED || e->state == EXEC_LOOKING;
}

/* ---- letting go ---- */

static void end_finder(struct exec *e)
{
    if (e->finder >= 0)
        finders_drop(e->finder);
    e->finder = -1;
}

/* SIGKILL reaches what is stopped, and the kernel says when it is gone. */
static void doom(struct exec *e)
{
    end_finder(e);
    (void)kill(e->tgid, SIGKILL);
    execs_set(e, EXEC_DOOMED);
}

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

/* ---- a notification ---- */

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

/* The thread waits in its notification. */
static void go(struct exec *e)
{
    uint64_t id = e->notif;
    /* NOLINTNEXTLINE(performance-no-int-to-ptr): ptrace(2) wants the number there */
    if (ptrace(PTRACE_SEIZE, e->tid, NULL, (void *)OPTIONS) < 0) {
        int error = errno;
        if (error != ESRCH)
            note_obstacle(error);
        refuse_exec(e, EACCES);
        return;
    }
    execs_set(e, EXEC_GOING);
    /* Its number may have been used again before we seized it; then it is not continued. */
    bool same = ioctl(listener, UAPI_NOTIF_ID_VALID, &id) == 0;
    (void)ptrace(PTRACE_INTERRUPT, e->tid, NULL, NULL);
    if (same && answer_notification(id, 0, UAPI_NOTIF_FLAG_CONTINUE) == 0) {
        e->continued = true;
        execs_account.continued++;
    }
}

static void go_on(pid_t tgid)
{
    struct exec *e;
    while (!execs_find_going(tgid) && (e = execs_find_queued(tgid)))
        go(e);
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
    struct procfs_status st;
    struct exec *e =
        procfs_status((pid_t)n.pid, &st) == 0 && st.tgid > 0 ? execs_new(EXEC_QUEUED) : NULL;
    if (!e) {
        (void)answer_notification(n.id, -EACCES, 0);
        return 0;
    }
    e->notif = n.id;
    e->tid = (pid_t)n.pid;
    e->tgid = st.tgid;
    e->parent = st.ppid;
    e->umask = st.umask;
    go_on(e->tgid);
    return 0;
}

/* ---- a stop ---- */

static void find(struct exec *e)
{
    const struct finders_job j = {.job = e->job,
                                  .pid = e->tgid,
                                  .execfn = e->image.execfn,
                                  .search = search,
                                  .operands = {.packed = e->operands ? e->operands : "",
                                               .size = e->operands_size,
                                               .count = e->operands_count}};
    e->finder = finders_give(&j);
}

static void find_waiting(void)
{
    for (struct exec *e = execs_next(NULL); e && finders_idle(); e = execs_next(e))
        if (e->finder < 0 && !e->unread && (e->state == EXEC_FINDING || e->state == EXEC_LOOKING))
            find(e);
}

static void ask(struct exec *e, const struct gatewire_facts *facts);

/* Its image cannot be read: the warden records that, and it dies. */
static void ask_unread(struct exec *e, int error)
{
    char words[160];
    struct phrase p = PHRASE(words);
    words[0] = 0;
    if (error == -ENOEXEC)
        phrase_add(&p, "it is a 32-bit program");
    else {
        phrase_add(&p, "its arguments cannot be read, as of a file that may be executed and not "
                       "read: ");
        phrase_add_errno(&p, -error);
    }
    image_done(&e->image);
    static char none[] = "?";
    e->image.argv = (struct pack_strings){.packed = none, .size = 2, .count = 1};
    e->image.execfn = "?";
    e->unread = true;
    const struct gatewire_facts facts = {.error = (uint32_t)(error == -ENOEXEC ? ENOEXEC : EACCES),
                                         .words = words};
    ask(e, &facts);
}

/* What ran in this process until now has ended, by being replaced. */
static void replace_running(struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    if (!before)
        return;
    e->above = before->above;
    if (before->redirected)
        return; /* the shim is expected in its place */
    tell_end(before, GATEWIRE_REPLACED, 0, "");
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

static void stopped_in_exec(struct exec *e)
{
    execs_account.stopped++;
    e->continued = false;
    e->tid = e->tgid;
    execs_set(e, EXEC_FINDING);
    replace_running(e);
    if (!e->above)
        e->above = find_above(e->parent);
    int r = image_read(e->tgid, &e->image);
    if (r < 0)
        ask_unread(e, r);
    else
        find(e);
    go_on(e->tgid); /* threads that are gone with the old image answer ESRCH */
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
    if (e->state == EXEC_GOING)
        stopped_without_exec(e, event ? 0 : WSTOPSIG(status));
    else if (e->state == EXEC_DOOMED)
        (void)kill(pid, SIGKILL);
    return 0;
}

static void died(struct exec *e)
{
    pid_t tgid = e->tgid;
    end_finder(e);
    if (e->state == EXEC_GOING && e->continued)
        execs_account.died++;
    if (warden_knows(e))
        tell_withdrawn(e, "its process died while it waited");
    execs_free(e);
    go_on(tgid);
}

static void exited(pid_t pid, int status)
{
    struct exec *e = execs_find_thread(pid);
    if (e)
        died(e);
    if ((e = execs_find_running(pid))) {
        if (WIFEXITED(status))
            tell_end(e, GATEWIRE_EXITED, WEXITSTATUS(status), "");
        else
            tell_end(e, GATEWIRE_SIGNALED, WTERMSIG(status), "");
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

/* ---- the question ---- */

/* "DEV:INO NAME" of each program above, the nearest first. */
static void describe_parents(const struct exec *e, char *out, size_t size, struct pack_strings *ret)
{
    *ret = (struct pack_strings){.packed = out};
    const struct exec *a = execs_find_job(e->above);
    for (; a && ret->count < GATEWIRE_PARENTS_MAX; a = execs_find_job(a->above)) {
        struct phrase p = {.text = out + ret->size, .size = size - ret->size};
        p.text[0] = 0;
        phrase_add_number(&p, a->dev);
        phrase_add(&p, ":");
        phrase_add_number(&p, a->ino);
        phrase_add(&p, " ");
        phrase_add(&p, a->name);
        ret->size += strlen(p.text) + 1;
        ret->count++;
        if (size - ret->size < 128)
            return;
    }
}

static void remember_program(struct exec *e, const struct gatewire_facts *f)
{
    const char *slash = f->path ? strrchr(f->path, '/') : NULL;
    struct phrase p = PHRASE(e->name);
    e->name[0] = 0;
    phrase_add_safe(&p, slash ? slash + 1 : "?");
    e->dev = f->dev;
    e->ino = f->ino;
}

static void ask(struct exec *e, const struct gatewire_facts *facts)
{
    static char parents[GATEWIRE_PARENTS_MAX * 128];
    struct gatewire_request m = {.job = e->job,
                                 .umask = e->umask,
                                 .execfn = e->image.execfn,
                                 .argv = e->image.argv,
                                 .env = e->image.env,
                                 .facts = *facts};
    if (!m.env.packed)
        m.env.packed = "";
    remember_program(e, facts);
    describe_parents(e, parents, sizeof(parents), &m.parents);
    e->pidfd = (int)syscall(UAPI_SYS_PIDFD_OPEN, e->tgid, 0u);
    size_t size;
    uint8_t *body = talk_body(&size);
    size_t n = gatewire_request_encode(&m, body, size);
    if (e->pidfd < 0 || n == 0 || n > size || talk_send(GATEWIRE_REQUEST, n, e->pidfd) < 0) {
        doom(e); /* what cannot be asked cannot run */
        return;
    }
    execs_set(e, EXEC_ASKED);
}

static void tell_found(struct exec *e, const struct gatewire_facts *facts)
{
    struct gatewire_found m = {.job = e->job, .facts = *facts};
    size_t size;
    uint8_t *body = talk_body(&size);
    size_t n = gatewire_found_encode(&m, body, size);
    execs_set(e, EXEC_ASKED);
    if (n == 0 || n > size || talk_send(GATEWIRE_FACTS, n, -1) < 0) {
        tell_withdrawn(e, "the gate could not say what it found");
        doom(e);
    }
}

/* ---- the shim that a redirect has called ---- */

static bool is_expected_shim(const struct exec *e, const struct gatewire_facts *f)
{
    const struct exec *before = execs_find_running(e->tgid);
    return before && before->redirected && !f->error && f->trust == GATEWIRE_TRUSTED &&
           before->redirected == f->ino;
}

/* It is not a program of its own: what it stands for goes on. */
static void pass_shim(struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    before->redirected = 0;
    (void)ptrace(PTRACE_DETACH, e->tgid, NULL, NULL);
    execs_free(e);
}

static void not_the_shim(const struct exec *e)
{
    struct exec *before = execs_find_running(e->tgid);
    if (!before || !before->redirected)
        return;
    tell_end(before, GATEWIRE_REPLACED, 0, "");
    execs_free(before);
}

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
    if (e->state == EXEC_LOOKING)
        tell_found(e, &f);
    else if (e->state == EXEC_FINDING && is_expected_shim(e, &f))
        pass_shim(e);
    else if (e->state == EXEC_FINDING) {
        not_the_shim(e);
        ask(e, &f);
    }
    find_waiting();
}

/* ---- the answer ---- */

static void fail(struct exec *e, const char *why)
{
    tell_end(e, GATEWIRE_FAILED, 0, why);
    doom(e);
}

static void release(struct exec *e)
{
    if (ptrace(PTRACE_DETACH, e->tgid, NULL, NULL) < 0) {
        fail(e, "its process could not be let go");
        return;
    }
    image_done(&e->image);
    execs_set(e, EXEC_RUNNING);
    e->held = false;
    tell_started(e);
    if (tracer_watch(e->pidfd, e->job) < 0) {
        /* Its end will only be seen if it is our own child; it is recorded now instead. */
        tell_end(e, GATEWIRE_GONE, 0, "its end cannot be watched");
        execs_free(e);
    }
}

static void allow(struct exec *e, const struct gatewire_allow *m, bool redirect)
{
    uint32_t scrubbed;
    struct stat shim;
    if (e->unread)
        fail(e, "it was allowed, but could not be read");
    else if (e->held && image_same(&e->image) < 0)
        fail(e, "its arguments or environment changed while it waited: the approval was for "
                "something else");
    else if (image_scrub(e->tgid, &e->image, &m->scrub, &scrubbed) < 0)
        fail(e, "variables that must not stay could not be taken out of its environment");
    else if (redirect && (stat(m->shim, &shim) < 0 ||
                          image_redirect(e->tgid, &e->image, m->shim, e->image.execfn) < 0))
        fail(e, "the shim could not be put in its place");
    else {
        e->redirected = redirect ? shim.st_ino : 0;
        release(e);
    }
}

static void deny(struct exec *e, const struct gatewire_deny *m)
{
    if (e->unread || image_poison(e->tgid, &e->image, m->text, (int)m->code) < 0) {
        doom(e);
        return;
    }
    (void)ptrace(PTRACE_DETACH, e->tgid, NULL, NULL); /* ESRCH: it died, which wait will say */
    execs_free(e);
}

static int look(struct exec *e, const struct gatewire_look *m)
{
    if (e->operands) {
        munmap(e->operands, e->operands_size);
        e->operands = NULL;
    }
    e->operands_count = m->operands.count;
    e->operands_size = m->operands.size;
    if (m->operands.size > 0) {
        void *p = mmap(NULL, m->operands.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                       -1, 0);
        if (p == MAP_FAILED)
            return -ENOMEM;
        e->operands = p;
        memcpy(p, m->operands.packed, m->operands.size);
    }
    execs_set(e, EXEC_LOOKING);
    if (e->unread) {
        const struct gatewire_facts f = {.error = EACCES, .words = "its image cannot be read"};
        tell_found(e, &f);
    } else {
        find(e);
    }
    return 0;
}

static void kill_below(uint64_t job, int signo)
{
    for (struct exec *e = execs_next(NULL); e; e = execs_next(e))
        if (e->state == EXEC_RUNNING && execs_is_below(e, job)) {
            (void)syscall(UAPI_SYS_PIDFD_SEND_SIGNAL, e->pidfd, signo, NULL, 0u);
            if (signo == SIGKILL)
                procfs_kill_below(e->tgid, signo);
        } else if (e->tgid > 0 && e->state != EXEC_RUNNING && execs_is_below(e, job)) {
            (void)kill(e->tgid, signo);
        }
}

static int heed(const struct gatewire_head *h, const uint8_t *body, uint64_t job)
{
    struct exec *e = execs_find_job(job);
    struct gatewire_allow allowed;
    struct gatewire_deny denied;
    struct gatewire_look wanted;
    uint32_t signo;
    switch (h->type) {
    case GATEWIRE_ALLOW:
    case GATEWIRE_REDIRECT:
        if (gatewire_allow_decode(body, h->len, &allowed) < 0)
            return -EBADMSG;
        if (e && e->state == EXEC_ASKED)
            allow(e, &allowed, h->type == GATEWIRE_REDIRECT);
        return 0;
    case GATEWIRE_DENY:
        if (gatewire_deny_decode(body, h->len, &denied) < 0)
            return -EBADMSG;
        if (e && warden_knows(e)) {
            end_finder(e);
            deny(e, &denied);
        }
        return 0;
    case GATEWIRE_LOOK:
        if (gatewire_look_decode(body, h->len, &wanted) < 0)
            return -EBADMSG;
        return e && e->state == EXEC_ASKED ? look(e, &wanted) : 0;
    case GATEWIRE_WAITING:
        if (e && warden_knows(e)) {
            e->held = true;
            signals_due = clock_ms() + LOOK_AT_SIGNALS_MS;
        }
        return 0;
    case GATEWIRE_KILL:
        if (gatewire_kill_decode(body, h->len, &job, &signo) < 0)
            return -EBADMSG;
        kill_below(job, (int)signo);
        return 0;
    default:
        return -EBADMSG;
    }
}

int tracer_answer(const struct gatewire_head *h, const uint8_t *body, const char **ret_why)
{
    struct pack_reader r = {.p = body, .len = h->len};
    uint64_t job = pack_get_u64(&r); /* all of them begin with it */
    int error = job ? heed(h, body, job) : -EBADMSG;
    if (error < 0)
        *ret_why = "the warden said something that makes no sense";
    return error;
}

/* ---- the end ---- */

void tracer_ended(uint64_t job)
{
    struct exec *e = execs_find_job(job);
    int status;
    if (!e || e->state != EXEC_RUNNING)
        return;
    if (procfs_end(e->pidfd, e->tgid, &status) < 0)
        tell_end(e, GATEWIRE_GONE, 0, "");
    else if (WIFEXITED(status))
        tell_end(e, GATEWIRE_EXITED, WEXITSTATUS(status), "");
    else
        tell_end(e, GATEWIRE_SIGNALED, WTERMSIG(status), "");
    execs_free(e);
}

/* A signal that would end it stays pending in the stop: whoever sent it is not to wait for us. */
static void look_at_signals(void)
{
    bool any = false;
    for (struct exec *e = execs_next(NULL); e; e = execs_next(e)) {
        if (!e->held || !warden_knows(e))
            continue;
        if (!procfs_has_fatal_signal(e->tgid)) {
            any = true;
            continue;
        }
        tell_withdrawn(e, "it got a signal that ends it while it waited");
        end_finder(e);
        /* Poisoned, so that a signal which does not end it after all starts nothing. */
        if (e->unread || image_poison(e->tgid, &e->image, "", 126) < 0 ||
            ptrace(PTRACE_DETACH, e->tgid, NULL, NULL) < 0) {
            doom(e);
            any = true;
        } else {
            execs_free(e);
            e = NULL; /* from the start: the table has moved */
            any = true;
            break;
        }
    }
    signals_due = any ? clock_ms() + LOOK_AT_SIGNALS_MS : UINT64_MAX;
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
        if (e->state == EXEC_LOOKING)
            tell_found(e, &f);
        else if (e->state == EXEC_FINDING)
            ask(e, &f);
    }
    find_waiting();
    if (now >= signals_due)
        look_at_signals();
}

uint64_t tracer_next(void)
{
    uint64_t finder = finders_next();
    return finder < signals_due ? finder : signals_due;
}
