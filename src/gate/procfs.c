/* SPDX-License-Identifier: MIT */
#include "gate/procfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gate/uapi.h"
#include "mirror/phrase.h"

#define DESCENDANTS_MAX 65536
#define TRIES 64
#define EXIT_CODE_FIELD 52 /* of /proc/PID/stat, proc(5) */

static int read_file(pid_t pid, const char *what, char *text, size_t size)
{
    char path[48];
    struct phrase p = PHRASE(path);
    path[0] = 0;
    phrase_add(&p, "/proc/");
    phrase_add_number(&p, (uint64_t)pid);
    phrase_add(&p, what);
    /* musl's open() sets the flag of what it has opened once more. */
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = read(fd, text, size - 1);
    int error = errno;
    close(fd);
    if (n < 0)
        return -error;
    text[n] = 0;
    return 0;
}

/* The value of the line that begins with `key`, which has its newline in front. */
static const char *value(const char *text, const char *key)
{
    const char *p = strstr(text, key);
    return p ? p + strlen(key) + strspn(p + strlen(key), " \t") : NULL;
}

static uint64_t hex(const char *p)
{
    uint64_t v = 0;
    for (; p; p++) {
        if (*p >= '0' && *p <= '9')
            v = v << 4 | (uint64_t)(*p - '0');
        else if (*p >= 'a' && *p <= 'f')
            v = v << 4 | (uint64_t)(*p - 'a' + 10);
        else
            break;
    }
    return v;
}

int procfs_status(pid_t pid, struct procfs_status *ret)
{
    static char text[PROCFS_STATUS_MAX];
    int r = read_file(pid, "/status", text, sizeof(text));
    return r < 0 ? r : procfs_status_parse(text, ret);
}

bool procfs_who(int pidfd, struct procfs_who *ret)
{
    const uint64_t mask = UAPI_PIDFD_INFO_PID | UAPI_PIDFD_INFO_CREDS;
    struct uapi_pidfd_info info = {.mask = mask};
    if (ioctl(pidfd, UAPI_PIDFD_GET_INFO, &info) < 0 || (info.mask & mask) != mask)
        return false;
    *ret = (struct procfs_who){.ppid = (pid_t)info.ppid, .uid = info.fsuid, .gid = info.fsgid};
    return true;
}

int procfs_status_parse(const char *text, struct procfs_status *ret)
{
    const char *tgid = value(text, "\nTgid:"), *ppid = value(text, "\nPPid:");
    const char *state = value(text, "\nState:");
    if (!tgid || !ppid)
        return -EBADMSG;
    *ret = (struct procfs_status){
        .tgid = (pid_t)phrase_number(tgid, NULL),
        .ppid = (pid_t)phrase_number(ppid, NULL),
        .state = state ? *state : 0,
        .pending = hex(value(text, "\nSigPnd:")) | hex(value(text, "\nShdPnd:")),
        .blocked = hex(value(text, "\nSigBlk:")),
        .ignored = hex(value(text, "\nSigIgn:")),
        .caught = hex(value(text, "\nSigCgt:")),
    };
    return 0;
}

/* The fourth of the ids is the one that file systems look at. */
static bool fourth(const char *p, uint32_t *ret)
{
    uint64_t v = 0;
    for (int i = 0; i < 4; i++) {
        if (!p || *p < '0' || *p > '9')
            return false;
        v = phrase_number(p, &p);
        p += strspn(p, " \t");
    }
    *ret = (uint32_t)v;
    return true;
}

int procfs_ids_parse(const char *text, uint32_t groups[PROCFS_GROUPS_MAX], struct helper_peer *ret)
{
    const char *p = value(text, "\nGroups:");
    ret->groups = groups;
    ret->groups_count = 0;
    if (!fourth(value(text, "\nUid:"), &ret->uid) || !fourth(value(text, "\nGid:"), &ret->gid) ||
        !p)
        return -EBADMSG;
    while (*p >= '0' && *p <= '9') {
        if (ret->groups_count == PROCFS_GROUPS_MAX)
            return -E2BIG;
        groups[ret->groups_count++] = (uint32_t)phrase_number(p, &p);
        p += strspn(p, " \t");
    }
    return 0;
}

