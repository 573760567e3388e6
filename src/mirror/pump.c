/* SPDX-License-Identifier: MIT */
/* Two processes, so that neither direction waits for the other: this one carries the output, its
 * child the input. The engine's frames: u8 stream, three zero bytes, u32 length, the bytes. */
#include "mirror/pump.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

#include "mirror/compat.h"
#include "wire/bytes.h"

#define CHUNK (64u << 10)
#define FRAME_HEAD 8
#define ANSWER_MAX 4096 /* status line and headers */
#define ANSWER_MS 20000
#define LAST_MS 3000 /* for what is on its way when the command has ended */
#define TTY_AGAIN_MS 100

static struct pump pump;
static int process; /* as in pump; -1 when its end was seen */
static bool deaf[3];
static uint8_t chunk[CHUNK];

_Noreturn static void leave(enum pump_end end)
{
    _exit((int)end);
}

static void tell(enum pump_kind kind, unsigned short rows, unsigned short columns)
{
    struct pump_news n = {.kind = (unsigned char)kind, .rows = rows, .columns = columns};
    (void)!write(pump.news, &n, sizeof(n));
}

/* ---- the start ---- */

static void on_resized(int signo)
{
    struct winsize w;
    int err = errno;
    (void)signo;
    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &w) == 0)
        tell(PUMP_RESIZED, w.ws_row, w.ws_col);
    errno = err;
}

/* The terminal of the container does what a terminal does; ours only carries. */
static void make_raw(void)
{
    struct termios t;
    struct sigaction sa = {.sa_handler = on_resized, .sa_flags = SA_RESTART};
    sigset_t set;
    if (tcgetattr(STDIN_FILENO, &t) == 0) {
        t.c_iflag &=
            ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON | IXOFF);
        t.c_oflag &= ~(tcflag_t)OPOST;
        t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        t.c_cc[VMIN] = 1;
        t.c_cc[VTIME] = 0;
        (void)tcsetattr(STDIN_FILENO, TCSANOW, &t);
    }
    sigaction(SIGWINCH, &sa, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGWINCH);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    on_resized(0);
}

/* 0, 1, 2: the caller's; 3: the stream; 4: news; 5: the command. Nothing else. */
static void place(void)
{
    static const uint32_t closed[3] = {V2_FDS_CLOSED0, V2_FDS_CLOSED1, V2_FDS_CLOSED2};
    const struct child_plan *plan = pump.plan;
    int fds[CHILD_FDS_MAX], own[3] = {pump.stream, pump.news, pump.process};
    int conn = plan->conn < 0 ? -1 : fcntl(plan->conn, F_DUPFD_CLOEXEC, 16);
    for (int i = 0; i < 3; i++)
        own[i] = own[i] < 0 ? -1 : fcntl(own[i], F_DUPFD_CLOEXEC, 16);
    memcpy(fds, plan->fds, sizeof(plan->fds));
    if (conn >= 0 && child_take_fds(&plan->handover, conn, fds) < 0)
        leave(PUMP_NO_FDS);
    tell(PUMP_HAS_FDS, 0, 0);
    for (int i = 0; i < 3; i++) {
        deaf[i] = plan->handover.flags & closed[i];
        if (!deaf[i] && dup2(fds[i], i) < 0)
            leave(PUMP_NO_FDS);
    }
    for (int i = 0; i < 3; i++)
        if (own[i] >= 0 && dup2(own[i], 3 + i) < 0)
            leave(PUMP_NO_FDS);
    (void)syscall(SYS_close_range, own[2] >= 0 ? 6 : 5, ~0U, 0);
    pump.stream = 3;
    pump.news = 4;
    process = own[2] >= 0 ? 5 : -1;
}

