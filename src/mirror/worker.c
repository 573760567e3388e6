/* SPDX-License-Identifier: MIT */
#include "mirror/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "mirror/compat.h"
#include "mirror/seat.h"
#include "mirror/ticket.h"
#include "mirror/way.h"

_Noreturn void worker_leave(void)
{
    _exit(0);
}

static void setup(struct worker *w, int sock)
{
    sigset_t ours;
    /* The dispatcher's other descriptors are not ours. */
    if (dup3(sock, HELPER_FD_CONTROL, O_CLOEXEC) < 0 ||
        syscall(SYS_close_range, HELPER_FD_ANSWERS + 1, ~0U, 0) < 0)
        _exit(1);
    sigemptyset(&ours);
    sigaddset(&ours, SIGCHLD);
    sigaddset(&ours, SIGURG);
    sigaddset(&ours, SIGINT);
    sigaddset(&ours, SIGQUIT);
    sigaddset(&ours, SIGTSTP);
    sigaddset(&ours, SIGHUP);
    w->sock = HELPER_FD_CONTROL;
    w->answers = HELPER_FD_ANSWERS;
    w->line = w->home = -1;
    w->signals = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
    w->root = geteuid() == 0;
    if (w->signals < 0)
        _exit(1);
    (void)setsid();
    /* What a command leaves behind stays in sight: also what left its cgroup, as root can. */
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    /* Paths like "self/fd/3" work in every mount namespace then. */
    way_own_fds = "self/fd/";
    w->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->space = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
    w->top = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (w->proc < 0 || w->space < 0 || w->top < 0 || fchdir(w->proc) < 0)
        _exit(1);
}

void worker_does(struct worker *w, enum crew_phase phase)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    w->share->since = (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
    __atomic_store_n(&w->share->phase, phase, __ATOMIC_SEQ_CST);
}

void worker_return(struct worker *w, bool spent)
{
    uint8_t out[64];
    const struct helper_end m = {.flags = spent ? HELPER_END_CGROUP_SPENT : 0, .text = ""};
    ticket_drop();
    seat_leave();
    close(w->line);
    close(w->home);
    w->line = w->home = -1;
    worker_does(w, CREW_FREE);
    if (packet_send(w->sock, HELPER_IDLE, 0, out, helper_end_encode(&m, out, sizeof(out)), true) <
        0)
        worker_leave();
}

static void take_line(struct worker *w, struct packet *p)
{
    struct helper_started m;
    size_t n;
    if (p->fds_count != 2 || w->line >= 0 || helper_started_decode(p->body, p->head.len, &m) < 0 ||
        (n = strlen(m.cgroup)) >= sizeof(w->home_path))
        worker_leave();
    memcpy(w->home_path, m.cgroup, n + 1);
    w->line = p->fds[0];
    w->home = p->fds[1];
    p->fds[0] = p->fds[1] = -1;
}

/* Where the next order comes from. A seat that ended ends the loan. */
static int await(struct worker *w)
{
    while (w->line >= 0) {
        struct signalfd_siginfo si;
        struct pollfd p[3] = {{.fd = w->line, .events = POLLIN},
                              {.fd = w->sock, .events = POLLIN},
                              {.fd = w->signals, .events = POLLIN}};
        if (poll(p, 3, -1) < 0)
            continue;
        if (p[1].revents)
            break;
        while (p[2].revents && read(w->signals, &si, sizeof(si)) > 0)
            ;
        if (!seat_lives() || w->share->tainted)
            worker_return(w, w->share->tainted);
        else if (p[0].revents)
            return w->line;
    }
    return w->sock;
}

static void note_order(struct worker *w, const struct packet *p, int from)
{
    if (from != w->line)
        return;
    w->share->job = p->head.job;
    worker_does(w, p->head.type == HELPER_RESOLVE ? CREW_LOOKS
                   : p->head.type == HELPER_START ? CREW_STARTS
                                                  : CREW_FREE);
}

_Noreturn void worker_run(int sock, struct crew_share *share)
{
    static uint8_t buf[PACKET_SIZE_MAX];
    static struct worker w;
    w.share = share;
    setup(&w, sock);
    for (;;) {
        struct packet p;
        int from = await(&w), r = packet_receive(from, buf, sizeof(buf), true, &p);
        if (r <= 0)
            worker_leave();
        note_order(&w, &p, from);
        if (p.head.type == HELPER_START && !job_run(&w, &p, from))
            worker_leave();
        if (p.head.type == HELPER_RESOLVE)
            lookup_run(&w, &p, from);
        if (p.head.type == HELPER_CANCEL)
            ticket_drop();
        if (p.head.type == HELPER_LINE)
            take_line(&w, &p);
        packet_done(&p); /* anything else comes too late to mean something */
    }
}
