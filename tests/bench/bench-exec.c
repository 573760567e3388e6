/* SPDX-License-Identifier: MIT */
/* Times one of each kind in turn, so that a drift of the machine meets all of them alike. Prints
 * one line a kind; ratios are to the first kind in the same turn.
 *
 *   bench-exec UID TURNS SOCKET KIND...
 *     NAME=run:STATUS:PATH ARGS       a whole process, posix_spawn to wait
 *     NAME=verdict:SOCKET:COMMAND     connect, request, first bytes of the refusal; no process
 *     NAME=echo:                      the same bytes to and from a process that only echoes
 *
 * UID: of the caller, 0 for ours. SOCKET: what the shims among the processes are told. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"
#include "wire/bytes.h"
#include "wire/v2.h"

#define KINDS_MAX 16
#define WARM_UP 10
#define REQUEST_MAX 1024
#define ANSWER_SIZE 170 /* about what a refusal is long */

enum what { RUN, VERDICT, ECHO };

struct kind {
    const char *name;
    enum what what;
    struct bench_command command; /* RUN */
    struct sockaddr_un address;
    uint8_t request[REQUEST_MAX];
    size_t request_len;
    double *us, *ratio;
};

static double time_process(const struct kind *k, char **env)
{
    int status;
    double start = bench_now_us();
    pid_t pid = bench_spawn(&k->command, -1, env);
    if (waitpid(pid, &status, 0) != pid)
        bench_fail("waitpid");
    double took = bench_now_us() - start;
    if (!bench_ended_well(&k->command, status)) {
        fprintf(stderr, "bench: %s (%s) ended with status %#x instead of %d\n", k->name,
                k->command.path, (unsigned)status, k->command.status);
        exit(1);
    }
    return took;
}

static double time_verdict(const struct kind *k)
{
    uint8_t head[V2_HEAD_SIZE];
    double start = bench_now_us();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&k->address, sizeof(k->address)) != 0)
        bench_fail("connect");
    if (write(fd, k->request, k->request_len) != (ssize_t)k->request_len)
        bench_fail("write");
    if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
        bench_fail("read");
    double took = bench_now_us() - start;
    close(fd);
    if (k->what == VERDICT && head[0] != V2_REFUSED) {
        fprintf(stderr, "bench: %s: a message of type %#x\n", k->name, head[0]);
        exit(1);
    }
    return took;
}

static void make_request(struct kind *k, const char *command)
{
    char strings[512];
    struct v2_request r = {.argc = 1, .envc = 1, .umask = 022};
    int n = snprintf(strings, sizeof(strings), "%s%c/%c%s%cPATH=/usr/bin:/bin", command, 0, 0,
                     command, 0);
    size_t len = (size_t)n + 1, at = V2_MAGIC_SIZE + V2_HEAD_SIZE + V2_REQUEST_HEAD_SIZE;
    memcpy(k->request, V2_MAGIC, V2_MAGIC_SIZE);
    v2_head_encode(V2_REQUEST, (uint32_t)(V2_REQUEST_HEAD_SIZE + len), k->request + V2_MAGIC_SIZE);
    v2_request_head_encode(&r, k->request + V2_MAGIC_SIZE + V2_HEAD_SIZE);
    memcpy(k->request + at, strings, len);
    k->request_len = at + len;
}

/* The floor of every verdict: a process that accepts, reads, answers and closes. */
_Noreturn static void echo(int listener)
{
    char in[REQUEST_MAX], out[ANSWER_SIZE] = {0};
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0 || read(fd, in, sizeof(in)) <= 0 || write(fd, out, sizeof(out)) < 0)
            _exit(1);
        close(fd);
    }
}

static void start_echo(struct kind *k)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    k->address.sun_family = AF_UNIX; /* an abstract name, whose first byte is 0 */
    (void)snprintf(k->address.sun_path + 1, sizeof(k->address.sun_path) - 1, "clawrden-bench-%d",
                   (int)getpid());
    if (fd < 0 || bind(fd, (struct sockaddr *)&k->address, sizeof(k->address)) != 0 ||
        listen(fd, 8) != 0)
        bench_fail("echo");
    pid_t pid = fork();
    if (pid < 0)
        bench_fail("fork");
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        echo(fd);
    }
    close(fd);
}

static void parse(char *arg, struct kind *k)
{
    char *eq = strchr(arg, '=');
    char *spec = eq ? eq + 1 : arg;
    errno = EINVAL;
    if (!eq)
        bench_fail(arg);
    *eq = '\0';
    k->name = arg;
    if (strncmp(spec, "run:", 4) == 0) {
        k->what = RUN;
        bench_parse_command(spec + 4, &k->command);
    } else if (strncmp(spec, "verdict:", 8) == 0) {
        char *command = strrchr(spec, ':');
        *command++ = '\0';
        k->what = VERDICT;
        k->address.sun_family = AF_UNIX;
        (void)snprintf(k->address.sun_path, sizeof(k->address.sun_path), "%s", spec + 8);
        make_request(k, command);
    } else if (strcmp(spec, "echo:") == 0) {
        k->what = ECHO;
        make_request(k, "denied");
        start_echo(k);
    } else {
        bench_fail(spec);
    }
}

int main(int argc, char **argv)
{
    static struct kind kinds[KINDS_MAX];
    int count = argc - 4;
    if (count < 1 || count > KINDS_MAX) {
        fprintf(stderr, "bench-exec UID TURNS SOCKET KIND...\n");
        return 2;
    }
    int turns = (int)strtol(argv[2], NULL, 10);
    bench_become((uid_t)strtoul(argv[1], NULL, 10));
    char **env = bench_env(argv[3]);
    for (int k = 0; k < count; k++) {
        parse(argv[k + 4], &kinds[k]);
        kinds[k].us = bench_alloc((size_t)turns, sizeof(double));
        kinds[k].ratio = bench_alloc((size_t)turns, sizeof(double));
    }
    for (int i = -WARM_UP; i < turns; i++) {
        double took[KINDS_MAX];
        for (int k = 0; k < count; k++)
            took[k] = kinds[k].what == RUN ? time_process(&kinds[k], env) : time_verdict(&kinds[k]);
        for (int k = 0; i >= 0 && k < count; k++) {
            kinds[k].us[i] = took[k];
            kinds[k].ratio[i] = took[k] / took[0];
        }
    }
    for (int k = 0; k < count; k++)
        printf("%s p50_us %.0f p99_us %.0f ratio_p50 %.3f ratio_p99 %.3f\n", kinds[k].name,
               bench_quantile(kinds[k].us, turns, 0.5), bench_quantile(kinds[k].us, turns, 0.99),
               bench_quantile(kinds[k].ratio, turns, 0.5),
               bench_quantile(kinds[k].ratio, turns, 0.99));
    return 0;
}
