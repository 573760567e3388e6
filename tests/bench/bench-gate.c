/* SPDX-License-Identifier: MIT */
/* Times from inside of a tree what starting programs costs there, so that the start of a supervisor
 * does not count. Prints microseconds for one.
 *
 *   bench-gate spawn N PATH     posix_spawn to wait
 *   bench-gate fail N           an execve of what is not there
 *   bench-gate getppid N        a system call that nobody judges
 *   bench-gate run N PATH ARG...  all of it, which does a thing N times
 *
 * From outside of it: the processor's time, of all that ends below and of all threads of another
 * process.
 *
 *   bench-gate used PID N PROGRAM ARG...  what it prints; then microseconds for one of N */
#include <dirent.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

extern char **environ;

static void run(char **argv)
{
    int status;
    pid_t pid;
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) < 0)
        bench_fail(argv[0]);
    if (status != 0) {
        fprintf(stderr, "bench: %s ended with status %#x\n", argv[0], (unsigned)status);
        exit(1);
    }
}

/* Of all threads that it has now, in microseconds. */
static double used_by(const char *pid)
{
    char path[300];
    double all = 0, one;
    const struct dirent *e;
    (void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
    DIR *d = opendir(path);
    if (!d)
        bench_fail(path);
    while ((e = readdir(d))) {
        if (e->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof(path), "/proc/%s/task/%s/schedstat", pid, e->d_name);
        FILE *f = fopen(path, "re");
        if (f && fscanf(f, "%lf", &one) == 1)
            all += one / 1000;
        if (f)
            fclose(f);
    }
    closedir(d);
    return all;
}

static double used_below(void)
{
    struct rusage u;
    (void)getrusage(RUSAGE_CHILDREN, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e6 +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static int used(const char *pid, int n, char **argv)
{
    int status;
    pid_t child;
    double before = used_by(pid);
    if (posix_spawnp(&child, argv[0], NULL, NULL, argv, environ) != 0 ||
        waitpid(child, &status, 0) < 0)
        bench_fail(argv[0]);
    if (status != 0)
        return 1;
    printf("%.3f\n", (used_by(pid) - before + used_below()) / n);
    return 0;
}

int main(int argc, char **argv)
{
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    if (argc > 4 && strcmp(argv[1], "used") == 0 && (n = (int)strtol(argv[3], NULL, 10)) > 0)
        return used(argv[2], n, argv + 4);
    char *nothing[] = {"x", NULL};
    if (n < 1 || (argc < 4 && (!strcmp(argv[1], "spawn") || !strcmp(argv[1], "run")))) {
        fprintf(stderr, "bench-gate spawn|fail|getppid|run N [PATH ARG...]\n"
                        "bench-gate used PID N PROGRAM [ARG...]\n");
        return 2;
    }
    double start = bench_now_us();
    if (strcmp(argv[1], "run") == 0)
        run(argv + 3);
    for (int i = 0; i < n; i++)
        if (strcmp(argv[1], "spawn") == 0)
            run(argv + 3);
        else if (strcmp(argv[1], "fail") == 0)
            (void)execve("/nowhere/at/all", nothing, environ);
        else if (strcmp(argv[1], "getppid") == 0)
            (void)syscall(SYS_getppid);
    printf("%.3f\n", (bench_now_us() - start) / n);
    return 0;
}