/* Whatever a descriptor of the caller's may do with whoever uses it, it does as the caller. */
static void become(void)
{
    const struct helper_peer *who = &pump.plan->start->peer; /* ids of this host */
    if (pump.plan->root && (syscall(SYS_setgroups, 0, NULL) < 0 ||
                            syscall(SYS_setresgid, who->gid, who->gid, who->gid) < 0 ||
                            syscall(SYS_setresuid, who->uid, who->uid, who->uid) < 0))
        leave(PUMP_BROKEN);
    struct compat_cap_header head = {.version = COMPAT_CAP_VERSION_3};
    struct compat_cap_data none[2] = {{0}};
    if (syscall(SYS_capset, &head, none) < 0)
        leave(PUMP_BROKEN);
    (void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    if (getppid() == 1)
        leave(PUMP_BROKEN);
}

/* "HTTP/1.1 101 ..." up to the empty line, byte by byte: what follows is the command's. */
static void await_answer(void)
{
    char text[ANSWER_MAX] = "";
    size_t n = 0;
    while (n < 4 || memcmp(text + n - 4, "\r\n\r\n", 4) != 0) {
        struct pollfd p = {.fd = pump.stream, .events = POLLIN};
        if (n == sizeof(text) || poll(&p, 1, ANSWER_MS) <= 0)
            leave(PUMP_REFUSED);
        if (recv(pump.stream, text + n, 1, 0) != 1)
            leave(PUMP_REFUSED);
        n++;
    }
    /* 101: docker; 200: engines that do not call it an upgrade */
    if (n < 13 || memcmp(text, "HTTP/1.1 ", 9) != 0 ||
        (memcmp(text + 9, "101", 3) != 0 && memcmp(text + 9, "200", 3) != 0))
        leave(PUMP_REFUSED);
}

/* ---- input ---- */

static void wait_for(int fd, short events)
{
    struct pollfd p = {.fd = fd, .events = events};
    (void)poll(&p, 1, -1);
}

static bool send_all(const uint8_t *p, size_t n)
{
    while (n) {
        ssize_t k = send(pump.stream, p, n, MSG_NOSIGNAL);
        if (k < 0 && errno == EINTR)
            continue;
        if (k <= 0)
            return false;
        p += k;
        n -= (size_t)k;
    }
    return true;
}

_Noreturn static void carry_input(void)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    for (;;) {
        ssize_t n = deaf[0] ? 0 : read(STDIN_FILENO, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            wait_for(STDIN_FILENO, POLLIN);
            continue;
        }
        if (n < 0 && errno == EIO && pump.tty) { /* not in the foreground just now */
            (void)poll(NULL, 0, TTY_AGAIN_MS);
            continue;
        }
        if (n <= 0)
            break;
        if (!send_all(chunk, (size_t)n))
            leave(PUMP_FINE);
    }
    (void)shutdown(pump.stream, SHUT_WR);
    leave(PUMP_FINE);
}

/* ---- output ---- */

static void put(int fd, const uint8_t *p, size_t n)
{
    while (n && !deaf[fd]) {
        ssize_t k = write(fd, p, n);
        if (k > 0) {
            p += k;
            n -= (size_t)k;
        } else if (k < 0 && errno == EAGAIN) {
            wait_for(fd, POLLOUT);
        } else if (k < 0 && errno == EIO && pump.tty) {
            (void)poll(NULL, 0, TTY_AGAIN_MS);
        } else if (k == 0 || errno != EINTR) {
            deaf[fd] = true; /* nobody reads it any more */
            if (k < 0 && errno == EPIPE)
                tell(PUMP_NO_READER, 0, 0);
        }
    }
}

/* More of the stream; 0: its end. When the command has ended and the engine does not close it,
 * because what it left behind holds it open, we do not wait for that. */
static size_t get(void)
{
    for (;;) {
        struct pollfd p[2] = {{.fd = pump.stream, .events = POLLIN},
                              {.fd = process, .events = POLLIN}};
        int ready = poll(p, 2, process < 0 ? LAST_MS : -1);
        if (ready == 0)
            return 0;
        if (p[0].revents) {
            ssize_t n = recv(pump.stream, chunk, sizeof(chunk), MSG_DONTWAIT);
            if (n >= 0)
                return (size_t)n;
            if (errno != EAGAIN && errno != EINTR)
                return 0;
        }
        if (process >= 0 && (p[1].revents & POLLIN))
            process = -1;
    }
}

static void carry_frames(void)
{
    uint8_t head[FRAME_HEAD];
    size_t have = 0, n;
    uint32_t left = 0;
    while ((n = get()) > 0) {
        for (const uint8_t *p = chunk; n;) {
            if (left == 0) {
                head[have++] = *p++;
                n--;
                if (have == FRAME_HEAD) {
                    have = 0;
                    left = bytes_get_u32(head + 4);
                    if (head[0] > 2)
                        leave(PUMP_BROKEN);
                }
                continue;
            }
            size_t k = n < left ? n : left;
            put(head[0] == 2 ? STDERR_FILENO : STDOUT_FILENO, p, k);
            p += k;
            n -= k;
            left -= (uint32_t)k;
        }
    }
    if (have || left)
        leave(PUMP_BROKEN); /* cut in the middle */
}

static void carry_bytes(void)
{
    size_t n;
    while ((n = get()) > 0)
        put(STDOUT_FILENO, chunk, n);
}

/* It may have closed its outputs and go on. */
static void await_end(void)
{
    struct pollfd p = {.fd = process, .events = POLLIN};
    while (process >= 0 && poll(&p, 1, -1) < 0)
        ;
}

_Noreturn void pump_run(const struct pump *p)
{
    pump = *p;
    if (setpgid(0, 0) < 0 || (p->leads && tcsetpgrp(p->plan->slave, getpid()) < 0))
        leave(PUMP_BROKEN);
    place();
    become();
    await_answer();
    if (pump.tty)
        make_raw();
    pid_t input = fork();
    if (input < 0)
        leave(PUMP_BROKEN);
    if (input == 0)
        carry_input();
    if (pump.tty)
        carry_bytes();
    else
        carry_frames();
    await_end();
    (void)kill(input, SIGKILL);
    leave(PUMP_FINE);
}
