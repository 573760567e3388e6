/* SPDX-License-Identifier: MIT */
/* A cgroup whose cgroup.kill was written is not used again: each job has its own. The directory of
 * ours is held open from the start, so nothing is looked up by a name that the agent could turn. */
#include "gate/scope.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gate/procfs.h"
#include "mirror/phrase.h"

#define TEXT_MAX 65536

static int base = -1; /* our own cgroup */

static void name_of(uint64_t job, const char *file, char out[96])
{
    struct phrase p = {.text = out, .size = 96};
    out[0] = 0;
    phrase_add(&p, "clawrden-gate-");
    phrase_add_number(&p, (uint64_t)getpid());
    phrase_add(&p, "-");
    phrase_add_number(&p, job);
    phrase_add(&p, file);
}

static int read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t n = 0;
    while (fd >= 0 && have < size - 1 && (n = read(fd, text + have, size - 1 - have)) > 0)
        have += (size_t)n;
    if (fd >= 0)
        close(fd);
    text[have] = 0;
    return fd < 0 || n < 0 || have == size - 1 ? -1 : 0;
}

/* Field `n` (from 0) of a line of mountinfo, up to the next space. */
static size_t field(const char *line, int n, const char **ret)
{
    while (n-- > 0) {
        line += strcspn(line, " \n");
        line += *line == ' ';
    }
    *ret = line;
    return strcspn(line, " \n");
}

/* Where version 2 is mounted from its root: "/sys/fs/cgroup", "/sys/fs/cgroup/unified". */
static bool find_mount(const char *mounts, struct phrase *out)
{
    for (const char *l = mounts; *l; l = strchr(l, '\n') ? strchr(l, '\n') + 1 : "") {
        const char *root, *point, *type = strstr(l, " - "), *end = strchr(l, '\n');
        if (!end || !type || type > end || strncmp(type, " - cgroup2 ", 11) != 0)
            continue;
        size_t n = field(l, 4, &point);
        if (field(l, 3, &root) != 1 || n >= out->size || memchr(point, '\\', n))
            continue;
        memcpy(out->text, point, n);
        out->text[n] = 0;
        out->len = n;
        return true;
    }
    return false;
}

static int open_own(void)
{
    static char mounts[TEXT_MAX], own[TEXT_MAX], path[8192];
    struct phrase p = PHRASE(path);
    if (read_text("/proc/self/mountinfo", mounts, sizeof(mounts)) < 0 ||
        read_text("/proc/self/cgroup", own, sizeof(own)) < 0 || !find_mount(mounts, &p))
        return -1;
    char *line = strncmp(own, "0::", 3) == 0 ? own : strstr(own, "\n0::");
    if (!line)
        return -1;
    line = strchr(line, '/');
    if (!line || strncmp(line, "/..", 3) == 0)
        return -1; /* outside of our cgroup name space */
    line[strcspn(line, "\n")] = 0;
    if (strlen(line) > sizeof(path) / 2)
        return -1;
    phrase_add(&p, line);
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* Behind gates that were killed. A number may be in use by a gate of another pid name space: then
 * its directory is not empty, or its next command fails and says so. */
static void remove_all(bool ours)
{
    char mine[96];
    name_of(0, "", mine);
    mine[strlen(mine) - 1] = 0; /* "clawrden-gate-PID-" */
    int fd = openat(base, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    while (d && (e = readdir(d))) {
        char proc[40];
        struct phrase p = PHRASE(proc);
        if (strncmp(e->d_name, mine, strlen("clawrden-gate-")) != 0)
            continue;
        proc[0] = 0;
        phrase_add(&p, "/proc/");
        phrase_add_number(&p, phrase_number(e->d_name + strlen("clawrden-gate-"), NULL));
        if (strncmp(e->d_name, mine, strlen(mine)) == 0 || (!ours && access(proc, F_OK) < 0))
            (void)unlinkat(base, e->d_name, AT_REMOVEDIR);
    }
    if (d)
        closedir(d);
}

void scope_init(void)
{
    char name[96];
    base = open_own();
    if (base < 0)
        return;
    remove_all(false);
    name_of(0, "", name);
    int kill = -1;
    if (mkdirat(base, name, 0755) == 0) {
        char file[96];
        name_of(0, "/cgroup.kill", file); /* Linux 5.14 */
        kill = openat(base, file, O_WRONLY | O_CLOEXEC);
        (void)unlinkat(base, name, AT_REMOVEDIR);
    }
    if (kill >= 0) {
        close(kill);
        return;
    }
    close(base);
    base = -1;
}

bool scope_is_there(void)
{
    return base >= 0;
}

static int put(uint64_t job, const char *file, const char *text)
{
    char name[96];
    name_of(job, file, name);
    int fd = openat(base, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text, strlen(text));
    int error = errno;
    close(fd);
    return n < 0 ? -error : 0;
}

int scope_enter(uint64_t job, pid_t pid)
{
    char name[96], text[24];
    struct phrase p = PHRASE(text);
    name_of(job, "", name);
    if (mkdirat(base, name, 0755) < 0)
        return -errno;
    text[0] = 0;
    phrase_add_number(&p, (uint64_t)pid);
    int r = put(job, "/cgroup.procs", text);
    if (r < 0)
        scope_leave(job);
    return r;
}

void scope_kill(uint64_t job)
{
    if (base >= 0)
        (void)put(job, "/cgroup.kill", "1");
}

void scope_freeze(uint64_t job, bool on)
{
    (void)put(job, "/cgroup.freeze", on ? "1" : "0"); /* what comes of it says scope_stands() */
}

bool scope_stands(uint64_t job)
{
    char name[96], text[256];
    name_of(job, "/cgroup.events", name);
    int fd = openat(base, name, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    text[n > 0 ? n : 0] = 0;
    return strstr(text, "frozen 1") != NULL;
}

bool scope_holds(uint64_t job, pid_t pid)
{
    char name[96];
    name_of(job, "\n", name); /* up to the end of its line */
    return procfs_is_in(pid, name);
}

void scope_leave(uint64_t job)
{
    char name[96];
    name_of(job, "", name);
    if (base >= 0)
        (void)unlinkat(base, name, AT_REMOVEDIR);
}

void scope_done(void)
{
    if (base >= 0)
        remove_all(true);
}
