/* SPDX-License-Identifier: MIT */
/* clawrden-gate: starts an agent and stands above it for ever. Every program that starts anywhere
 * in the tree stops before its first instruction until the warden has judged it. When anything is
 * in doubt (the warden goes, the accounts do not add up), the tree ends. */
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

#include "gate/clock.h"
#include "gate/facts.h"
#include "gate/filter.h"
#include "gate/finders.h"
#include "gate/procfs.h"
#include "gate/talk.h"
#include "gate/tracer.h"
#include "gate/uapi.h"
#include "gate/verdict.h"
#include "gate/wall.h"
#include "mirror/phrase.h"

enum { EXIT_CANNOT = 125 };
#define WELCOME_MS 30000
#define END_MS 10000 /* for the tree to die when it is killed */
#define EVENTS 64
#define SOCKET_DEFAULT "/var/run/clawrden/warden.sock"

struct options {
    const char *socket;
    int fd, status_fd;
    enum wall_mode wall;
    const char *walled; /* the person's path, NULL: no walls were built */
    char **command;
};

/* What the child tells before it waits for the go-ahead. */
struct report {
    int error; /* of the filter, negative errno */
    uint32_t wall;
};

static int epoll = -1, signals = -1, listener = -1;
static bool listening; /* the listener is polled */

/* ---- words ---- */

static void say(const char *a, const char *b)
{
    char text[1024];
    struct phrase p = PHRASE(text);
    text[0] = 0;
    phrase_add(&p, "clawrden: ");
    phrase_add(&p, a);
    phrase_add(&p, b);
    phrase_add(&p, "\n");
    (void)!write(2, text, strlen(text));
}

static void say_errno(const char *a, int error)
{
    char text[256];
    struct phrase p = PHRASE(text);
    text[0] = 0;
    phrase_add(&p, a);
    phrase_add(&p, ": ");
    phrase_add_errno(&p, error < 0 ? -error : error);
    say(text, "");
}

_Noreturn static void cannot(const char *a, int error)
{
    if (error)
        say_errno(a, error);
    else
        say(a, "");
    exit(EXIT_CANNOT);
}

/* ---- options ---- */

static const char usage[] =
    "usage: clawrden-gate [--socket PATH | --fd N] [--status-fd N] [--wall auto|landlock|none] "
    "[--walled DIRS] "
    "[--] COMMAND [ARGUMENT...]\n"
    "       clawrden-gate exec [--] COMMAND [ARGUMENT...]\n"
    "Starts COMMAND; every program that starts in its tree waits until the warden has judged it.\n"
    "  --socket PATH    the warden's socket; default: CLAWRDEN_SOCKET, else " SOCKET_DEFAULT "\n"
    "  --fd N           an inherited socket that is connected to the warden\n"
    "  --status-fd N    gets a line when the agent was started, and one when it has ended\n"
    "  --wall MODE      how the memory of what waits is protected; see clawrden-gate(8)\n"
    "  --walled DIRS    given by clawrden run: what is mounted read-only cannot be written; A:B\n"
    "                   are directories whose programs go by their names\n"
    "See clawrden-gate(8).\n";

static int number(const char *text)
{
    const char *end;
    if (!text || text[0] < '0' || text[0] > '9')
        return -1;
    uint64_t n = phrase_number(text, &end);
    return *end || n > 1u << 20 ? -1 : (int)n;
}

static bool take_wall(const char *text, enum wall_mode *ret)
{
    static const char *const names[] = {"auto", "landlock", "none"};
    for (size_t i = 0; text && i < sizeof(names) / sizeof(names[0]); i++)
        if (strcmp(text, names[i]) == 0) {
            *ret = (enum wall_mode)i;
            return true;
        }
    return false;
}

static bool take_option(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "--socket") == 0)
        return (o->socket = value) != NULL;
    if (strcmp(name, "--fd") == 0)
        return (o->fd = number(value)) >= 0;
    if (strcmp(name, "--status-fd") == 0)
        return (o->status_fd = number(value)) >= 0;
    if (strcmp(name, "--wall") == 0)
        return take_wall(value, &o->wall);
    if (strcmp(name, "--walled") == 0)
        return (o->walled = value) != NULL;
    return false;
}

