/* SPDX-License-Identifier: MIT */
/* On Linux a nice value is a thread's, in spite of POSIX; see setpriority(2), "C library/kernel
 * differences". */
#include "base/priority.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

/* Where the kernel groups by session (sched(7), "The autogroup feature"), values count inside of
 * one only, and the session has one of its own. Ours, if we began it. */
static void raise_session(int nice)
{
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", nice);
    if (getsid(0) != getpid())
        return;
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, text, (size_t)n);
    (void)close(fd);
}

void priority_raise(unsigned by)
{
    int want = -(int)by;
    if (getpriority(PRIO_PROCESS, 0) > want && setpriority(PRIO_PROCESS, 0, want) == 0)
        raise_session(want);
}

void priority_ordinary(void)
{
    if (getpriority(PRIO_PROCESS, 0) < 0)
        (void)setpriority(PRIO_PROCESS, 0, 0);
}
