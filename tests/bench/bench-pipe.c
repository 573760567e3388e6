/* SPDX-License-Identifier: MIT */
/* How fast the output of a command arrives at the reader of a pipe; the kinds in turn.
 *
 *   bench-pipe UID ROUNDS BYTES SOCKET NAME=STATUS:PATH ARGS ... */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define KINDS_MAX 8

/* Bytes a microsecond, from the start of the process to its end. */
static double run(const struct bench_command *c, long long bytes, char **env)
{
    static char buf[1 << 16];
    int ends[2], status;
    long long got = 0;
    ssize_t n;
    if (pipe2(ends, O_CLOEXEC) < 0)
        bench_fail("pipe");
    double start = bench_now_us();
    pid_t pid = bench_spawn(c, ends[1], env);
    close(ends[1]);
    while ((n = read(ends[0], buf, sizeof(buf))) > 0)
        got += n;
    if (waitpid(pid, &status, 0) != pid)
        bench_fail("waitpid");
    double took = bench_now_us() - start;
    close(ends[0]);
    if (got != bytes || !bench_ended_well(c, status)) {
        fprintf(stderr, "bench: %s: %lld bytes, status %#x\n", c->path, got, (unsigned)status);
        exit(1);
    }
    return (double)bytes / took;
}

int main(int argc, char **argv)
{
    struct bench_command commands[KINDS_MAX];
    const char *names[KINDS_MAX];
    double *rate[KINDS_MAX], *ratio[KINDS_MAX];
    int count = argc - 5;
    if (count < 1 || count > KINDS_MAX) {
        fprintf(stderr, "bench-pipe UID ROUNDS BYTES SOCKET NAME=STATUS:PATH...\n");
        return 2;
    }
    int rounds = (int)strtol(argv[2], NULL, 10);
    long long bytes = strtoll(argv[3], NULL, 10);
    bench_become((uid_t)strtoul(argv[1], NULL, 10));
    char **env = bench_env(argv[4]);
    for (int k = 0; k < count; k++) {
        names[k] = strtok(argv[k + 5], "=");
        bench_parse_command(strtok(NULL, ""), &commands[k]);
        rate[k] = bench_alloc((size_t)rounds, sizeof(double));
        ratio[k] = bench_alloc((size_t)rounds, sizeof(double));
    }
    for (int i = 0; i < rounds; i++)
        for (int k = 0; k < count; k++) {
            rate[k][i] = run(&commands[k], bytes, env);
            ratio[k][i] = rate[k][i] / rate[0][i];
        }
    for (int k = 0; k < count; k++) {
        double low = bench_quantile(ratio[k], rounds, 0),
               high = bench_quantile(ratio[k], rounds, 1);
        printf("%s mb_per_second %.0f ratio %.3f low %.3f high %.3f\n", names[k],
               bench_quantile(rate[k], rounds, 0.5), bench_quantile(ratio[k], rounds, 0.5), low,
               high);
    }
    return 0;
}
