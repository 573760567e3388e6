/* SPDX-License-Identifier: MIT */
#include "shim/run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>

#include "shim/say.h"
#include "shim/sig.h"
#include "shim/tty.h"
#include "wire/bytes.h"

/* A command that is in the foreground already and still stops for the terminal has changed its
 * process group; it is helped at this pace. */
#define STUBBORN_MS 20

/* One command; here and not on the stack because a deadly signal must find the terminal. */
static struct tty run_tty;

struct run {
    struct shim *s;
    struct conn *c;
    bool forward_winch; /* it was not ignored when we were started */
};

static void restore_terminal(void)
{
    tty_give(&run_tty, false);
}

static _Noreturn void fail(struct run *r, const char *what, const char *why)
{
    (void)signal(SIGPIPE, SIG_IGN);
    restore_terminal();
    shim_fail(r->s, what, why,
              "the command was ended and may have done a part of its work; see the warden's log");
}

/* ---- to the helper ---- */

/* An error shows at the next read: an exit status may have come before the hang-up. */
static void tell(struct run *r, uint8_t type, uint32_t value)
{
    (void)conn_send_u32(r->c, type, value);
}

/* The command goes on; in front when the terminal is ours to give. */
static void resume(struct run *r)
{
    if (run_tty.master >= 0) {
        bool front = run_tty.wants && tty_take(&run_tty);

        if (!front)
            tty_resize(&run_tty);
        tell(r, V2_FOREGROUND, front);
    }
    tell(r, V2_SIGNAL, SIGCONT);
}

static void on_signals(struct run *r, uint32_t seen)
{
    if (seen & SIG_BIT(SIGWINCH))
        tty_resize(&run_tty);
    /* In front, the kernel tells the command by the pty. */
    if (run_tty.raw || !r->forward_winch)
        seen &= ~SIG_BIT(SIGWINCH);
    if (seen & SIG_BIT(SIGCONT))
        resume(r);
    seen &= ~SIG_BIT(SIGCONT);
    for (int s = 1; s < 32; s++) {
        if (seen >> s & 1)
            tell(r, V2_SIGNAL, (uint32_t)s);
    }
}

/* The descriptors, and what describes them. A pty that cannot be had (no devpts in this container)
 * leaves the terminal itself to the command: sizes and isatty work, job control not. */
static int lend_descriptors(struct run *r)
{
    int fds[4 + V2_FDS_MORE_MAX] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
    struct v2_fds f = {.more = r->s->more};
    bool pty = tty_open(&run_tty, r->s->ttys);
    uint32_t n = 3;

    for (int fd = 0; fd < 3; fd++) {
        if (r->s->closed >> fd & 1)
            f.flags |= V2_FDS_CLOSED0 << fd;
        if (pty && run_tty.slots >> fd & 1) {
            f.flags |= V2_FDS_PTY0 << fd;
            fds[fd] = run_tty.slave;
        }
    }
    if (pty) {
        sig_guard(restore_terminal);
        f.flags |= V2_FDS_PTY | (run_tty.raw ? V2_FDS_FOREGROUND : 0);
        fds[n++] = run_tty.slave;
    }
    for (unsigned i = 0; i < f.more; i++) {
        f.number[i] = r->s->inherited[i];
        fds[n++] = pty && tty_is(&run_tty, f.number[i]) ? run_tty.slave : f.number[i];
    }
    return conn_send_fds(r->c, &f, fds);
}

/* Who reads what we write, writes what we read, or waits for a lock must see when the command lets
 * go of it. Stderr stays for the words at the end. */
static void close_lent(const struct shim *s)
{
    (void)close(STDIN_FILENO);
    (void)close(STDOUT_FILENO);
    for (unsigned i = 0; i < s->more; i++)
        (void)close(s->inherited[i]);
}

/* ---- from the helper ---- */

/* The command stopped, so we stop, and the shell sees a stopped job. A terminal's stop is for the
 * whole job; what only met the command is for us alone. */
