/* SPDX-License-Identifier: MIT */
/* clawrden-mirror: the warden's helper. Not for people: the warden starts it with a socket as
 * descriptor 3 and one as 4. */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mirror/compat.h"
#include "mirror/dispatch.h"
#include "wire/helper.h"

#define FILES 4096 /* descriptors that many workers need */

static void say(int fd, const char *s)
{
    (void)!write(fd, s, strlen(s));
}

static int explain(void)
{
    say(2,
        "clawrden-mirror: the helper of clawrden-warden, which starts it: it looks up paths, and "
        "starts and kills commands.\nIt has no use on its own. See clawrden-warden(8).\n");
    return 125;
}

static int version(void)
{
    say(1, "clawrden-mirror " CLAWRDEN_VERSION "\n");
    return 0;
}

/* The warden hands its nice value down, but where the kernel groups by session (sched(7)) a new
 * session begins among all others. Workers have sessions of their own, which stay there. */
static void keep_before_others(void)
{
    char text[4] = "-10";
    int nice = getpriority(PRIO_PROCESS, 0);
    if (nice >= 0 || nice < -20)
        return;
    text[1] = (char)('0' + -nice / 10);
    text[2] = (char)('0' + -nice % 10);
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, text, 3);
    (void)close(fd);
}

/* What was inherited must not reach the commands: dispositions, masks, descriptors, capabilities,
 * groups (root has none here, and takes a caller's for a while: guise.h). */
static void clean_up(void)
{
    struct rlimit files;
    sigset_t all;
    uint64_t plain[4] = {0}; /* the kernel's struct sigaction, for SIG_DFL */
    /* The call and not the function: 32 and 33 are hidden by C libraries, and glibc's posix_spawn()
     * leaves them ignored. */
    for (int s = 1; s < 65; s++)
        if (s != SIGKILL && s != SIGSTOP)
            (void)syscall(SYS_rt_sigaction, s, plain, NULL, 8);
    sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    (void)syscall(SYS_close_range, HELPER_FD_ANSWERS + 1, ~0U, 0);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null >= 0)
        for (int i = 0; i < 3; i++)
            (void)dup2(null, i);
    (void)syscall(SYS_close_range, HELPER_FD_ANSWERS + 1, ~0U, 0);
    (void)fcntl(HELPER_FD_CONTROL, F_SETFD, FD_CLOEXEC);
    (void)fcntl(HELPER_FD_ANSWERS, F_SETFD, FD_CLOEXEC);
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (geteuid() == 0)
        (void)syscall(SYS_setgroups, 0, NULL);
    /* Commands of our own user must not look into us; those that we start are dumpable again. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    (void)setsid();
    keep_before_others();
    (void)chdir("/");
    (void)umask(022);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < FILES &&
        files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max < FILES ? files.rlim_max : FILES;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool is_channel(int fd)
{
    int type = 0;
    socklen_t n = sizeof(type);
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type == SOCK_SEQPACKET;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--version") == 0)
        return version();
    if (argc != 2 || strcmp(argv[1], "--serve") != 0 || !is_channel(HELPER_FD_CONTROL) ||
        !is_channel(HELPER_FD_ANSWERS))
        return explain();
    clean_up();
    return dispatch_run(HELPER_FD_CONTROL);
}
