/* SPDX-License-Identifier: MIT */
#include "mirror/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "mirror/compat.h"
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

_Noreturn void worker_run(int sock)
{
    static uint8_t buf[PACKET_SIZE_MAX];
    struct worker w;
    setup(&w, sock);
    for (;;) {
        struct packet p;
        int r = packet_receive(w.sock, buf, sizeof(buf), true, &p);
        if (r <= 0)
            worker_leave();
        if (p.head.type == HELPER_START && !job_run(&w, &p))
            worker_leave();
        if (p.head.type == HELPER_RESOLVE)
            lookup_run(&w, &p);
        packet_done(&p); /* anything else comes too late to mean something */
    }
}