static void stop_with(struct run *r, int signo)
{
    bool for_terminal = signo == SIGTTIN || signo == SIGTTOU;
    bool group = for_terminal || (run_tty.raw && signo == SIGTSTP);

    if (run_tty.raw) {
        tty_drain(&run_tty);
        tty_give(&run_tty, true);
    }
    if (sig_stop(signo, group))
        return; /* and were continued: SIGCONT will be seen */
    if (for_terminal)
        /* Nobody will give us the terminal (an orphaned group). Going on would stop it again at
         * once, for ever. */
        (void)sig_stop(SIGSTOP, false);
    else
        resume(r); /* the plain command would not have stopped either */
}

static void on_stopped(struct run *r, uint32_t signo)
{
    if (signo != SIGTSTP && signo != SIGSTOP && signo != SIGTTIN && signo != SIGTTOU)
        fail(r, "wrong message from the helper", NULL);
    if ((signo == SIGTTIN || signo == SIGTTOU) && run_tty.master >= 0 && tty_foreground(&run_tty)) {
        if (run_tty.raw)
            (void)poll(NULL, 0, STUBBORN_MS);
        run_tty.wants = true;
        resume(r);
        return;
    }
    stop_with(r, (int)signo);
}

static _Noreturn void on_exit_message(struct run *r, const struct v2_head *m, uint8_t *payload)
{
    uint32_t kind = bytes_get_u32(payload), value = bytes_get_u32(payload + 4);

    if (run_tty.slave >= 0)
        (void)close(run_tty.slave);
    run_tty.slave = -1;
    tty_drain(&run_tty);
    tty_give(&run_tty, kind == V2_EXIT_CODE);
    (void)signal(SIGPIPE, SIG_IGN);
    say_text((char *)payload + V2_EXIT_HEAD_SIZE, m->len - V2_EXIT_HEAD_SIZE);
    if (kind == V2_EXIT_SIGNAL && value >= 1 && value <= 64) {
        sig_die((int)value);
        _exit(128 + (int)value);
    }
    if (kind == V2_EXIT_CODE && value <= 255)
        _exit((int)value);
    fail(r, "wrong message from the helper", NULL);
}

static void on_message(struct run *r, const struct v2_head *m, uint8_t *payload)
{
    if (m->type == V2_STOPPED && m->len == V2_STOPPED_SIZE)
        on_stopped(r, bytes_get_u32(payload));
    else if (m->type == V2_EXIT && m->len >= V2_EXIT_HEAD_SIZE)
        on_exit_message(r, m, payload);
    else
        fail(r, "wrong message from the helper", NULL);
}

static void read_messages(struct run *r)
{
    struct v2_head m;
    uint8_t *payload;
    int n;

    while ((n = conn_next(r->c, &m, &payload)) > 0)
        on_message(r, &m, payload);
    if (n < 0)
        fail(r, "lost the helper while the command ran", say_errno(-n));
}

void run_command(struct shim *s, struct conn *c)
{
    struct run r = {.s = s, .c = c};
    struct sigaction winch;
    struct pollfd p[3];
    uint32_t seen;

    r.forward_winch = sigaction(SIGWINCH, NULL, &winch) == 0 && winch.sa_handler != SIG_IGN;
    sig_start();
    (void)lend_descriptors(&r); /* a failure is a hang-up, seen below */
    close_lent(s);
    read_messages(&r);
    for (;;) {
        p[0] = (struct pollfd){.fd = c->fd, .events = POLLIN};
        tty_poll(&run_tty, p + 1);
        if (sig_poll(p, 3, tty_patience(&run_tty), &seen) < 0 && errno != EINTR)
            fail(&r, "cannot wait for the command", NULL);
        if (seen)
            on_signals(&r, seen);
        tty_relay(&run_tty, p + 1);
        if (p[0].revents)
            read_messages(&r);
    }
}
