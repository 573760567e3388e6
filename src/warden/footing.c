/* SPDX-License-Identifier: MIT */
/* Agents may run under our own uid (a warden that is not root): without PR_SET_DUMPABLE off they
 * could attach to us and answer themselves. */
#include "warden/footing.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "warden/trust.h"

unsigned long footing_prepare(void)
{
    struct rlimit l;
    (void)mallopt(M_ARENA_MAX, 2); /* few threads allocate, and each arena keeps what it had */
    (void)signal(SIGPIPE, SIG_IGN);
    (void)umask(0077);
    (void)prctl(PR_SET_DUMPABLE, 0);
    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 1024;
    l.rlim_cur = l.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &l);
    return getrlimit(RLIMIT_NOFILE, &l) < 0 ? 1024 : l.rlim_cur;
}

int footing_take_state(const char *dir, int *ret, struct err *err)
{
    int r = path_mkdirs(dir, 0700, err);
    if (r < 0 || (r = trust_path(dir, err)) < 0)
        return err_prefix(err, r, "state");
    _cleanup_close_ int d = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st;
    if (d < 0 || fstat(d, &st) < 0)
        return err_errno(err, -errno, "state: cannot open '%s'", dir);
    if (st.st_mode & 077)
        return err_set(err, -EPERM, "state: others can look into '%s' (mode %04o); chmod 0700 it",
                       dir, (unsigned)(st.st_mode & 07777));
    _cleanup_close_ int fd = openat(d, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, -errno, "state: cannot open '%s/lock'", dir);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(
            err, -EBUSY,
            "state: another warden works in '%s'; stop it first, or choose another --state", dir);
    *ret = TAKE_FD(fd);
    return 0;
}

int footing_check_file(const char *path, struct err *err)
{
    _cleanup_free_ char *dir = path_dirname(path);
    int r = path_mkdirs(dir, 0700, err);
    if (r == 0)
        r = trust_path(access(path, F_OK) == 0 ? path : dir, err);
    return r;
}

/* "5600-7800 r-xp ..." */
static bool read_code(const char *line, char **ret_at, size_t *ret_size)
{
    char *end;
    unsigned long from = strtoul(line, &end, 16), to;
    if (*end != '-' || from == 0)
        return false;
    to = strtoul(end + 1, &end, 16);
    if (strncmp(end, " r-xp ", 6) != 0 || !strchr(end, '/') || to <= from)
        return false;
    *ret_at = (char *)from; // NOLINT(performance-no-int-to-ptr): the kernel prints numbers
    *ret_size = to - from;
    return true;
}

/* Only code: other parts of a file's mapping may have been relocated, and would lose that. */
void footing_shed(void)
{
    (void)malloc_trim(0);
    FILE *f = fopen("/proc/self/maps", "re");
    char line[4608], *at = NULL;
    size_t size = 0;
    while (f && fgets(line, sizeof(line), f))
        if (read_code(line, &at, &size))
            (void)madvise(at, size, MADV_DONTNEED);
    if (f)
        (void)fclose(f);
}
