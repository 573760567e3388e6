/* SPDX-License-Identifier: MIT */
#include "shim/hold.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shim/say.h"
#include "wire/bytes.h"

#define TICK_MS 500 /* how often the parent and the session leader are looked at */
/* A warden that restarts is away for a moment, and its socket with it; one that is not installed
 * has no directory either, and that is said at once. */
#define CONNECT_MS 1000
#define CROWDED_MS 10000   /* the queue of callers is full: it moves, or the warden is frozen */
#define RECONNECT_MS 60000 /* for a request that waits */
#define VERDICT_MS 60000   /* for the first answer, and past a deadline that was promised */

static const char nothing_ran[] = "nothing was run; see 'clawrden status' and the warden's log";

struct hold {
    struct shim *s;
    struct conn *c;
    bool waiting;     /* the warden said so: the request can be claimed after a restart */
    bool watching;    /* the watched descriptors below are set up */
    int leader_pidfd; /* -1: none, kill(2) is asked instead */
    unsigned lost_ms; /* spent without a warden since the last word from it */
    unsigned quiet_ms;
    unsigned limit_ms;    /* of quiet_ms; 0: none */
    struct pollfd out[2]; /* stdout and stderr, for their readers */
};

/* ---- has our caller given up? ---- */

/* A pipe without readers, a socket whose peer closed, a terminal that hung up. Other files report
 * errors that mean nothing here (sysfs does) and are not watched any more. */
static bool reader_gone(struct pollfd *p)
{
    struct stat st;

    if (!(p->revents & (POLLERR | POLLHUP)))
        return false;
    if (fstat(p->fd, &st) == 0) {
        if (S_ISFIFO(st.st_mode) && p->revents & POLLERR)
            return true;
        if (S_ISSOCK(st.st_mode))
            return true;
        if (S_ISCHR(st.st_mode) && p->revents & POLLHUP)
            return true;
    }
    p->fd = -1;
    return false;
}

/* A leader that is dead but not yet reaped still has its number: a pidfd sees it, kill does not. */
static bool leader_gone(const struct hold *h)
{
    struct pollfd p = {.fd = h->leader_pidfd, .events = POLLIN};

    if (h->s->leader <= 0 || h->s->leader == getpid())
        return false;
    if (h->leader_pidfd >= 0)
        return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
    return kill(h->s->leader, 0) < 0 && errno == ESRCH;
}

/* Agents give up without a word. What runs after that is a fault, so the request goes with them:
 * the close of the connection withdraws it. */
static void leave_if_abandoned(struct hold *h)
{
    if (reader_gone(&h->out[0]) || reader_gone(&h->out[1]) || getppid() != h->s->parent ||
        leader_gone(h))
        _exit(SHIM_EXIT_FAILED);
}

static void watch(struct hold *h)
{
    if (h->watching)
        return;
    h->watching = true;
    for (int i = 0; i < 2; i++) {
        int fd = STDOUT_FILENO + i;

        h->out[i] = (struct pollfd){.fd = (h->s->gone | h->s->closed) >> fd & 1 ? -1 : fd};
    }
    h->leader_pidfd = -1;
    if (h->s->leader > 0 && h->s->leader != getpid())
        h->leader_pidfd = (int)syscall(SYS_pidfd_open, h->s->leader, 0);
    leave_if_abandoned(h);
}

/* Waits for the connection (when there is one) or a sign that nobody waits for us; true: readable.
 * Before the warden asks a person, nothing is watched: the verdict comes at once, and a plain
 * command too would have started in `command | true`. */
static bool tick(struct hold *h, int ms)
{
    struct pollfd p[3] = {{.fd = h->c->fd, .events = POLLIN}};
    int r;

    if (h->watching) {
        p[1] = h->out[0];
        p[2] = h->out[1];
    }
    r = poll(p, h->watching ? 3 : 1, ms);
    if (h->watching) {
        h->out[0].revents = r > 0 ? p[1].revents : 0;
        h->out[1].revents = r > 0 ? p[2].revents : 0;
        leave_if_abandoned(h);
    }
    return r > 0 && p[0].revents;
}

/* ---- the warden's words ---- */

static void id_text(const uint8_t id[16], char out[37])
{
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        *out++ = "0123456789abcdef"[id[i] >> 4];
        *out++ = "0123456789abcdef"[id[i] & 15];
    }
    *out = 0;
}

/* "15m": as the policy writes it, rounded up. */
static const char *duration_text(uint32_t seconds, char out[16])
{
    uint32_t n = seconds < 120 ? seconds : (seconds - 1) / 60 + 1;
    size_t len = strlen(say_number(n, out));

    out[len] = seconds < 120 ? 's' : 'm';
    out[len + 1] = 0;
    return out;
}

/* A person at a terminal is told that we wait; an agent reads stderr as the tool's and is not. */
static void say_waiting(struct hold *h, const uint8_t *payload)
{
    char id[37], within[16];
    uint32_t seconds = bytes_get_u32(payload + 16);

    if (!(h->s->ttys >> STDERR_FILENO & 1) || h->waiting)
        return;
    id_text(payload, id);
    say_line(h->s->name, ": waits for a person's answer", seconds ? " for at most " : "",
             seconds ? duration_text(seconds, within) : "", " (request ", id,
             "); interrupt to withdraw it");
}

