/* SPDX-License-Identifier: MIT */
#include "cli/run-loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

#define EARS_MS 2000 /* for a gate that has just been started to handle its signals */
#define STATUS_MAX 16384
#define GONE_MS 15000 /* for the tree to end once its warden is gone; then it is killed */

static const int passed_on[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT};

int run_loop_signals(void)
{
    sigset_t s;
    (void)sigemptyset(&s);
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++)
        (void)sigaddset(&s, passed_on[i]);
    (void)sigaddset(&s, SIGINT);
    (void)sigaddset(&s, SIGQUIT);
    (void)sigaddset(&s, SIGWINCH);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigprocmask(SIG_BLOCK, &s, NULL);
    return signalfd(-1, &s, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* The set of a line of /proc/PID/status. */
static unsigned long long set_of(const char *status, const char *key)
{
    const char *line = strstr(status, key);
    return line ? strtoull(line + strlen(key), NULL, 16) : 0;
}

static bool would_be_heard(pid_t pid, int signo)
{
    _cleanup_buf_ struct buf b = BUF_INIT(STATUS_MAX);
    struct err err;
    char path[32];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (fd_read_file(path, STATUS_MAX, &b, &err) < 0)
        return true; /* it is gone */
    unsigned long long sets = set_of(buf_str(&b), "\nSigBlk:") | set_of(buf_str(&b), "\nSigIgn:") |
                              set_of(buf_str(&b), "\nSigCgt:");
    return sets >> (signo - 1) & 1;
}

/* The gate is the first process of its namespace: until it handles a signal the kernel drops it. */
static void await_ears(pid_t pid, int signo)
{
    for (int ms = 0; ms < EARS_MS && !would_be_heard(pid, signo); ms++)
        (void)poll(NULL, 0, 1);
}

static void take_signals(struct run_loop *l)
{
    struct signalfd_siginfo s;
    while (read(l->signals, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
        int signo = (int)s.ssi_signo;
        if (l->screen && (signo == SIGWINCH || signo == SIGCONT))
            run_screen_resize(l->screen);
        /* The agent has no terminal then, and the gate leaves INT to those who have one. */
        if (signo == SIGINT || signo == SIGQUIT)
            signo = SIGTERM;
        if (signo == SIGWINCH)
            continue;
        await_ears(l->agent->pid, signo);
        (void)kill(l->agent->pid, signo);
    }
}

static void hear_ask(struct run_loop *l)
{
    switch (run_ask_hear(l->ask)) {
    case RUN_ASK_NOTHING:
        return;
    case RUN_ASK_PAUSE:
        run_screen_pause(l->screen);
        run_ask_go(l->ask);
        return;
    case RUN_ASK_RESUME:
        run_screen_resume(l->screen);
        return;
    case RUN_ASK_GONE: /* what waits can still be answered from elsewhere */
        cleanup_close(&l->ask->channel);
        l->ask->channel = -1;
        run_screen_resume(l->screen);
        return;
    }
}

/* Its status is taken by waitpid: it is our own child. */
static int reap(struct run_loop *l)
{
    int status = 0;
    pid_t r;
    while ((r = waitpid(l->agent->pid, &status, 0)) < 0 && errno == EINTR)
        ;
    l->agent->pid = 0;
    if (r < 0)
        return 125;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void end_without_warden(struct run_loop *l)
{
    struct pollfd p = {.fd = l->agent->pidfd, .events = POLLIN};
    if (poll(&p, 1, GONE_MS) <= 0)
        (void)kill(l->agent->pid, SIGKILL);
    (void)reap(l);
}

enum { AT_AGENT, AT_WARDEN, AT_SIGNALS, AT_ASK, AT_REAL, AT_OTHER, AT_COUNT };

static void gather(const struct run_loop *l, bool relaying, struct pollfd p[AT_COUNT])
{
    struct run_screen_poll s = {.real = -1, .other = -1};
    if (l->screen && relaying)
        run_screen_poll(l->screen, &s);
    p[AT_AGENT] = (struct pollfd){.fd = l->agent->pidfd, .events = POLLIN};
    p[AT_WARDEN] = (struct pollfd){.fd = l->warden, .events = POLLIN};
    p[AT_SIGNALS] = (struct pollfd){.fd = l->signals, .events = POLLIN};
    p[AT_ASK] = (struct pollfd){.fd = l->screen ? l->ask->channel : -1, .events = POLLIN};
    p[AT_REAL] = (struct pollfd){.fd = s.real, .events = s.real_events};
    p[AT_OTHER] = (struct pollfd){.fd = s.other, .events = s.other_events};
}

enum run_loop_end run_loop(struct run_loop *l, int *ret_code)
{
    struct pollfd p[AT_COUNT];
    bool relaying = true;
    for (;;) {
        gather(l, relaying, p);
        if (poll(p, AT_COUNT, -1) < 0)
            continue;
        if (p[AT_SIGNALS].revents)
            take_signals(l);
        if (p[AT_ASK].revents)
            hear_ask(l);
        if ((p[AT_REAL].revents || p[AT_OTHER].revents) &&
            !run_screen_move(l->screen, p[AT_REAL].revents, p[AT_OTHER].revents))
            relaying = false;
        if (p[AT_AGENT].revents) {
            if (l->screen)
                run_screen_drain(l->screen);
            *ret_code = reap(l);
            return RUN_LOOP_AGENT;
        }
        if (p[AT_WARDEN].revents) {
            end_without_warden(l);
            *ret_code = 125;
            return RUN_LOOP_WARDEN;
        }
    }
}