static void parse(int argc, char **argv, struct options *o)
{
    int i = 1;
    *o = (struct options){.fd = -1, .status_fd = -1};
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)!write(1, "clawrden-gate " CLAWRDEN_VERSION "\n",
                     sizeof("clawrden-gate " CLAWRDEN_VERSION "\n") - 1);
        exit(0);
    }
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        (void)!write(1, usage, sizeof(usage) - 1);
        exit(0);
    }
    if (i < argc && strcmp(argv[i], "exec") == 0)
        i++; /* the same for a command that is put beside a governed agent */
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
        if (argv[i][2] == 0) {
            i++;
            break;
        }
        if (!take_option(o, argv[i], i + 1 < argc ? argv[i + 1] : NULL)) {
            say("not an option, or not a value for it: ", argv[i]);
            (void)!write(2, usage, sizeof(usage) - 1);
            exit(EXIT_CANNOT);
        }
    }
    o->command = argv + i;
    if (i >= argc || (o->socket && o->fd >= 0)) {
        say(i >= argc ? "a command is missing" : "either --socket or --fd, not both", "");
        (void)!write(2, usage, sizeof(usage) - 1);
        exit(EXIT_CANNOT);
    }
    if (!o->socket && o->fd < 0) {
        o->socket = getenv("CLAWRDEN_SOCKET");
        if (!o->socket || !o->socket[0])
            o->socket = SOCKET_DEFAULT;
    }
}

/* ---- the child ---- */

/* Everything of ours is close-on-exec; the disposition and mask of signals are those that we got.
 */
_Noreturn static void become_agent(int sock, const struct options *o, const sigset_t *mask)
{
    struct report r = {.error = 0};
    char go;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        r.error = -errno;
    if (r.error == 0)
        r.wall = wall_raise(o->wall);
    int fd = r.error == 0 ? filter_install() : r.error;
    if (fd < 0)
        r.error = fd;
    if (talk_sendmsg(sock, &r, sizeof(r), fd, 0) < 0 || r.error < 0)
        _exit(EXIT_CANNOT);
    close(fd);
    if (recv(sock, &go, 1, 0) != 1)
        _exit(EXIT_CANNOT);
    (void)prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0);
    (void)sigprocmask(SIG_SETMASK, mask, NULL);
    execvp(o->command[0], o->command);
    int error = errno;
    say(o->command[0], error == ENOENT ? ": not found" : ": cannot be executed");
    _exit(error == ENOENT ? 127 : 126);
}

static int receive_listener(int sock, struct report *ret)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec iov = {.iov_base = ret, .iov_len = sizeof(*ret)};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof(control)};
    int fd = -1;
    if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) != (ssize_t)sizeof(*ret))
        return -EPIPE;
    if (ret->error < 0)
        return ret->error;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return -EPROTO;
    memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    return fd;
}

/* ---- the warden ---- */

static const char *flaw_words(uint32_t wall)
{
    if (wall & GATEWIRE_WALL_MEMORY)
        return "";
    return "the memory of a program that waits can be written by others of the tree (/proc is "
           "writable and Landlock is not to be had): nothing can be held for a person";
}

static int say_hello(uint32_t wall)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    const struct gatewire_hello m = {.version = GATEWIRE_VERSION,
                                     .flags = wall | (getpid() == 1 ? GATEWIRE_TREE_PID1 : 0),
                                     .words = flaw_words(wall)};
    size_t n = gatewire_hello_encode(&m, body, size);
    int r = talk_magic();
    return r < 0 ? r : talk_send(GATEWIRE_HELLO, n, -1);
}

static void print_refusal(const uint8_t *body, size_t len)
{
    char text[GATEWIRE_TEXT_MAX + 1];
    if (len > GATEWIRE_TEXT_MAX)
        len = GATEWIRE_TEXT_MAX;
    memcpy(text, body, len);
    text[len] = 0;
    char safe[GATEWIRE_TEXT_MAX + 1];
    struct phrase p = PHRASE(safe);
    safe[0] = 0;
    phrase_add_safe(&p, text);
    say("the warden refuses this gate: ", safe);
}

static bool take_welcome(const struct gatewire_head *h, const uint8_t *body)
{
    struct gatewire_welcome m;
    if (h->type != GATEWIRE_WELCOME || gatewire_welcome_decode(body, h->len, &m) < 0 ||
        m.version != GATEWIRE_VERSION)
        return false;
    tracer_search(&m.search);
    return true;
}

