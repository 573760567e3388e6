/* SPDX-License-Identifier: MIT */
#include "mirror/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
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
#define HOMES_MAX 65 /* the first is ours */
#define PATH_MAX_ 512

struct cgroup_home {
    char path[PATH_MAX_];
    int dir;              /* owned; -1: not in use */
    unsigned out;         /* cgroups that somebody has */
    uint64_t used;        /* when last, in gets */
    struct cgroup *ready; /* empty, with a directory */
};

static struct cgroup_home homes[HOMES_MAX];
static struct cgroup slots[CGROUPS_MAX];
static unsigned slots_used;
static struct cgroup *unused; /* slots without a directory */
static unsigned next_number;
static uint64_t gets;
static struct {
    struct cgroup_home *home;
    unsigned number;
} linger[LINGER_MAX]; /* not yet empty when they were given back */
static unsigned linger_count;

/* In a container's own cgroup several wardens may work, so the name has our pid. */
static void name_of(const struct cgroup_home *home, unsigned number, char out[48])
{
    struct phrase w = {.text = out, .size = 48};
    phrase_add(&w, home == homes ? "c" : "clawrden-");
    if (home != homes) {
        phrase_add_number(&w, (uint64_t)getpid());
        phrase_add(&w, "-");
    }
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
    struct cgroup *c = cgroup_get(NULL);
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
    for (unsigned i = 0; i < HOMES_MAX; i++)
        homes[i].dir = -1;
    if (!mount || !own_path(own, sizeof(own)))
        return missing(words, size, "cgroup v2 is not mounted", 0);
    char *base = homes[0].path;
    struct phrase w = {.text = base, .size = PATH_MAX_};
    phrase_add(&w, mount);
    phrase_add(&w, own);
    phrase_add(&w, own[1] ? "/clawrden-" : "clawrden-");
    phrase_add_number(&w, (uint64_t)getpid());
    if (mkdir(base, 0755) < 0 && errno != EEXIST) {
        int err = errno;
        base[0] = 0;
        return missing(words, size, "cannot make a cgroup", err);
    }
    homes[0].dir = open(base, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (homes[0].dir < 0 || !probe()) {
        cgroup_cleanup();
        return missing(words, size, "processes cannot be started in a cgroup of their own", 0);
    }
    return true;
}

const char *cgroup_base(void)
{
    return homes[0].path;
}

void cgroup_path(const struct cgroup *c, char *out, size_t size)
{
    char name[48];
    struct phrase w = {.text = out, .size = size};
    name_of(c->home, c->number, name);
    phrase_add(&w, c->home->path);
    phrase_add(&w, "/");
    phrase_add(&w, name);
}

static void retry_linger(unsigned most)
{
    for (unsigned i = 0; i < linger_count && most; most--) {
        char name[48];
        name_of(linger[i].home, linger[i].number, name);
        if (unlinkat(linger[i].home->dir, name, AT_REMOVEDIR) < 0 && errno == EBUSY)
            i++;
        else
            linger[i] = linger[--linger_count];
    }
}

/* ---- homes ---- */

static void slot_free(struct cgroup *c)
{
    c->dir = -1;
    c->next = unused;
    unused = c;
}

/* Removes what is empty there; where the container is gone, all of it is gone already. */
static void home_close(struct cgroup_home *h)
{
    for (struct cgroup *c = h->ready, *next; c; c = next) {
        char name[48];
        next = c->next;
        name_of(h, c->number, name);
        close(c->dir);
        (void)unlinkat(h->dir, name, AT_REMOVEDIR);
        slot_free(c);
    }
    for (unsigned i = 0; i < linger_count;) {
        if (linger[i].home == h)
            linger[i] = linger[--linger_count];
        else
            i++;
    }
    close(h->dir);
    *h = (struct cgroup_home){.dir = -1};
}

/* A directory that was removed has no files any more; one of the same name may be there instead. */
static bool home_alive(const struct cgroup_home *h)
{
    return faccessat(h->dir, "cgroup.procs", F_OK, 0) == 0;
}

/* The one that is not in use, or was not for longest. */
static struct cgroup_home *home_room(void)
{
    struct cgroup_home *best = NULL;
    for (unsigned i = 1; i < HOMES_MAX; i++) {
        if (homes[i].dir < 0)
            return &homes[i];
        if (homes[i].out == 0 && (!best || homes[i].used < best->used))
            best = &homes[i];
    }
    if (best)
        home_close(best);
    return best;
}

static struct cgroup_home *home_of(const char *path)
{
    if (!path)
        return homes;
    if (strlen(path) >= PATH_MAX_)
        return NULL;
    for (unsigned i = 1; i < HOMES_MAX; i++) {
        if (homes[i].dir < 0 || strcmp(homes[i].path, path) != 0)
            continue;
        if (home_alive(&homes[i]))
            return &homes[i];
        if (homes[i].out == 0)
            home_close(&homes[i]);
        else
            homes[i].path[0] = 0; /* closed when the last of it is given back */
    }
    struct cgroup_home *h = home_room();
    if (!h)
        return NULL;
    h->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (h->dir < 0)
        return NULL;
    memcpy(h->path, path, strlen(path) + 1);
    return h;
}

/* ---- one ---- */

static struct cgroup *make(struct cgroup_home *h)
{
    struct cgroup *c = unused;
    char name[48];
    if (c)
        unused = c->next;
    else if (slots_used < CGROUPS_MAX)
        c = &slots[slots_used++];
    else
        return NULL;
    c->home = h;
    c->dir = -1;
    /* A helper that was killed may have had our pid, and left what it made: that is not ours. */
    int r;
    do {
        c->number = next_number++;
        name_of(h, c->number, name);
        r = mkdirat(h->dir, name, 0755);
    } while (r < 0 && errno == EEXIST);
    if (r == 0)
        c->dir = openat(h->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir >= 0)
        return c;
    slot_free(c);
    return NULL;
}

struct cgroup *cgroup_get(const char *container)
{
    struct cgroup_home *h = home_of(container);
    if (!h)
        return NULL;
    struct cgroup *c = h->ready;
    if (c)
        h->ready = c->next;
    else
        c = make(h);
    if (c) {
        h->out++;
        h->used = ++gets;
    }
    return c;
}

bool cgroup_is_of(const struct cgroup *c, const char *container)
{
    return c->home == home_of(container);
}

bool cgroup_put(struct cgroup *c, bool spent)
{
    struct cgroup_home *h = c->home;
    bool left = cgroup_populated(c->dir);
    h->out--;
    if (!spent && !left && h->path[0]) {
        c->next = h->ready;
        h->ready = c;
        return false;
    }
    close(c->dir);
    retry_linger(4);
    if (linger_count < LINGER_MAX && h->path[0]) {
        linger[linger_count].home = h;
        linger[linger_count++].number = c->number;
    }
    slot_free(c);
    if (!h->path[0] && h->out == 0)
        home_close(h);
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

static bool write_at(int dir, const char *name, const char *digit)
{
    int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = write(fd, digit, 1);
    close(fd);
    return n == 1;
}

void cgroup_kill(int dir)
{
    (void)write_at(dir, "cgroup.kill", "1");
}

bool cgroup_freeze(int dir, bool on)
{
    return write_at(dir, "cgroup.freeze", on ? "1" : "0");
}

bool cgroup_holds(int dir, pid_t pid)
{
    char text[32];
    const char *end;
    return read_at(dir, "cgroup.procs", text, sizeof(text)) > 0 &&
           phrase_number(text, &end) == (uint64_t)pid && strcmp(end, "\n") == 0;
}

void cgroup_signal(int dir, int signo, pid_t except)
{
    static char text[65536];
    ssize_t n = read_at(dir, "cgroup.procs", text, sizeof(text));
    for (const char *p = text; n > 0 && *p;) {
        pid_t pid = (pid_t)phrase_number(p, &p);
        if (pid > 0 && pid != except)
            (void)kill(pid, signo);
        if (*p)
            p++;
    }
}

void cgroup_cleanup(void)
{
    if (homes[0].dir < 0)
        return;
    for (int i = 0; i < 500 && linger_count; i++) {
        retry_linger(LINGER_MAX);
        if (linger_count)
            nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    for (unsigned i = HOMES_MAX; i-- > 0;) {
        char path[PATH_MAX_];
        memcpy(path, homes[i].path, sizeof(path));
        if (homes[i].dir >= 0)
            home_close(&homes[i]);
        if (i == 0)
            (void)rmdir(path);
    }
}
