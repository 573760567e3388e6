/* SPDX-License-Identifier: MIT */
/* The modes are kept by a process of its own as well (the keeper): when we are killed it sees our
 * end of a pipe close and puts them back, unless somebody has changed them since: a shell that had
 * its turn first reads its next line with modes of its own. */
#include "cli/run-screen.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"

#define CHUNK 16384

struct flow {
    char data[CHUNK];
    size_t at, len;
};

struct run_screen {
    int real, other;                 /* owned; -1 none */
    struct termios modes, raw_modes; /* as they were, as we make them */
    struct flow in, out;
    bool raw, paused;
    pid_t keeper;
    int keeper_pipe; /* owned */
};

int run_screen_fd(const struct run_screen *s)
{
    return s->real;
}

/* ---- the keeper ---- */

static bool same_modes(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag;
}

static _Noreturn void keep(const struct run_screen *s, int pipe_end)
{
    char byte;
    struct termios now;
    sigset_t all;
    (void)setpgid(0, 0); /* what ends our group does not end it */
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL); /* TTOU too: it writes from the background */
    int high = fcntl(pipe_end, F_DUPFD_CLOEXEC, 8), terminal = fcntl(s->real, F_DUPFD_CLOEXEC, 8);
    (void)dup2(high, 0);
    (void)dup2(terminal, 1);
    (void)syscall(SYS_close_range, 2, ~0U, 0);
    /* A byte means that we left as we should and have put the modes back ourselves. */
    if (read(0, &byte, 1) == 0 && tcgetattr(1, &now) == 0 && same_modes(&now, &s->raw_modes))
        (void)tcsetattr(1, TCSADRAIN, &s->modes);
    _exit(0);
}

static int start_keeper(struct run_screen *s, struct err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, -errno, "cannot keep the terminal's modes");
    s->keeper = fork();
    if (s->keeper == 0) {
        close(ends[1]);
        keep(s, ends[0]);
    }
    close(ends[0]);
    s->keeper_pipe = ends[1];
    return s->keeper < 0 ? err_errno(err, -errno, "cannot keep the terminal's modes") : 0;
}

static void end_keeper(struct run_screen *s)
{
    if (s->keeper <= 0)
        return;
    (void)!write(s->keeper_pipe, "", 1);
    (void)waitpid(s->keeper, NULL, 0);
}

/* ---- modes ---- */

static bool in_foreground(const struct run_screen *s)
{
    pid_t group = tcgetpgrp(s->real);
    /* A terminal that is not the controlling one ("su -c" takes that away) has no background. */
    return group == getpgrp() || (group < 0 && errno == ENOTTY);
}

static void make_raw(struct run_screen *s)
{
    if (!in_foreground(s))
        return; /* a job in the background leaves the terminal alone */
    if (tcsetattr(s->real, TCSADRAIN, &s->raw_modes) == 0)
        s->raw = true;
}

static void make_usual(struct run_screen *s)
{
    if (s->raw)
        (void)tcsetattr(s->real, TCSADRAIN, &s->modes);
    s->raw = false;
}

/* ---- life ---- */

struct run_screen *run_screen_new(bool std_at[3])
{
    int found = -1;
    for (int i = 0; i < 3; i++) {
        std_at[i] = isatty(i);
        if (std_at[i] && found < 0)
            found = i;
    }
    if (found < 0)
        return NULL;
    struct run_screen *s = mem_new(struct run_screen);
    *s = (struct run_screen){.real = -1, .other = -1, .keeper_pipe = -1};
    /* The one that is typed at, also when only the output is a terminal. */
    s->real = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (s->real < 0)
        s->real = fcntl(found, F_DUPFD_CLOEXEC, 3);
    if (s->real < 0 || tcgetattr(s->real, &s->modes) < 0)
        return run_screen_free(s);
    s->raw_modes = s->modes;
    cfmakeraw(&s->raw_modes);
    return s;
}

struct run_screen *run_screen_free(struct run_screen *s)
{
    if (!s)
        return NULL;
    make_usual(s);
    end_keeper(s);
    cleanup_close(&s->keeper_pipe);
    cleanup_close(&s->real);
    cleanup_close(&s->other);
    free(s);
    return NULL;
}

int run_screen_start(struct run_screen *s, int other, struct err *err)
{
    s->other = other;
    int r = fd_set_nonblock(other);
    if (r < 0)
        return err_errno(err, r, "the agent's terminal");
    r = start_keeper(s, err);
    if (r == 0)
        make_raw(s);
    return r;
}

/* ---- the relay ---- */

void run_screen_poll(const struct run_screen *s, struct run_screen_poll *ret)
{
    *ret = (struct run_screen_poll){.real = -1, .other = -1};
    if (s->other < 0 || s->paused)
        return;
    ret->other_events = (short)((s->out.len ? 0 : POLLIN) | (s->in.len ? POLLOUT : 0));
    ret->real_events = (short)((s->raw && !s->in.len ? POLLIN : 0) | (s->out.len ? POLLOUT : 0));
    ret->other = ret->other_events ? s->other : -1;
    ret->real = ret->real_events ? s->real : -1;
}

/* 1 moved or nothing to do, 0 the end, negative errno. */
static int fill(int fd, struct flow *f)
{
    if (f->len > 0)
        return 1;
    ssize_t n = read(fd, f->data, sizeof(f->data));
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 1 : -errno;
    f->at = 0;
    f->len = (size_t)n;
    return n > 0;
}

static void empty(int fd, struct flow *f)
{
    if (f->len == 0)
        return;
    ssize_t n = write(fd, f->data + f->at, f->len);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        n = (ssize_t)f->len; /* nobody looks any more */
    if (n > 0) {
        f->at += (size_t)n;
        f->len -= (size_t)n;
    }
}

bool run_screen_move(struct run_screen *s, short real, short other)
{
    bool going = true;
    if (real & (POLLIN | POLLHUP | POLLERR)) {
        if (fill(s->real, &s->in) <= 0)
            s->raw = false; /* it hung up: nothing is typed any more */
    }
    if (other & (POLLIN | POLLHUP | POLLERR))
        going = fill(s->other, &s->out) > 0; /* EIO: the last that held it has closed it */
    if (s->in.len)
        empty(s->other, &s->in);
    if (s->out.len)
        empty(s->real, &s->out);
    return going;
}

void run_screen_drain(struct run_screen *s)
{
    struct pollfd p = {.fd = s->other, .events = POLLIN};
    s->paused = false;
    while (s->out.len || (poll(&p, 1, 0) > 0 && fill(s->other, &s->out) > 0 && s->out.len))
        empty(s->real, &s->out);
}

void run_screen_resize(struct run_screen *s)
{
    struct winsize size;
    if (s->other >= 0 && ioctl(s->real, TIOCGWINSZ, &size) == 0)
        (void)ioctl(s->other, TIOCSWINSZ, &size);
    if (!s->paused && !s->raw)
        make_raw(s); /* back in the foreground */
}

void run_screen_pause(struct run_screen *s)
{
    s->paused = true;
    make_usual(s);
}

/* A full-screen program draws itself anew when its size changes: twice, because a size that stays
 * the same is no news. */
void run_screen_resume(struct run_screen *s)
{
    struct winsize size;
    s->paused = false;
    make_raw(s);
    if (s->other >= 0 && ioctl(s->real, TIOCGWINSZ, &size) == 0 && size.ws_row > 1) {
        struct winsize smaller = size;
        smaller.ws_row--;
        (void)ioctl(s->other, TIOCSWINSZ, &smaller);
        (void)ioctl(s->other, TIOCSWINSZ, &size);
    }
}
