/* SPDX-License-Identifier: MIT */
/* What the benchmarks share. They are for people at a terminal: what fails is said, and ends them.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#define BENCH_ARGS_MAX 32

/* A process to be measured. */
struct bench_command {
    char *argv[BENCH_ARGS_MAX + 1]; /* argv[0] is the file's base name */
    const char *path;
    int status; /* that it must end with */
};

double bench_now_us(void);
_Noreturn void bench_fail(const char *what); /* says errno */
void *bench_alloc(size_t n, size_t size);
/* Of `n` values, which are sorted by it. */
double bench_quantile(double *v, int n, double q);
/* As that user from now on, without groups; 0: as we are. */
void bench_become(uid_t uid);

/* "STATUS:PATH ARG ARG", which is cut up. */
void bench_parse_command(char *spec, struct bench_command *ret);
/* Its stdout goes to `out` (-1: ours), its stderr to /dev/null. */
pid_t bench_spawn(const struct bench_command *c, int out, char **env);
/* false: it ended otherwise than it must. */
bool bench_ended_well(const struct bench_command *c, int status);
/* PATH and, with a socket, CLAWRDEN_SOCKET. */
char **bench_env(const char *socket);
