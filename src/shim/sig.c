/* SPDX-License-Identifier: MIT */
#include "shim/sig.h"

#include <errno.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "wire/v2.h"

/* Written by the handler, which runs only inside sig_poll(). */
static volatile uint32_t sig_seen;
static sigset_t sig_inherited; /* the mask that we were started with */
static void (*sig_restore)(void);

static void note(int signo)
{
    sig_seen |= SIG_BIT(signo);
}

static bool ignored(int signo)
{
    struct sigaction old;

    return sigaction(signo, NULL, &old) == 0 && old.sa_handler == SIG_IGN;
}

void sig_start(void)
{
    struct sigaction sa = {.sa_handler = note};
    sigset_t ours;

    sigemptyset(&ours);
    for (int s = 1; s < 32; s++) {
        if (v2_signal_ok((uint32_t)s) && (s == SIGCONT || s == SIGWINCH || !ignored(s)))
            sigaddset(&ours, s);
    }
    (void)sigprocmask(SIG_BLOCK, &ours, &sig_inherited);
    sa.sa_mask = ours; /* the handler is never inside itself */
    for (int s = 1; s < 32; s++) {
        if (sigismember(&ours, s) == 1)
            (void)sigaction(s, &sa, NULL);
    }
    /* A parent that blocked SIGCONT must not take job control from the command. */
    sigdelset(&sig_inherited, SIGCONT);
}

int sig_poll(struct pollfd *p, nfds_t n, int timeout_ms, uint32_t *ret_seen)
{
    struct timespec t = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms % 1000 * 1000000L};
    int r;

    if (sig_seen) /* by sig_again() */
        t = (struct timespec){0, 0};
    r = ppoll(p, n, timeout_ms < 0 && !sig_seen ? NULL : &t, &sig_inherited);

    if (r < 0) {
        for (nfds_t i = 0; i < n; i++)
            p[i].revents = 0;
    }
    *ret_seen = sig_seen;
    sig_seen = 0;
    return r;
}

void sig_again(uint32_t seen)
{
    sig_seen |= seen; /* outside of sig_poll() the handler does not run */
}

static void end_by(int signo)
{
    if (sig_restore)
        sig_restore();
    sig_die(signo);
    _exit(128 + signo);
}

void sig_guard(void (*restore)(void))
{
    struct sigaction sa = {.sa_handler = end_by};

    sig_restore = restore;
    sigfillset(&sa.sa_mask);
    for (int s = 1; s < _NSIG; s++) {
        struct sigaction old;

        if (s == SIGCHLD || s == SIGURG || s == SIGTTIN || s == SIGTTOU ||
            v2_signal_ok((uint32_t)s))
            continue;
        if (sigaction(s, NULL, &old) == 0 && old.sa_handler == SIG_DFL)
            (void)sigaction(s, &sa, NULL); /* KILL, STOP and the libc's own refuse */
    }
}

bool sig_stop(int signo, bool group)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL}, old = {.sa_handler = SIG_DFL};
    bool changed = !ignored(signo) && sigaction(signo, &dfl, &old) == 0;
    sigset_t one, before, pending;

    sigemptyset(&one);
    sigaddset(&one, signo);
    (void)sigprocmask(SIG_UNBLOCK, &one, &before);
    (void)kill(group ? 0 : getpid(), signo);
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    if (changed)
        (void)sigaction(signo, &old, NULL);
    /* SIGCONT is blocked here: pending means that we stopped and somebody continued us. */
    return sigpending(&pending) == 0 && sigismember(&pending, SIGCONT) == 1;
}

void sig_die(int signo)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    struct rlimit none = {0, 0};
    sigset_t one;

    if (signo < 1 || signo >= _NSIG || signo == SIGSTOP || signo == SIGTSTP || signo == SIGTTIN ||
        signo == SIGTTOU)
        return;
    /* The core would be ours, not the command's. The limit alone does not hold back a core that
     * is piped to a collector. */
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)sigaction(signo, &dfl, NULL);
    sigemptyset(&one);
    sigaddset(&one, signo);
    (void)sigprocmask(SIG_UNBLOCK, &one, NULL);
    (void)kill(getpid(), signo);
}