static void on_waiting(struct hold *h, const struct v2_head *m, const uint8_t *payload)
{
    struct v2_request *q = &h->s->request.head;
    uint32_t seconds;

    if (m->len < V2_WAITING_HEAD_SIZE)
        shim_fail(h->s, "wrong answer from the warden", NULL, nothing_ran);
    say_waiting(h, payload);
    seconds = bytes_get_u32(payload + 16);
    memcpy(q->claim, payload, sizeof(q->claim));
    q->flags |= V2_REQ_CLAIM;
    h->waiting = true;
    h->limit_ms = seconds > 0 && seconds < 4000000 ? seconds * 1000 + VERDICT_MS : 0;
    watch(h);
}

static _Noreturn void on_refused(struct hold *h, const struct v2_head *m, uint8_t *payload)
{
    uint32_t code;

    if (m->len < V2_REFUSED_HEAD_SIZE)
        shim_fail(h->s, "wrong answer from the warden", NULL, nothing_ran);
    code = bytes_get_u32(payload);
    (void)signal(SIGPIPE, SIG_IGN); /* the code counts, also when nobody reads the words */
    say_text((char *)payload + V2_REFUSED_HEAD_SIZE, m->len - V2_REFUSED_HEAD_SIZE);
    /* Zero would read as success of a command that did not run. */
    _exit(code >= 1 && code <= 255 ? (int)code : SHIM_EXIT_FAILED);
}

/* True: V2_GO. */
static bool on_message(struct hold *h, const struct v2_head *m, uint8_t *payload)
{
    h->lost_ms = h->quiet_ms = 0;
    switch (m->type) {
    case V2_WAITING:
        on_waiting(h, m, payload);
        return false;
    case V2_REFUSED:
        on_refused(h, m, payload);
    case V2_GO:
        if (m->len == V2_GO_SIZE)
            return true;
    }
    shim_fail(h->s, "wrong answer from the warden", NULL, nothing_ran);
}

/* ---- reaching it ---- */

static bool directory_there(const char *path)
{
    char dir[128];
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;

    if (len == 0)
        return true; /* the root, or a relative path: the current directory */
    if (len >= sizeof(dir))
        return false;
    memcpy(dir, path, len);
    dir[len] = 0;
    return access(dir, F_OK) == 0;
}

/* How long this failure may last, before it is believed. */
static unsigned patience(int r, const char *path)
{
    if (r == -EAGAIN)
        return CROWDED_MS;
    if (r == -ECONNREFUSED || (r == -ENOENT && directory_there(path)))
        return CONNECT_MS;
    return 0;
}

void hold_ask(struct shim *s, struct conn *c)
{
    unsigned spent = 0, nap = 5;
    int r;

    while ((r = conn_open(c, s->socket)) < 0 && spent < patience(r, s->socket)) {
        (void)poll(NULL, 0, (int)nap);
        spent += nap;
        nap = nap < 100 ? nap * 2 : 100;
    }
    if (r < 0) {
        char where[256];
        size_t len = strlen(s->socket);

        if (len >= sizeof(where))
            len = sizeof(where) - 1;
        memcpy(where, s->socket, len);
        where[len] = 0;
        say_line(s->name, ": cannot reach the warden at ", where, " (", say_errno(-r),
                 "): nothing was run; start clawrden-warden, or set CLAWRDEN_SOCKET to its socket");
        _exit(SHIM_EXIT_FAILED);
    }
    r = conn_send_request(c, &s->request);
    if (r == -E2BIG)
        shim_fail(s, "arguments and environment are too large for Clawrden", NULL,
                  "nothing was run; pass the data in a file or through stdin");
    /* Otherwise it hung up while we spoke, and may have said why before: hold_wait() reads on. */
}

/* Keeps the place of a request that waits; the warden knows it again by its own records. */
static void claim(struct hold *h)
{
    unsigned nap = 50;

    conn_close(h->c);
    while (h->lost_ms < RECONNECT_MS) {
        (void)tick(h, (int)nap);
        h->lost_ms += nap;
        nap = nap < TICK_MS ? nap * 2 : TICK_MS;
        if (conn_open(h->c, h->s->socket) == 0) {
            h->quiet_ms = 0;
            if (conn_send_request(h->c, &h->s->request) == 0)
                return;
            conn_close(h->c);
        }
    }
    shim_fail(h->s, "lost the warden while the command waited for an answer", NULL,
              "nothing was run; run it again once clawrden-warden is back");
}

void hold_wait(struct shim *s, struct conn *c)
{
    struct hold h = {.s = s, .c = c, .leader_pidfd = -1, .limit_ms = VERDICT_MS};
    struct v2_head m;
    uint8_t *payload;

    for (;;) {
        int r = conn_next(c, &m, &payload);

        if (r > 0) {
            if (on_message(&h, &m, payload))
                break;
        } else if (r == 0) {
            if (!tick(&h, TICK_MS) && h.limit_ms && (h.quiet_ms += TICK_MS) > h.limit_ms)
                shim_fail(s, "no answer from the warden", say_errno(ETIMEDOUT), nothing_ran);
        } else if (r == -EPIPE && h.waiting) {
            claim(&h);
        } else {
            shim_fail(s, "no verdict from the warden", say_errno(-r), nothing_ran);
        }
    }
    if (h.leader_pidfd >= 0)
        (void)close(h.leader_pidfd);
}
