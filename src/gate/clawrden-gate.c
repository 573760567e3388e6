/* SPDX-License-Identifier: MIT */
/* clawrden-gate: starts an agent and stands above it for ever. Every program that starts anywhere
 * in the tree stops before its first instruction until the warden has judged it. When anything is
 * in doubt (the accounts do not add up, who answers as the warden), the tree ends. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/agent.h"
#include "gate/clock.h"
#include "gate/covers.h"
#include "gate/facts.h"
#include "gate/finders.h"
#include "gate/options.h"
#include "gate/procfs.h"
#include "gate/scope.h"
#include "gate/speak.h"
#include "gate/steady.h"
#include "gate/still.h"
#include "gate/talk.h"
#include "gate/tracer.h"
#include "gate/upstream.h"
#include "gate/verdict.h"
#include "mirror/phrase.h"

#define END_MS 10000 /* for the tree to die when it is killed */
#define EVENTS 64

static int epoll = -1, signals = -1, listener = -1;
static bool listening;                 /* the listener is polled */
static int ends = -1;                  /* an epoll of its own, of what runs */
static bool patient;                   /* the kernel keeps how a program ended */
static uint64_t ends_due = UINT64_MAX; /* until then nobody is woken by `ends` */

/* ---- the loop ---- */

enum { KIND_SIGNALS = 1, KIND_LISTENER, KIND_TALK, KIND_FINDER, KIND_ENDS };
#define TAG(kind, value) ((uint64_t)(kind) << 56 | (uint64_t)(value))

static int watch(int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event e = {.events = events, .data = {.u64 = tag}};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e) == 0)
        return 0;
    return errno == ENOENT && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0 ? 0 : -errno;
}

/* Most programs end soon, and then another starts: its notification wakes us anyway. Only what runs
 * on is worth a waking of its own when it ends. */
static int watch_job(int pidfd, uint64_t job)
{
    struct epoll_event e = {.events = EPOLLIN | EPOLLONESHOT, .data = {.u64 = job}};
    if (epoll_ctl(ends, EPOLL_CTL_ADD, pidfd, &e) < 0)
        return -errno;
    if (patient && ends_due == UINT64_MAX)
        (void)watch(ends, 0, TAG(KIND_ENDS, 0));
    if (patient)
        ends_due = clock_ms() + TALK_LATE_MS;
    return 0;
}

static void take_ends(void)
{
    struct epoll_event events[EVENTS];
    int n;
    do {
        n = epoll_wait(ends, events, EVENTS, 0);
        for (int i = 0; i < n; i++)
            tracer_ended(events[i].data.u64);
    } while (n == EVENTS);
}

static void watch_ends(uint64_t now)
{
    if (now < ends_due)
        return;
    ends_due = UINT64_MAX;
    (void)watch(ends, EPOLLIN, TAG(KIND_ENDS, 0));
}

/* Finders come and go; their sockets are few. */
static void watch_finders(void)
{
    static unsigned watched;
    if (watched == finders_started())
        return;
    watched = finders_started();
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders_fd(i) >= 0)
            (void)watch(finders_fd(i), EPOLLIN, TAG(KIND_FINDER, i));
}

static int watch_upstream(int fd)
{
    return watch(fd, EPOLLIN, TAG(KIND_TALK, 0));
}

static void arm(void)
{
    static bool writing;
    bool can = tracer_can_take();
    if (can != listening) {
        listening = can;
        (void)watch(listener, can ? EPOLLIN : 0, TAG(KIND_LISTENER, 0));
    }
    if (talk_wants_to_write() != writing) {
        writing = !writing;
        if (talk_fd() >= 0)
            (void)watch(talk_fd(), EPOLLIN | (writing ? EPOLLOUT : 0), TAG(KIND_TALK, 0));
    }
}

/* The terminal sends INT and QUIT to the agent as well; who sends them to us alone means it. */
static bool comes_from_a_process(const struct signalfd_siginfo *s)
{
    return s->ssi_code <= 0;
}