bool procfs_has_fatal_signal(pid_t pid)
{
    /* Whose default is not to end the process. */
    const uint64_t harmless = 1ull << (SIGCHLD - 1) | 1ull << (SIGCONT - 1) | 1ull << (SIGURG - 1) |
                              1ull << (SIGWINCH - 1) | 1ull << (SIGSTOP - 1) |
                              1ull << (SIGTSTP - 1) | 1ull << (SIGTTIN - 1) | 1ull << (SIGTTOU - 1);
    struct procfs_status st;
    return procfs_status(pid, &st) == 0 &&
           (st.pending & ~st.blocked & ~st.ignored & ~st.caught & ~harmless) != 0;
}

int procfs_zombie_parse(const char *text, int *ret_status)
{
    const char *p = strrchr(text, ')'); /* its name may hold anything */
    if (!p || p[1] != ' ' || p[2] != 'Z')
        return -ENODATA;
    p += 2; /* field 3 */
    for (int field = 3; p && field < EXIT_CODE_FIELD; field++) {
        p = strchr(p, ' ');
        p = p ? p + 1 : NULL;
    }
    if (!p || *p < '0' || *p > '9')
        return -ENODATA;
    *ret_status = (int)phrase_number(p, NULL);
    return 0;
}

/* A zombie still has its /proc; afterwards Linux 6.15 tells by the pidfd. */
static int end_of_zombie(pid_t pid, int *ret_status)
{
    char text[2048];
    int r = read_file(pid, "/stat", text, sizeof(text));
    return r < 0 ? -ENODATA : procfs_zombie_parse(text, ret_status);
}

int procfs_end(int pidfd, pid_t pid, int *ret_status)
{
    /* Its parent takes it away between our two questions, and a moment passes until the kernel has
     * put down how it ended. */
    for (int i = 0; i < TRIES; i++) {
        struct uapi_pidfd_info info = {.mask = UAPI_PIDFD_INFO_EXIT};
        int r = ioctl(pidfd, UAPI_PIDFD_GET_INFO, &info);
        if (r == 0 && (info.mask & UAPI_PIDFD_INFO_EXIT)) {
            *ret_status = info.exit_code;
            return 0;
        }
        bool never = r < 0 && errno != ESRCH; /* before Linux 6.15 */
        if (end_of_zombie(pid, ret_status) == 0)
            return 0;
        if (never && i > 0)
            break;
        (void)sched_yield();
    }
    return -ENODATA;
}

bool procfs_end_lasts(void)
{
    struct uapi_pidfd_info info = {.mask = UAPI_PIDFD_INFO_EXIT};
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    int pidfd = pid < 0 ? -1 : (int)syscall(UAPI_SYS_PIDFD_OPEN, pid, 0u);
    bool lasts = pid > 0 && waitpid(pid, NULL, 0) == pid && pidfd >= 0 &&
                 ioctl(pidfd, UAPI_PIDFD_GET_INFO, &info) == 0 &&
                 (info.mask & UAPI_PIDFD_INFO_EXIT);
    if (pidfd >= 0)
        close(pidfd);
    return lasts;
}

/* ---- descendants ---- */

struct family {
    pid_t pid, ppid;
    char state;
    bool taken;
};

static size_t read_all(struct family *all, size_t max)
{
    DIR *d = opendir("/proc");
    const struct dirent *e;
    struct procfs_status st;
    size_t n = 0;
    while (d && n < max && (e = readdir(d))) {
        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        pid_t pid = (pid_t)phrase_number(e->d_name, NULL);
        if (procfs_status(pid, &st) == 0)
            all[n++] = (struct family){.pid = pid, .ppid = st.ppid, .state = st.state};
    }
    if (d)
        closedir(d);
    return n;
}

const struct procfs_child *procfs_below(pid_t pid, size_t *ret_count)
{
    static struct family all[DESCENDANTS_MAX];
    static struct procfs_child found[DESCENDANTS_MAX];
    size_t n = read_all(all, DESCENDANTS_MAX), count = 0;
    for (size_t at = 0;; at++) {
        for (size_t i = 0; i < n; i++)
            if (!all[i].taken && all[i].ppid == pid) {
                all[i].taken = true;
                found[count++] = (struct procfs_child){all[i].pid, all[i].state};
            }
        if (at == count)
            break;
        pid = found[at].pid;
    }
    *ret_count = count;
    return found;
}

bool procfs_is_in(pid_t pid, const char *cgroup)
{
    static char text[PROCFS_STATUS_MAX];
    return read_file(pid, "/cgroup", text, sizeof(text)) == 0 && strstr(text, cgroup);
}

void procfs_kill_below(pid_t pid, int signo)
{
    size_t n;
    const struct procfs_child *all = procfs_below(pid, &n);
    for (size_t i = 0; i < n; i++)
        (void)kill(all[i].pid, signo);
}
