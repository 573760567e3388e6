/* SPDX-License-Identifier: MIT */
/* Keeps many commands running at once and prints how many end in a second, and how many ended
 * otherwise than they must; the kinds in turn.
 *
 *   bench-load UID ROUNDS AT_ONCE TOTAL SOCKET NAME=STATUS:PATH ARGS ... */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "bench.h"

#define KINDS_MAX 8

/* Commands a second. */
static double run_all(const struct bench_command *c, int at_once, int total, char **env,
                      int *ret_failed)
{
    int started = 0, ended = 0, status;
    double start = bench_now_us();
    while (ended < total) {
        while (started < total && started - ended < at_once) {
            (void)bench_spawn(c, -1, env);
            started++;
        }
        if (wait(&status) < 0)
            bench_fail("wait");
        ended++;
        *ret_failed += !bench_ended_well(c, status);
    }
    return total / (bench_now_us() - start) * 1e6;
}

int main(int argc, char **argv)
{
    struct bench_command commands[KINDS_MAX];
    const char *names[KINDS_MAX];
    double *rate[KINDS_MAX], *ratio[KINDS_MAX];
    int failed[KINDS_MAX] = {0}, count = argc - 6;
    if (count < 1 || count > KINDS_MAX) {
        fprintf(stderr, "bench-load UID ROUNDS AT_ONCE TOTAL SOCKET NAME=STATUS:PATH...\n");
        return 2;
    }
    int rounds = (int)strtol(argv[2], NULL, 10), at_once = (int)strtol(argv[3], NULL, 10);
    int total = (int)strtol(argv[4], NULL, 10);
    bench_become((uid_t)strtoul(argv[1], NULL, 10));
    char **env = bench_env(argv[5]);
    for (int k = 0; k < count; k++) {
        names[k] = strtok(argv[k + 6], "=");
        bench_parse_command(strtok(NULL, ""), &commands[k]);
        rate[k] = bench_alloc((size_t)rounds, sizeof(double));
        ratio[k] = bench_alloc((size_t)rounds, sizeof(double));
    }
    for (int i = 0; i < rounds; i++)
        for (int k = 0; k < count; k++) {
            rate[k][i] = run_all(&commands[k], at_once, total, env, &failed[k]);
            ratio[k][i] = rate[k][i] / rate[0][i];
        }
    for (int k = 0; k < count; k++) {
        double low = bench_quantile(ratio[k], rounds, 0),
               high = bench_quantile(ratio[k], rounds, 1);
        printf("%s at_once %d per_second %.0f ratio %.3f low %.3f high %.3f failed %d\n", names[k],
               at_once, bench_quantile(rate[k], rounds, 0.5), bench_quantile(ratio[k], rounds, 0.5),
               low, high, failed[k]);
    }
    return 0;
}