static void read_signals(pid_t agent)
{
    struct signalfd_siginfo s[8];
    ssize_t n;
    do {
        n = read(signals, s, sizeof(s));
        for (size_t i = 0; n > 0 && i < (size_t)n / sizeof(s[0]); i++) {
            int signo = (int)s[i].ssi_signo;
            if (signo == SIGCHLD ||
                ((signo == SIGINT || signo == SIGQUIT) && !comes_from_a_process(&s[i])))
                continue;
            if (signo == SIGCONT && still_any())
                continue; /* it is the warden's to let it go on */
            (void)kill(agent, signo);
        }
    } while (n == (ssize_t)sizeof(s));
}

static int dispatch(const struct epoll_event *e, pid_t agent, const char **ret_why)
{
    uint64_t value = e->data.u64 & ~(0xffull << 56);
    switch (e->data.u64 >> 56) {
    case KIND_SIGNALS:
        read_signals(agent);
        return 0;
    case KIND_LISTENER:
        take_ends(); /* their numbers may be used again */
        return (e->events & EPOLLIN) && tracer_can_take() ? tracer_notified(ret_why) : 0;
    case KIND_TALK:
        take_ends(); /* what it says is not for who has their numbers now */
        return upstream_ready(e->events, ret_why);
    case KIND_FINDER:
        tracer_finder((int)value);
        return 0;
    case KIND_ENDS:
        take_ends();
        return 0;
    default:
        return 0;
    }
}

static int timeout_ms(void)
{
    uint64_t next = tracer_next(), again = upstream_next(), now = clock_ms();
    if (again < next)
        next = again;
    if (ends_due < next)
        next = ends_due;
    if (next == UINT64_MAX)
        return -1;
    return next <= now ? 0 : (int)(next - now > 60000 ? 60000 : next - now);
}

/* Until the agent has ended; NULL, or why the tree must end now. */
static const char *supervise(pid_t agent)
{
    struct epoll_event events[EVENTS];
    const char *why = NULL;
    while (!tracer_is_over()) {
        watch_finders();
        arm();
        int n = epoll_wait(epoll, events, EVENTS, timeout_ms());
        if (n < 0 && errno != EINTR)
            return "the event loop broke";
        /* Stops and deaths first: nothing else may be concluded from older news. */
        if (tracer_reap(&why) < 0)
            return why;
        for (int i = 0; i < n; i++)
            if (dispatch(&events[i], agent, &why) < 0)
                return why ? why : "the gate could not go on";
        if (tracer_reap(&why) < 0)
            return why;
        uint64_t now = clock_ms();
        tracer_tick(now);
        upstream_tick(now);
        watch_ends(now);
    }
    return NULL;
}

/* ---- the end ---- */

/* We are the reaper of all orphans of the tree, so everything in it descends from us. Finders and
 * others of ours die too: nothing is needed any more. */
static void end_tree(void)
{
    uint64_t until = clock_ms() + END_MS;
    int status;
    for (;;) {
        procfs_kill_below(getpid(), SIGKILL);
        pid_t pid;
        while ((pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0)
            ;
        if (pid < 0 && errno == ECHILD)
            return;
        if (clock_ms() > until) {
            speak("some of the tree did not die within 10 s of SIGKILL", "");
            return;
        }
        (void)poll(NULL, 0, 5);
    }
}

static void last_words(int status_fd, int status)
{
    char text[64];
    struct phrase p = PHRASE(text);
    if (status_fd < 0)
        return;
    text[0] = 0;
    phrase_add(&p, WIFEXITED(status) ? "exit " : "signal ");
    phrase_add_number(&p, (uint64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status)));
    phrase_add(&p, "\n");
    (void)!write(status_fd, text, strlen(text));
}

/* As the agent ended, so do we. */
static int leave_as(int status)
{
    struct rlimit none = {0, 0};
    sigset_t one;
    if (WIFEXITED(status))
        return WEXITSTATUS(status);
    int s = WTERMSIG(status);
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)signal(s, SIG_DFL);
    sigemptyset(&one);
    sigaddset(&one, s);
    (void)sigprocmask(SIG_UNBLOCK, &one, NULL);
    (void)raise(s);
    return 128 + s; /* as process 1 */
}

/* ---- the start ---- */

/* Not forwarded: what means ourselves, what the terminal does to everybody, and our own faults. */
static const int kept[] = {SIGKILL, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGSEGV,
                           SIGBUS,  SIGFPE,  SIGILL,  SIGTRAP, SIGSYS,  SIGABRT};
