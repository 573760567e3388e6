/* SPDX-License-Identifier: MIT */
#include "mirror/sieve.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/compat.h"

#define FILTERS_MAX 8
#define INSTRUCTIONS_MAX 4096 /* BPF_MAXINSNS */
#define SEIZE_TRIES 2000
#define STOP_MS 500 /* init has to stop within */

struct instruction { /* struct sock_filter of linux/filter.h */
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct program { /* struct sock_fprog of linux/filter.h */
    unsigned short len;
    struct instruction *filter;
};

/* Of one container: a worker mostly serves the same one again. */
static struct {
    pid_t init;
    uint64_t start_time;
    unsigned count;
    unsigned short lengths[FILTERS_MAX];
    struct instruction code[FILTERS_MAX][INSTRUCTIONS_MAX];
} known;

static bool wait_for_stop(pid_t pid)
{
    for (int i = 0; i < STOP_MS * 2; i++) {
        int status;
        pid_t r = waitpid(pid, &status, WNOHANG | __WALL);
        if (r == pid)
            return WIFSTOPPED(status);
        if (r < 0 && errno != EINTR)
            return false;
        nanosleep(&(struct timespec){.tv_nsec = i < 20 ? 20000 : 500000}, NULL);
    }
    return false;
}

/* The number of instructions, which are copied unless `to` is NULL; or -1. The oldest is number 0.
 */
static long get_filter(pid_t init, unsigned long number, struct instruction *to)
{
    return syscall(SYS_ptrace, COMPAT_PTRACE_SECCOMP_GET_FILTER, (long)init, number, to);
}

static int read_all(pid_t init, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        long n = get_filter(init, i, NULL);
        if (n < 0)
            return -errno;
        if (n == 0 || n > INSTRUCTIONS_MAX)
            return -E2BIG;
        n = get_filter(init, i, known.code[i]);
        if (n < 0)
            return -errno;
        known.lengths[i] = (unsigned short)n;
    }
    return 0;
}

/* A process has one tracer at a time, and another worker may be it just now. */
static int seize(pid_t init)
{
    for (int i = 0; i < SEIZE_TRIES; i++) {
        if (ptrace(PTRACE_SEIZE, init, NULL, NULL) == 0)
            return 0;
        if (errno != EPERM)
            return -errno;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return -EPERM;
}

int sieve_read(pid_t init, uint64_t start_time, unsigned count, struct phrase *why)
{
    if (known.init == init && known.start_time == start_time && known.count == count)
        return 0;
    known.init = 0;
    known.count = 0;
    if (count > FILTERS_MAX) {
        phrase_add(why, "its container stands under more seccomp filters than can be copied");
        return -E2BIG;
    }
    int r = 0;
    if (count) {
        r = seize(init);
        if (r < 0) {
            phrase_add(why, "the seccomp filter of its container cannot be read (is something "
                            "tracing the container's first process?)");
            return r;
        }
        if (ptrace(PTRACE_INTERRUPT, init, NULL, NULL) < 0)
            r = -errno;
        else if (!wait_for_stop(init))
            r = -ETIMEDOUT;
        else
            r = read_all(init, count);
        /* One that did not stop is let go by our end: the caller of this ends the worker. */
        (void)ptrace(PTRACE_DETACH, init, NULL, NULL);
        if (r < 0) {
            phrase_add(why, "the seccomp filter of its container cannot be read");
            return r;
        }
    }
    known.init = init;
    known.start_time = start_time;
    known.count = count;
    return 0;
}

int sieve_install(pid_t init, uint64_t start_time, unsigned count)
{
    if (known.init != init || known.start_time != start_time || known.count != count)
        return -ESTALE;
    for (unsigned i = 0; i < known.count; i++) {
        struct program p = {.len = known.lengths[i], .filter = known.code[i]};
        if (syscall(SYS_seccomp, COMPAT_SECCOMP_SET_MODE_FILTER, 0, &p) < 0)
            return -errno;
    }
    return 0;
}