static void wait_for_welcome(void)
{
    uint64_t until = clock_ms() + WELCOME_MS;
    struct gatewire_head h;
    const uint8_t *body;
    for (uint64_t now; (now = clock_ms()) < until;) {
        struct pollfd p = {.fd = talk_fd(),
                           .events = POLLIN | (talk_wants_to_write() ? POLLOUT : 0)};
        if (poll(&p, 1, (int)(until - now)) < 0 && errno != EINTR)
            break;
        int r = talk_flush();
        if (r == 0)
            r = talk_read();
        if (talk_next(&h, &body)) {
            if (h.type == GATEWIRE_REFUSED) {
                print_refusal(body, h.len);
                exit(EXIT_CANNOT);
            }
            if (take_welcome(&h, body))
                return;
            cannot("the warden speaks another protocol", 0);
        }
        if (r < 0)
            cannot("the warden hung up", 0);
    }
    cannot("the warden did not answer within 30 s", 0);
}

/* ---- the loop ---- */

enum { KIND_SIGNALS = 1, KIND_LISTENER, KIND_TALK, KIND_FINDER, KIND_JOB };
#define TAG(kind, value) ((uint64_t)(kind) << 56 | (uint64_t)(value))

static int watch(int fd, uint32_t events, uint64_t tag)
{
    struct epoll_event e = {.events = events, .data = {.u64 = tag}};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) == 0)
        return 0;
    return errno == EEXIST && epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e) == 0 ? 0 : -errno;
}

static int watch_job(int pidfd, uint64_t job)
{
    return watch(pidfd, EPOLLIN | EPOLLONESHOT, TAG(KIND_JOB, job));
}

/* Finders come and go; their sockets are few. */
static void watch_finders(void)
{
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders_fd(i) >= 0)
            (void)watch(finders_fd(i), EPOLLIN, TAG(KIND_FINDER, i));
}

static void arm(void)
{
    static bool writing;
    bool can = tracer_can_take();
    if (can != listening) {
        listening = can;
        struct epoll_event e = {.events = can ? EPOLLIN : 0,
                                .data = {.u64 = TAG(KIND_LISTENER, 0)}};
        (void)epoll_ctl(epoll, EPOLL_CTL_MOD, listener, &e);
    }
    if (talk_wants_to_write() != writing) {
        writing = !writing;
        struct epoll_event e = {.events = EPOLLIN | (writing ? EPOLLOUT : 0),
                                .data = {.u64 = TAG(KIND_TALK, 0)}};
        (void)epoll_ctl(epoll, EPOLL_CTL_MOD, talk_fd(), &e);
    }
}

static void forward(pid_t agent, int signo)
{
    (void)kill(agent, signo);
}

static void read_signals(pid_t agent)
{
    struct signalfd_siginfo s;
    while (read(signals, &s, sizeof(s)) == (ssize_t)sizeof(s))
        if (s.ssi_signo != SIGCHLD)
            forward(agent, (int)s.ssi_signo);
}

static int hear_warden(uint32_t events, const char **ret_why)
{
    struct gatewire_head h;
    const uint8_t *body;
    int r = talk_flush(), read_error = 0;
    if (r == 0 && (events & ~(uint32_t)EPOLLOUT))
        read_error = talk_read();
    while (r == 0 && talk_next(&h, &body))
        if (!take_welcome(&h, body))
            r = verdict_answer(&h, body, ret_why);
    if (r == 0)
        r = read_error;
    if (r < 0 && !*ret_why)
        *ret_why = "the warden is gone";
    return r;
}

static int dispatch(const struct epoll_event *e, pid_t agent, const char **ret_why)
{
    uint64_t value = e->data.u64 & ~(0xffull << 56);
    switch (e->data.u64 >> 56) {
    case KIND_SIGNALS:
        read_signals(agent);
        return 0;
    case KIND_LISTENER:
        return (e->events & EPOLLIN) && tracer_can_take() ? tracer_notified(ret_why) : 0;
    case KIND_TALK:
        return hear_warden(e->events, ret_why);
    case KIND_FINDER:
        tracer_finder((int)value);
        return 0;
    case KIND_JOB:
        tracer_ended(value);
        return 0;
    default:
        return 0;
    }
}

