/* SPDX-License-Identifier: MIT */
/* The job and the answer lie in memory that is shared with the finder, one region each; a packet
 * with the job's number and a length goes each way. */
#include "gate/finders.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/facts.h"
#include "wire/gatewire.h"

#define HALF (2ul << 20) /* 256 operands of 4 KiB, a search path, and what else there is */

struct finder {
    int sock; /* owned; -1: none */
    pid_t pid;
    uint8_t *shared; /* what is asked, then what is answered */
    uint64_t job;    /* 0: free */
    uint64_t due;    /* ms */
};

struct packet {
    uint64_t job;
    uint64_t len;
};

static struct finder finders[FINDERS_MAX];
static unsigned started;
static uint8_t answer[HALF];

/* ---- in the finder ---- */

static size_t serve(const uint8_t *in, size_t len, uint8_t *out)
{
    static uint8_t copy[HALF];
    struct facts_ask ask = {.pid = 0}; /* its /proc is read here */
    if (len > HALF)
        return 0;
    memcpy(copy, in, len);
    struct pack_reader r = {.p = copy, .len = len};
    ask.pid = (pid_t)pack_get_u32(&r);
    ask.execfn = pack_get_string(&r, GATEWIRE_STRING_MAX);
    pack_get_strings(&r, GATEWIRE_SEARCH_MAX, GATEWIRE_PATH_MAX, &ask.search);
    pack_get_strings(&r, GATEWIRE_OPERANDS_MAX, GATEWIRE_PATH_MAX, &ask.operands);
    if (pack_get_done(&r) < 0)
        return 0;
    size_t n = facts_find(&ask, out, HALF);
    return n > HALF ? 0 : n;
}

_Noreturn static void run(int sock, uint8_t *shared)
{
    struct packet p;
    sigset_t none;
    sigemptyset(&none);
    for (int s = 1; s < 32; s++)
        if (s != SIGKILL && s != SIGSTOP)
            (void)signal(s, s == SIGINT || s == SIGQUIT || s == SIGTSTP ? SIG_IGN : SIG_DFL);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setpgid(0, 0);
    while (recv(sock, &p, sizeof(p), 0) == (ssize_t)sizeof(p)) {
        p.len = serve(shared, p.len, shared + HALF);
        if (send(sock, &p, sizeof(p), MSG_NOSIGNAL) < 0)
            break;
    }
    _exit(0);
}

/* ---- in the gate ---- */

/* The rest of what the gate has is not for it: descriptors of the warden and of the kernel, and the
 * streams of the agent, whose readers would wait for a finder that hangs. */
static void close_others(int sock)
{
    int keep = fcntl(sock, F_DUPFD, 3), null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int i = 0; i < 3; i++)
        if (null < 0 || dup2(null, i) < 0)
            close(i);
    if (keep != 3)
        (void)dup2(keep, 3);
    (void)syscall(SYS_close_range, 4u, ~0u, 0u);
}

static int start(struct finder *f)
{
    int pair[2];
    if (!f->shared) {
        void *p = mmap(NULL, 2 * HALF, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            return -ENOMEM;
        f->shared = p;
    }
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    pid_t pid = fork();
    if (pid == 0) {
        close_others(pair[1]);
        if (facts_init() < 0)
            _exit(1);
        run(3, f->shared);
    }
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return -errno;
    }
    f->sock = pair[0];
    f->pid = pid;
    started++;
    f->job = 0;
    return 0;
}

int finders_init(void)
{
    int r = facts_init(); /* says early what a finder would die of */
    for (int i = 0; i < FINDERS_MAX; i++)
        finders[i].sock = -1;
    for (int i = 0; r == 0 && i < FINDERS_MAX; i++)
        r = start(&finders[i]);
    return r;
}

static void restart(struct finder *f)
{
    (void)kill(f->pid, SIGKILL);
    close(f->sock);
    f->sock = -1;
    f->job = 0;
    /* It may write into its memory until it is really gone. */
    munmap(f->shared, 2 * HALF);
    f->shared = NULL;
    (void)start(f); /* without it the others go on; without any, nothing starts */
}

static struct finder *idle(void)
{
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders[i].sock >= 0 && !finders[i].job)
            return &finders[i];
    return NULL;
}

bool finders_idle(void)
{
    return idle() != NULL;
}

int finders_give(const struct finders_job *j)
{
    struct finder *f = idle();
    if (!f)
        return -EAGAIN;
    struct pack_writer w = {.p = f->shared, .size = HALF};
    pack_put_u32(&w, (uint32_t)j->pid);
    pack_put_string(&w, j->execfn);
    pack_put_strings(&w, &j->search, HALF);
    pack_put_strings(&w, &j->operands, HALF);
    struct packet p = {.job = j->job, .len = pack_put_done(&w, HALF)};
    if (p.len == 0)
        return -E2BIG;
    if (send(f->sock, &p, sizeof(p), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) {
        restart(f);
        return -EIO;
    }
    f->job = j->job;
    f->due = clock_ms() + FINDERS_DEADLINE_MS;
    return (int)(f - finders);
}

void finders_drop(int finder)
{
    if (finder >= 0 && finder < FINDERS_MAX && finders[finder].job)
        restart(&finders[finder]);
}

bool finders_is(pid_t pid)
{
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders[i].sock >= 0 && finders[i].pid == pid)
            return true;
    return false;
}

int finders_fd(int finder)
{
    return finders[finder].sock;
}

unsigned finders_started(void)
{
    return started;
}

uint64_t finders_take(int finder, const uint8_t **ret_body, size_t *ret_len)
{
    struct finder *f = &finders[finder];
    struct packet p;
    uint64_t job = f->job;
    ssize_t n = recv(f->sock, &p, sizeof(p), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    *ret_body = NULL;
    *ret_len = 0;
    if (n != (ssize_t)sizeof(p) || p.job != job || p.len == 0 || p.len > HALF) {
        restart(f);
        return job;
    }
    /* What it wrote is taken before it is looked at. */
    memcpy(answer, f->shared + HALF, p.len);
    f->job = 0;
    *ret_body = answer;
    *ret_len = p.len;
    return job;
}

uint64_t finders_late(uint64_t now)
{
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders[i].job && finders[i].due <= now) {
            uint64_t job = finders[i].job;
            restart(&finders[i]);
            return job;
        }
    return 0;
}

uint64_t finders_next(void)
{
    uint64_t first = UINT64_MAX;
    for (int i = 0; i < FINDERS_MAX; i++)
        if (finders[i].job && finders[i].due < first)
            first = finders[i].due;
    return first;
}
