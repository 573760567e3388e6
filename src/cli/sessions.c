/* SPDX-License-Identifier: MIT */
#include "cli/sessions.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cli.h"

bool sessions_name_ok(const char *name)
{
    size_t n = strlen(name);
    return n > 0 && n <= SESSIONS_NAME_MAX && name[0] != '.' && name[0] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

char *sessions_root(void)
{
    _cleanup_free_ char *state = cli_state_dir();
    return path_join(state, "run");
}

static bool accepts(const char *path)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(a.sun_path))
        return false;
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
    _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void sessions_done(struct sessions *s)
{
    for (size_t i = 0; i < s->count; i++) {
        free(s->names[i]);
        free(s->addresses[i]);
    }
    free(s->names);
    free(s->addresses);
    *s = SESSIONS_INIT;
}

void sessions_find(struct sessions *ret)
{
    _cleanup_free_ char *root = sessions_root();
    *ret = SESSIONS_INIT;
    DIR *d = opendir(root);
    if (!d)
        return; /* nobody ever ran one here */
    for (const struct dirent *e; (e = readdir(d));) {
        if (!sessions_name_ok(e->d_name))
            continue;
        _cleanup_free_ char *path = mem_printf("%s/%s/api.sock", root, e->d_name);
        if (!accepts(path))
            continue;
        ret->names = mem_realloc_array(ret->names, ret->count + 1, sizeof(*ret->names));
        ret->names[ret->count++] = mem_strdup(e->d_name);
    }
    (void)closedir(d);
    if (ret->count > 0)
        qsort(ret->names, ret->count, sizeof(*ret->names), by_name);
    ret->addresses = mem_new_array(char *, ret->count + 1);
    for (size_t i = 0; i < ret->count; i++)
        ret->addresses[i] = mem_printf("unix:%s/%s/api.sock", root, ret->names[i]);
}

int sessions_await(const char *dir, int pidfd, unsigned ms)
{
    static const unsigned step = 5;
    _cleanup_free_ char *path = path_join(dir, "api.sock");
    uint64_t end = clock_monotonic() + ms * CLOCK_NS_PER_MS;
    while (!accepts(path)) {
        struct pollfd p = {.fd = pidfd, .events = POLLIN};
        if (clock_monotonic() > end)
            return -ETIMEDOUT;
        if (poll(&p, 1, (int)step) > 0)
            return -ECHILD;
    }
    return 0;
}
