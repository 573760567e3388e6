/* SPDX-License-Identifier: MIT */
#include "mirror/hierarchy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "mirror/phrase.h"

#define NAME_MAX_ 64
#define TEXT_MAX_ 65536

static struct mount {
    char controllers[NAME_MAX_]; /* as in mountinfo: "rw,cpu,cpuacct" or "rw,name=systemd" */
    char at[128];
} mounts[HIERARCHY_MAX];
static unsigned mounts_count;
static char v2[128];
static char text[TEXT_MAX_];

static bool read_text(const char *path)
{
    int fd = openat(AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = -1;
    if (fd < 0)
        return false;
    while (len < sizeof(text) - 1 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)n;
    close(fd);
    text[len] = 0;
    return n == 0;
}

/* The next word of a line that ends with a newline; false at its end. */
static bool word(const char **p, char *out, size_t size)
{
    size_t n;
    while (**p == ' ')
        (*p)++;
    n = strcspn(*p, " \n");
    if (n == 0 || n >= size)
        return false;
    memcpy(out, *p, n);
    out[n] = 0;
    *p += n;
    return true;
}

/* id parent major:minor root at options [optional]... - type source super-options */
static void read_mount(const char *line)
{
    char skip[4096], root[256], at[128], type[32];
    struct mount *m = &mounts[mounts_count];
    const char *p = line, *end = strchr(line, '\n');
    const char *dash = strstr(line, " - ");
    if (!end || !dash || dash > end)
        return;
    for (int i = 0; i < 3; i++)
        if (!word(&p, skip, sizeof(skip)))
            return;
    if (!word(&p, root, sizeof(root)) || !word(&p, at, sizeof(at)))
        return;
    p = dash + 3;
    if (!word(&p, type, sizeof(type)) || strcmp(root, "/") != 0)
        return;
    if (strcmp(type, "cgroup2") == 0 && !v2[0]) {
        memcpy(v2, at, strlen(at) + 1);
    } else if (strcmp(type, "cgroup") == 0 && mounts_count < HIERARCHY_MAX &&
               word(&p, skip, sizeof(skip)) && word(&p, m->controllers, sizeof(m->controllers))) {
        memcpy(m->at, at, strlen(at) + 1);
        mounts_count++;
    }
}

void hierarchy_setup(void)
{
    mounts_count = 0;
    v2[0] = 0;
    if (!read_text("/proc/self/mountinfo"))
        return;
    for (const char *line = text; *line;) {
        const char *end = strchr(line, '\n');
        if (!end)
            return;
        read_mount(line);
        line = end + 1;
    }
}

const char *hierarchy_v2(void)
{
    return v2;
}

static bool read_cgroups(pid_t pid)
{
    char path[40];
    struct phrase w = PHRASE(path);
    phrase_add(&w, "/proc/");
    phrase_add_number(&w, (uint64_t)pid);
    phrase_add(&w, "/cgroup");
    return read_text(path);
}

/* One line "7:cpu,cpuacct:/path": its parts are cut apart in place. false at the end. */
static bool next_line(char **at, char **controllers, char **path)
{
    char *line = *at, *end = strchr(line, '\n');
    char *first = strchr(line, ':');
    if (!end || !first)
        return false;
    *end = 0;
    char *second = strchr(first + 1, ':');
    if (!second)
        return false;
    *second = 0;
    *controllers = first + 1;
    *path = second + 1;
    *at = end + 1;
    return true;
}

int hierarchy_v2_path(pid_t pid, char out[HIERARCHY_PATH_MAX])
{
    char *at = text, *controllers, *path;
    struct phrase w = {.text = out, .size = HIERARCHY_PATH_MAX};
    if (!v2[0] || !read_cgroups(pid))
        return -ENOENT;
    while (next_line(&at, &controllers, &path)) {
        if (controllers[0])
            continue;
        /* "/.." shows that we are in a cgroup namespace that is not the host's. */
        if (path[0] != '/' || !path[1] || strncmp(path, "/..", 3) == 0 ||
            strlen(v2) + strlen(path) >= HIERARCHY_PATH_MAX)
            return -ENOENT;
        out[0] = 0;
        phrase_add(&w, v2);
        phrase_add(&w, path);
        return 0;
    }
    return -ENOENT;
}

/* Is every one of "cpu,cpuacct" among the mount's options? The first is enough: a controller is in
 * one hierarchy only. */
static const struct mount *find_mount(const char *controllers)
{
    size_t n = strcspn(controllers, ",");
    for (unsigned i = 0; i < mounts_count; i++)
        for (const char *p = mounts[i].controllers; *p;) {
            size_t k = strcspn(p, ",");
            if (k == n && memcmp(p, controllers, n) == 0)
                return &mounts[i];
            p += k + (p[k] == ',');
        }
    return NULL;
}

int hierarchy_open(pid_t pid, int fds[HIERARCHY_MAX], const char **ret_what)
{
    static char what[NAME_MAX_];
    char *at = text, *controllers, *path, file[HIERARCHY_PATH_MAX];
    int count = 0;
    *ret_what = "its cgroups";
    if (!read_cgroups(pid))
        return -EIO;
    while (next_line(&at, &controllers, &path)) {
        struct phrase w = PHRASE(file), n = PHRASE(what);
        const struct mount *m = find_mount(controllers);
        if (!controllers[0] || strcmp(path, "/") == 0)
            continue;
        what[0] = file[0] = 0;
        phrase_add(&n, controllers);
        *ret_what = what;
        int r = !m ? -ENOENT : count == HIERARCHY_MAX ? -E2BIG : 0;
        if (r == 0 && strlen(m->at) + strlen(path) + sizeof("/tasks") > sizeof(file))
            r = -ENAMETOOLONG;
        if (r == 0) {
            phrase_add(&w, m->at);
            phrase_add(&w, path);
            phrase_add(&w, "/tasks");
            fds[count] = open(file, O_WRONLY | O_CLOEXEC);
            r = fds[count] < 0 ? -errno : 0;
        }
        if (r < 0) {
            hierarchy_close(fds, count);
            return r;
        }
        count++;
    }
    return count;
}

/* The v1 lines of /proc/PID/cgroup, which come before that of v2: their length in `text`. */
static size_t v1_lines(pid_t pid)
{
    if (!read_cgroups(pid))
        return 0;
    const char *end = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    return end ? (size_t)(end - text) + 1 : 0;
}

bool hierarchy_same(pid_t a, pid_t b)
{
    static char first[8192];
    size_t n = v1_lines(a);
    if (n == 0 || n > sizeof(first))
        return false;
    memcpy(first, text, n);
    return v1_lines(b) == n && memcmp(first, text, n) == 0;
}

bool hierarchy_pids_allow(pid_t pid, uint64_t count)
{
    char *at = text, *controllers, *path, file[HIERARCHY_PATH_MAX];
    struct phrase w = PHRASE(file);
    file[0] = 0;
    if (!read_cgroups(pid))
        return false;
    while (next_line(&at, &controllers, &path)) {
        const struct mount *m = controllers[0] ? find_mount(controllers) : NULL;
        const char *mount = m ? m->at : v2;
        /* v2 comes last, and counts where v1 has none */
        if ((controllers[0] && strcmp(controllers, "pids") != 0) || (!controllers[0] && file[0]))
            continue;
        if (!mount[0] || strlen(mount) + strlen(path) + sizeof("/pids.max") > sizeof(file))
            return false;
        phrase_add(&w, mount);
        phrase_add(&w, path);
        phrase_add(&w, "/pids.max");
    }
    /* Without such a file nobody counts. */
    if (!read_text(file) || strncmp(text, "max", 3) == 0)
        return access(file, F_OK) < 0 || strncmp(text, "max", 3) == 0;
    return phrase_number(text, NULL) >= count;
}

void hierarchy_close(int fds[HIERARCHY_MAX], int count)
{
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

int hierarchy_join(const int fds[HIERARCHY_MAX], int count)
{
    for (int i = 0; i < count; i++)
        if (write(fds[i], "0", 1) != 1)
            return errno ? -errno : -EIO;
    return 0;
}
