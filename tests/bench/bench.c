/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

double bench_now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

void bench_fail(const char *what)
{
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

void *bench_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    if (!p)
        bench_fail("calloc");
    return p;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double bench_quantile(double *v, int n, double q)
{
    qsort(v, (size_t)n, sizeof(*v), compare);
    return v[(int)((n - 1) * q)];
}

void bench_become(uid_t uid)
{
    if (uid != 0 && (setgroups(0, NULL) < 0 || setgid((gid_t)uid) < 0 || setuid(uid) < 0))
        bench_fail("cannot become another user");
}

void bench_parse_command(char *spec, struct bench_command *ret)
{
    char *rest, *save = NULL;
    int n = 0;
    *ret = (struct bench_command){.status = (int)strtol(spec, &rest, 10)};
    if (*rest != ':') {
        errno = EINVAL;
        bench_fail(spec);
    }
    for (char *word = strtok_r(rest + 1, " ", &save); word && n < BENCH_ARGS_MAX;
         word = strtok_r(NULL, " ", &save))
        ret->argv[n++] = word;
    if (n == 0) {
        errno = EINVAL;
        bench_fail(spec);
    }
    ret->path = ret->argv[0];
    char *slash = strrchr(ret->argv[0], '/');
    if (slash)
        ret->argv[0] = slash + 1;
}

pid_t bench_spawn(const struct bench_command *c, int out, char **env)
{
    posix_spawn_file_actions_t fa;
    pid_t pid;
    (void)posix_spawn_file_actions_init(&fa);
    (void)posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    if (out >= 0)
        (void)posix_spawn_file_actions_adddup2(&fa, out, 1);
    errno = posix_spawn(&pid, c->path, &fa, NULL, c->argv, env);
    if (errno != 0)
        bench_fail(c->path);
    (void)posix_spawn_file_actions_destroy(&fa);
    return pid;
}

bool bench_ended_well(const struct bench_command *c, int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == c->status;
}

char **bench_env(const char *socket)
{
    static char name[300], path[] = "PATH=/usr/bin:/bin";
    static char *env[3] = {path, NULL, NULL};
    if (socket) {
        (void)snprintf(name, sizeof(name), "CLAWRDEN_SOCKET=%s", socket);
        env[1] = name;
    } else {
        env[1] = NULL;
    }
    return env;
}
