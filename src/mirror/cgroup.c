/* SPDX-License-Identifier: MIT */
#include "mirror/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mirror/clone.h"
#include "mirror/phrase.h"

#define CGROUPS_MAX 1024
#define LINGER_MAX 256

static char base[512];
static int base_dir = -1;
static struct cgroup slots[CGROUPS_MAX];
static unsigned slots_used;
static struct cgroup *unused; /* slots without a directory */
static struct cgroup *ready;  /* empty, with a directory */
static unsigned next_number;
static unsigned linger[LINGER_MAX]; /* not yet empty when they were given back */
static unsigned linger_count;

static void name_of(unsigned number, char out[24])
{
    struct phrase w = {.text = out, .size = 24};
    phrase_add(&w, "c");
    phrase_add_number(&w, number);
}

/* The path behind "0::" of /proc/self/cgroup. */
static bool own_path(char *out, size_t size)
{
    static char text[8192];
    int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
    if (fd >= 0)
        close(fd);
    if (n <= 0)
        return false;
    text[n] = 0;
    for (char *line = text; line && *line;
         line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
        if (strncmp(line, "0::/", 4) != 0)
            continue;
        size_t len = strcspn(line + 3, "\n");
        if (len >= size)
            return false;
        memcpy(out, line + 3, len);
        out[len] = 0;
        return true;
    }
    return false;
}

static const char *mount_point(void)
{
    struct statfs fs;
    if (statfs("/sys/fs/cgroup", &fs) == 0 && fs.f_type == COMPAT_CGROUP2_MAGIC)
        return "/sys/fs/cgroup";
    if (statfs("/sys/fs/cgroup/unified", &fs) == 0 && fs.f_type == COMPAT_CGROUP2_MAGIC)
        return "/sys/fs/cgroup/unified";
    return NULL;
}

static bool missing(char *words, size_t size, const char *what, int err)
{
    struct phrase w = {.text = words, .size = size};
    phrase_add(&w, what);
    if (err) {
        phrase_add(&w, ": ");
        phrase_add_errno(&w, err);
    }
    return false;
}

/* Does a process that is cloned into a fresh one live? It does not when our own cgroup was killed
 * before, on some kernels. */
static bool probe(void)
{
    struct cgroup *c = cgroup_get();
    if (!c)
        return false;
    int status = -1;
    long pid = clone_vfork(c->dir);
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, &status, 0);
    bool can_kill = faccessat(c->dir, "cgroup.kill", W_OK, 0) == 0; /* Linux 5.14 */
    cgroup_put(c, false);
    return status == 0 && can_kill;
}

bool cgroup_setup(char *words, size_t size)
{
    char own[256];
    const char *mount = mount_point();
    if (!mount || !own_path(own, sizeof(own)))
        return missing(words, size, "cgroup v2 is not mounted", 0);
    struct phrase w = PHRASE(base);
    phrase_add(&w, mount);
    phrase_add(&w, own);
    phrase_add(&w, own[1] ? "/clawrden-" : "clawrden-");
    phrase_add_number(&w, (uint64_t)getpid());
    if (mkdir(base, 0755) < 0 && errno != EEXIST) {
        int err = errno;
        base[0] = 0;
        return missing(words, size, "cannot make a cgroup", err);
    }
    base_dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (base_dir < 0 || !probe()) {
        cgroup_cleanup();
        return missing(words, size, "processes cannot be started in a cgroup of their own", 0);
    }
    return true;
}

const char *cgroup_base(void)
{
    return base;
}

void cgroup_path(const struct cgroup *c, char *out, size_t size)
{
    char name[24];
    struct phrase w = {.text = out, .size = size};
    name_of(c->number, name);
    phrase_add(&w, base);
    phrase_add(&w, "/");
    phrase_add(&w, name);
}

static void retry_linger(unsigned most)
{
    for (unsigned i = 0; i < linger_count && most; most--) {
        char name[24];
        name_of(linger[i], name);
        if (unlinkat(base_dir, name, AT_REMOVEDIR) < 0 && errno == EBUSY)
            i++;
        else
            linger[i] = linger[--linger_count];
    }
}

struct cgroup *cgroup_get(void)
{
    struct cgroup *c = ready;
    if (c) {
        ready = c->next;
        return c;
    }
    c = unused;
    if (c)
        unused = c->next;
    else if (slots_used < CGROUPS_MAX)
        c = &slots[slots_used++];
    else
        return NULL;
    char name[24];
    c->number = next_number++;
    name_of(c->number, name);
    c->dir = -1;
    if (mkdirat(base_dir, name, 0755) == 0)
        c->dir = openat(base_dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir >= 0)
        return c;
    c->next = unused;
    unused = c;
    return NULL;
}

bool cgroup_put(struct cgroup *c, bool spent)
{
    bool left = cgroup_populated(c->dir);
    if (!spent && !left) {
        c->next = ready;
        ready = c;
        return false;
    }
    close(c->dir);
    retry_linger(4);
    if (linger_count < LINGER_MAX)
        linger[linger_count++] = c->number;
    c->next = unused;
    unused = c;
    return left;
}

static ssize_t read_at(int dir, const char *name, char *buf, size_t size)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t done = 0;
    ssize_t n;
    while (done < size - 1 && (n = read(fd, buf + done, size - 1 - done)) > 0)
        done += (size_t)n;
    close(fd);
    buf[done] = 0;
    return (ssize_t)done;
}

bool cgroup_populated(int dir)
{
    char text[256];
    if (read_at(dir, "cgroup.events", text, sizeof(text)) < 0)
        return true; /* not known: never use it again */
    return strstr(text, "populated 0") == NULL;
}

void cgroup_kill(int dir)
{
    int fd = openat(dir, "cgroup.kill", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    (void)!write(fd, "1", 1);
    close(fd);
}

void cgroup_signal(int dir, int signo)
{
    static char text[65536];
    ssize_t n = read_at(dir, "cgroup.procs", text, sizeof(text));
    for (const char *p = text; n > 0 && *p;) {
        pid_t pid = (pid_t)phrase_number(p, &p);
        if (pid > 0)
            (void)kill(pid, signo);
        if (*p)
            p++;
    }
}

void cgroup_cleanup(void)
{
    if (base_dir < 0)
        return;
    for (struct cgroup *c = ready; c; c = c->next) {
        char name[24];
        name_of(c->number, name);
        (void)unlinkat(base_dir, name, AT_REMOVEDIR);
    }
    for (int i = 0; i < 50 && linger_count; i++) {
        retry_linger(LINGER_MAX);
        if (linger_count)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    (void)rmdir(base);
    close(base_dir);
    base_dir = -1;
    base[0] = 0;
}