static const int ignored[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};
static const int leaving[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void leave(int signo)
{
    _exit(128 + signo);
}

/* Until there is an agent, a signal ends us: as process 1 only by a handler. */
static void leave_on_signals(void)
{
    (void)signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would make the kernel reap for us */
    for (size_t i = 0; i < sizeof(leaving) / sizeof(leaving[0]); i++)
        if (signal(leaving[i], leave) == SIG_IGN)
            (void)signal(leaving[i], SIG_IGN);
}

static void forward_signals(void)
{
    sigset_t s;
    sigfillset(&s);
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        sigdelset(&s, kept[i]);
    (void)sigprocmask(SIG_BLOCK, &s, NULL);
    signals = signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
    for (size_t i = 0; i < sizeof(leaving) / sizeof(leaving[0]); i++)
        if (signal(leaving[i], SIG_DFL) == SIG_IGN)
            (void)signal(leaving[i], SIG_IGN); /* as with nohup: not for the agent either */
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
}

static void more_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

/* The child may be traced by us only as long as it was forked dumpable; from here on nobody of our
 * user may look into us. */
static void shut_us(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void open_loop(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    ends = epoll_create1(EPOLL_CLOEXEC);
    patient = procfs_end_lasts();
    if (epoll < 0 || ends < 0 || watch(ends, EPOLLIN, TAG(KIND_ENDS, 0)) < 0 || signals < 0 ||
        watch(signals, EPOLLIN, TAG(KIND_SIGNALS, 0)) < 0 ||
        watch(listener, EPOLLIN, TAG(KIND_LISTENER, 0)) < 0 || watch_upstream(talk_fd()) < 0)
        speak_cannot("cannot make an event loop", errno);
    listening = true;
    tracer_watch = watch_job;
    upstream_watch = watch_upstream;
}

/* The agent, its filter, whoever looks at its files, and the warden's word. */
static pid_t prepare(const struct options *o, int *ret_sock)
{
    sigset_t mask;
    uint32_t wall;
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        speak_cannot("cannot become the reaper of the tree", errno);
    leave_on_signals();
    scope_init();
    upstream_connect(o);
    if (o->status_fd >= 0)
        (void)fcntl(o->status_fd, F_SETFD, FD_CLOEXEC);
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    pid_t agent = agent_start(o, &mask, ret_sock);
    shut_us();
    more_files();
    listener = agent_listener(*ret_sock, &wall);
    if (o->walled)
        facts_walled(o->walled);
    int r = covers_init();
    if (r == 0)
        r = finders_init();
    if (r < 0)
        speak_cannot(r == -ENOTSUP ? "/proc is not the kernel's" : "cannot look at /proc", r);
    if (o->debuggers)
        verdict_debuggers();
    steady_init();
    tracer_init(listener, agent);
    upstream_greet(wall | (getpid() == 1 ? GATEWIRE_TREE_PID1 : 0) |
                   (scope_is_there() ? GATEWIRE_SCOPE_CGROUP : 0) | GATEWIRE_FREEZES |
                   GATEWIRE_TAKES_COVERS | (o->debuggers ? GATEWIRE_DEBUGGERS : 0));
    forward_signals();
    open_loop();
    return agent;
}

int main(int argc, char **argv)
{
    struct options o;
    int sock;
    options_parse(argc, argv, &o);
    pid_t agent = prepare(&o, &sock);
    if (o.status_fd >= 0)
        (void)!write(o.status_fd, "started\n", 8);
    if (send(sock, "", 1, MSG_NOSIGNAL) != 1)
        speak_cannot("the agent's process died", 0);
    close(sock);
    const char *why = supervise(agent);
    take_ends();
    close(listener); /* from here every exec fails */
    end_tree();
    scope_done();
    if (!why && tracer_obstacle() && WIFEXITED(tracer_status())) {
        speak(tracer_obstacle(), "");
        return SPEAK_EXIT_CANNOT;
    }
    if (why) {
        speak("the governed tree was ended: ", why);
        return SPEAK_EXIT_CANNOT;
    }
    (void)talk_flush_late();
    (void)talk_flush();
    last_words(o.status_fd, tracer_status());
    return leave_as(tracer_status());
}
