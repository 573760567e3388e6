/* SPDX-License-Identifier: MIT */
#include "shim/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shim/sig.h"

/* Keys are held back until the command's side of the pty has a session, which makes signals of
 * them; it is looked for at this pace, so often. */
#define TTY_SESSION_MS 5
#define TTY_SESSION_TRIES 400

#define TTY_SETTLE_MS 100
#define TTY_SETTLE_TRIES 20

/* More than the kernel keeps for a pty; whoever writes past it after the command's end is a daemon
 * that it left behind. */
#define TTY_DRAIN_MAX (1u << 20)

/* ---- which terminal ---- */

static bool is_control(int fd)
{
    int n;

    return tcgetpgrp(fd) >= 0 && ioctl(fd, TIOCGPTN, &n) < 0; /* a master only looks like one */
}

static bool is_pipe(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode));
}

bool tty_is(const struct tty *t, int fd)
{
    struct stat st;

    if (t->control)
        return is_control(fd);
    return fstat(fd, &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == t->device;
}

/* A description of our own can be non-blocking without a change to the shell's. */
static int open_again(int stream)
{
    char path[] = "/proc/self/fd/N";
    int fd;

    path[sizeof(path) - 2] = (char)('0' + stream);
    fd = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 ? fd : fcntl(stream, F_DUPFD_CLOEXEC, 3);
}

/* Our controlling terminal, which a command may open whatever its streams are; without one the
 * first stream that is a terminal. */
static void choose(struct tty *t, unsigned ttys)
{
    struct stat st;

    t->fd = open("/dev/tty", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    t->control = t->fd >= 0;
    for (int fd = 2; fd >= 0; fd--) {
        if (!(ttys >> fd & 1))
            continue;
        t->control = t->control || is_control(fd); /* /dev/tty may be missing */
        if (fstat(fd, &st) == 0)
            t->device = st.st_rdev;
    }
    for (int fd = 2; fd >= 0; fd--) {
        if (!(ttys >> fd & 1) || !tty_is(t, fd))
            continue;
        t->slots |= 1u << fd;
        if (t->fd < 0)
            t->fd = open_again(fd);
    }
}

/* ---- the pty ---- */

static bool open_pty(struct tty *t)
{
    int unlock = 0;

    t->master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (t->master < 0)
        return false;
    if (ioctl(t->master, TIOCSPTLCK, &unlock) == 0)
        t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return t->slave >= 0;
}

void tty_close(struct tty *t)
{
    if (t->slave >= 0)
        (void)close(t->slave);
    if (t->master >= 0)
        (void)close(t->master);
    t->slave = t->master = -1;
}

bool tty_open(struct tty *t, unsigned ttys)
{
    t->master = t->slave = -1;
    choose(t, ttys);
    if (t->fd < 0 || !open_pty(t) || tcgetattr(t->fd, &t->user) < 0 ||
        tcsetattr(t->master, TCSANOW, &t->user) < 0) {
        tty_close(t);
        if (t->fd >= 0)
            (void)close(t->fd);
        t->fd = -1;
        return false;
    }
    tty_resize(t);
    t->shared = is_pipe(0) || is_pipe(1) || is_pipe(2);
    t->wants = t->control && t->slots && !t->shared;
    if (t->wants)
        (void)tty_take(t);
    return true;
}

/* ---- whose it is ---- */

bool tty_foreground(const struct tty *t)
{
    return t->fd >= 0 && (!t->control || tcgetpgrp(t->fd) == getpgrp());
}

static bool buf_write(struct tty_buf *b, int fd);

/* What was read from the pty is written in the modes that it was read for. Bounded, as a terminal
 * may be stopped. */
static void settle(struct tty *t)
{
    for (int i = 0; i < TTY_SETTLE_TRIES && t->out.start < t->out.end; i++) {
        struct pollfd p = {.fd = t->fd, .events = POLLOUT};

        if (poll(&p, 1, TTY_SETTLE_MS) > 0 && !buf_write(&t->out, t->fd))
            return;
    }
}

/* In raw mode, as another shim of this pipeline has put it. */
static bool is_raw(const struct termios *m)
{
    return !(m->c_lflag & (ECHO | ICANON | ISIG | IEXTEN)) && !(m->c_iflag & (ICRNL | IXON));
}

bool tty_take(struct tty *t)
{
    struct termios raw;

    if (t->raw)
        return true;
    if (!tty_foreground(t) || tcgetattr(t->fd, &t->user) < 0)
        return false;
    settle(t);
    /* The shell has put the terminal right for the job that it brings to the front; at a start in
     * the background the pty got the modes of the shell's own line editing. */
    if (t->master >= 0 && !is_raw(&t->user))
        (void)tcsetattr(t->master, TCSANOW, &t->user);
    raw = t->user;
    raw.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    if (!t->shared)
        raw.c_oflag &= ~(tcflag_t)OPOST;
    raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    raw.c_cflag = (raw.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    /* Should we lose the foreground before this call, it stops us by SIGTTOU, which is never
     * caught, and is done once somebody brings us back. */
    while (tcsetattr(t->fd, TCSANOW, &raw) < 0) {
        if (errno != EINTR)
            return false;
    }
    t->raw = true;
    t->wants = true;
    tty_resize(t);
    return true;
}

void tty_give(struct tty *t, bool as_left)
{
    struct termios now;

    if (!t->raw)
        return;
    t->raw = false;
    if (!as_left || t->master < 0 || tcgetattr(t->master, &now) < 0)
        now = t->user;
    /* Whoever took the foreground from us has set its own modes. */
    if (tty_foreground(t))
        (void)tcsetattr(t->fd, TCSANOW, &now);
}

void tty_resize(struct tty *t)
{
    struct winsize ws;

    if (t->master >= 0 && ioctl(t->fd, TIOCGWINSZ, &ws) == 0)
        (void)ioctl(t->master, TIOCSWINSZ, &ws);
}

/* ---- bytes ---- */

static bool transient(void)
{
    return errno == EAGAIN || errno == EINTR;
}

/* -1 with errno, 0 end, else bytes. There is room. */
static ssize_t buf_read(struct tty_buf *b, int fd)
{
    ssize_t n = read(fd, b->data + b->end, sizeof(b->data) - b->end);

    if (n > 0)
        b->end += (size_t)n;
    return n;
}

/* False: the other side is gone, and with it what was for it. */
static bool buf_write(struct tty_buf *b, int fd)
{
    ssize_t n = write(fd, b->data + b->start, b->end - b->start);
    bool there = n >= 0 || transient();

    if (n > 0)
        b->start += (size_t)n;
    if (!there || b->start == b->end)
        b->start = b->end = 0;
    return there;
}

/* The pty has put a carriage return before each newline; while the user's terminal will do so
 * again, one is taken out. In raw mode it does not, except for a member of a pipeline: there it
 * follows the pty, since the others write to it directly. */
static bool returns_doubled(struct tty *t)
{
    struct termios user, pty;

    if ((t->raw && !t->shared) || tcgetattr(t->fd, &user) < 0)
        return false;
    if (t->raw && tcgetattr(t->master, &pty) == 0 && user.c_oflag != pty.c_oflag) {
        user.c_oflag = pty.c_oflag;
        (void)tcsetattr(t->fd, TCSANOW, &user);
    }
    return (user.c_oflag & OPOST) && (user.c_oflag & ONLCR);
}

/* Takes the returns out of the last `n` bytes. One at the very end is held back until its successor
 * is known; read_pty() puts it in front again. */
static void strip_returns(struct tty *t, size_t n)
{
    struct tty_buf *b = &t->out;
    size_t to = b->end - n;

    for (size_t from = to; from < b->end; from++) {
        if (b->data[from] == '\r' && from + 1 == b->end)
            t->held_return = true;
        else if (b->data[from] != '\r' || b->data[from + 1] != '\n')
            b->data[to++] = b->data[from];
    }
    b->end = to;
    if (b->start == b->end)
        b->start = b->end = 0;
}

/* What read() says. There is room for two bytes. */
static ssize_t read_pty(struct tty *t)
{
    struct tty_buf *b = &t->out;
    size_t before = b->end;
    ssize_t n;

    if (t->held_return)
        b->data[b->end++] = '\r';
    n = buf_read(b, t->master);
    if (n <= 0)
        b->end = before; /* a held return stays held */
    else {
        t->held_return = false;
        if (returns_doubled(t))
            strip_returns(t, b->end - before);
    }
    return n;
}

static bool has_room(const struct tty_buf *b)
{
    return b->end + 1 < sizeof(b->data);
}

/* The user's terminal hung up. The command's must too: it then gets SIGHUP, end of file, EIO. */
static void lose_user(struct tty *t)
{
    t->raw = false;
    (void)close(t->fd);
    t->fd = -1;
    tty_close(t);
}

static void read_user(struct tty *t)
{
    ssize_t n = buf_read(&t->in, t->fd);

    if (n > 0 || (n < 0 && transient()))
        return;
    /* EIO is also the answer to the background of an orphaned group. */
    if (n < 0 && t->control && tcgetpgrp(t->fd) >= 0 && !tty_foreground(t))
        t->raw = false;
    else
        lose_user(t);
}

/* The helper takes the pty only after it was handed over: a Ctrl-C that came before would be lost.
 */
static bool has_session(struct tty *t)
{
    pid_t session;

    if (t->session_tries < TTY_SESSION_TRIES && ioctl(t->master, TIOCGSID, &session) < 0) {
        t->session_tries++;
        return false;
    }
    t->session_tries = TTY_SESSION_TRIES;
    return true;
}

int tty_patience(const struct tty *t)
{
    return t->raw && t->session_tries < TTY_SESSION_TRIES ? TTY_SESSION_MS : -1;
}

void tty_poll(struct tty *t, struct pollfd p[2])
{
    p[0] = (struct pollfd){.fd = -1};
    p[1] = (struct pollfd){.fd = -1};
    if (t->master < 0)
        return;
    if (t->raw && has_session(t) && has_room(&t->in))
        p[0].events |= POLLIN;
    if (t->out.start < t->out.end)
        p[0].events |= POLLOUT;
    if (has_room(&t->out))
        p[1].events |= POLLIN;
    if (t->in.start < t->in.end)
        p[1].events |= POLLOUT;
    if (p[0].events)
        p[0].fd = t->fd;
    if (p[1].events)
        p[1].fd = t->master;
}

void tty_relay(struct tty *t, const struct pollfd p[2])
{
    if (p[1].revents & POLLIN)
        (void)read_pty(t);
    if (p[1].revents & POLLOUT)
        (void)buf_write(&t->in, t->master);
    if (p[0].revents & (POLLOUT | POLLERR | POLLHUP) && t->out.start < t->out.end &&
        !buf_write(&t->out, t->fd)) {
        lose_user(t);
        return;
    }
    if (p[0].revents & (POLLIN | POLLERR | POLLHUP) && p[0].events & POLLIN)
        read_user(t);
}

/* Writes what is buffered; false: nobody reads it, or a deadly signal says to stop. */
static bool flush_user(struct tty *t)
{
    uint32_t seen = 0, now;
    bool there = true;

    while (there && t->out.start < t->out.end) {
        struct pollfd p = {.fd = t->fd, .events = POLLOUT};

        (void)sig_poll(&p, 1, -1, &now);
        seen |= now;
        if (seen & ~(SIG_BIT(SIGWINCH) | SIG_BIT(SIGCONT)))
            break;
        there = !p.revents || buf_write(&t->out, t->fd);
    }
    sig_again(seen); /* the command still runs, perhaps, and wants them */
    return there && t->out.start == t->out.end;
}

void tty_drain(struct tty *t)
{
    size_t total = 0;

    while (t->master >= 0 && flush_user(t) && total < TTY_DRAIN_MAX) {
        ssize_t n = read_pty(t);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break; /* EAGAIN: the kernel hands over all that was written before it says so */
        total += (size_t)n;
    }
    if (t->held_return) {
        t->held_return = false;
        t->out.data[t->out.end++] = '\r';
        (void)flush_user(t);
    }
}