static int timeout_ms(void)
{
    uint64_t next = tracer_next(), now = clock_ms();
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
        tracer_tick(clock_ms());
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
            say("some of the tree did not die within 10 s of SIGKILL", "");
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

static const int forwarded[] = {SIGTERM, SIGHUP, SIGWINCH, SIGUSR1, SIGUSR2, SIGCONT, SIGALRM};
static const int ignored[] = {SIGINT, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};

static void set_signals(sigset_t *ret_before)
{
    sigset_t s;
    sigemptyset(&s);
    sigaddset(&s, SIGCHLD);
    for (size_t i = 0; i < sizeof(forwarded) / sizeof(forwarded[0]); i++)
        sigaddset(&s, forwarded[i]);
    (void)sigprocmask(SIG_BLOCK, &s, ret_before);
    signals = signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
    (void)signal(SIGCHLD, SIG_DFL); /* an inherited SIG_IGN would make the kernel reap for us */
}

static void more_files(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static pid_t start_child(const struct options *o, const sigset_t *mask, int *ret_sock)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        cannot("cannot make a socket", errno);
    pid_t pid = fork();
    if (pid < 0)
        cannot("cannot start a process", errno);
    if (pid == 0) {
        close(pair[0]);
        close(talk_fd());
        if (o->status_fd >= 0)
            close(o->status_fd);
        become_agent(pair[1], o, mask);
    }
    close(pair[1]);
    *ret_sock = pair[0];
    return pid;
}

/* The child may be traced by us only as long as it was forked dumpable; from here on nobody of our
 * user may look into us. */
static void shut_us(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

static void say_filter(int error)
{
    if (error == -EBUSY)
        cannot("another gate stands above this one already (one seccomp listener a tree): start it "
               "outside",
               0);
    if (error == -EINVAL || error == -ENOSYS)
        cannot("this kernel has no seccomp user notification; Linux 5.14 or newer is needed", 0);
    cannot("cannot install the filter", error);
}

static void connect_warden(const struct options *o)
{
    int fd = o->fd >= 0 ? o->fd : talk_connect(o->socket);
    if (fd < 0) {
        char text[256];
        struct phrase p = PHRASE(text);
        text[0] = 0;
        phrase_add(&p, "cannot reach the warden at ");
        phrase_add_safe(&p, o->socket);
        cannot(text, -fd);
    }
    if (talk_init(fd) < 0)
        cannot("--fd is not a connected stream socket", 0);
}

static void open_loop(void)
{
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || signals < 0 || watch(signals, EPOLLIN, TAG(KIND_SIGNALS, 0)) < 0 ||
        watch(listener, EPOLLIN, TAG(KIND_LISTENER, 0)) < 0 ||
        watch(talk_fd(), EPOLLIN, TAG(KIND_TALK, 0)) < 0)
        cannot("cannot make an event loop", errno);
    listening = true;
    tracer_watch = watch_job;
}

int main(int argc, char **argv)
{
    struct options o;
    struct report report;
    sigset_t mask;
    int sock, r;
    parse(argc, argv, &o);
    if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
        cannot("cannot become the reaper of the tree", errno);
    connect_warden(&o);
    if (o.status_fd >= 0)
        (void)fcntl(o.status_fd, F_SETFD, FD_CLOEXEC);
    set_signals(&mask);
    pid_t agent = start_child(&o, &mask, &sock);
    shut_us();
    more_files();
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    listener = receive_listener(sock, &report);
    if (listener < 0)
        say_filter(listener);
    if (o.walled)
        facts_walled(o.walled);
    if ((r = finders_init()) < 0)
        cannot(r == -ENOTSUP ? "/proc is not the kernel's" : "cannot look at /proc", r);
    tracer_init(listener, agent);
    if (say_hello(report.wall) < 0)
        cannot("the warden hung up", 0);
    wait_for_welcome();
    open_loop();
    if (o.status_fd >= 0)
        (void)!write(o.status_fd, "started\n", 8);
    if (send(sock, "", 1, MSG_NOSIGNAL) != 1)
        cannot("the agent's process died", 0);
    close(sock);
    const char *why = supervise(agent);
    close(listener); /* from here every exec fails */
    end_tree();
    if (!why && tracer_obstacle() && WIFEXITED(tracer_status())) {
        say(tracer_obstacle(), "");
        return EXIT_CANNOT;
    }
    if (why) {
        say("the governed tree was ended: ", why);
        return EXIT_CANNOT;
    }
    (void)talk_flush();
    last_words(o.status_fd, tracer_status());
    return leave_as(tracer_status());
}
