/* SPDX-License-Identifier: MIT */
/* Times from inside of a tree what starting programs costs there, so that the start of a supervisor
 * does not count. Prints microseconds for one.
 *
 *   bench-gate spawn N PATH     posix_spawn to wait
 *   bench-gate fail N           an execve of what is not there
 *   bench-gate getppid N        a system call that nobody judges
 *   bench-gate run N PATH ARG...  all of it, which does a thing N times */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(int argc, char **argv)
{
    int n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 0;
    char *nothing[] = {"x", NULL};
    if (n < 1 || (argc < 4 && (!strcmp(argv[1], "spawn") || !strcmp(argv[1], "run")))) {
        fprintf(stderr, "bench-gate spawn|fail|getppid|run N [PATH ARG...]\n");
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
