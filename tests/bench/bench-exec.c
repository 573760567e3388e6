/* SPDX-License-Identifier: MIT */
/* Times whole processes and single verdicts, one of each kind in turn so that a drift of the
 * machine meets all of them alike: a plain /bin/true, a shim that is refused, a shim that is
 * allowed, and a connection that asks for a verdict without any process. Prints one line a kind
 * and, for the others, the median of the ratios to the plain run of the same turn. bench-exec
 * SOCKET SHIM_DIR TURNS      SHIM_DIR has links "true" (allowed) and "denied" */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "wire/bytes.h"
#include "wire/v2.h"

enum kind { PLAIN, DENY, ALLOW, VERDICT, KINDS };
static const char *const kind_names[KINDS] = {"plain", "deny", "allow", "verdict"};

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench-exec: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double time_process(const char *path, char *name, int expected, char **env)
{
    posix_spawn_file_actions_t fa;
    char *argv[] = {name, NULL};
    pid_t pid;
    int status;

    posix_spawn_file_actions_init(&fa);
    posix_spawn_file_actions_addopen(&fa, 2, "/dev/null", O_WRONLY, 0);
    double start = now_us();
    if (posix_spawn(&pid, path, &fa, NULL, argv, env) != 0)
        fail(path);
    if (waitpid(pid, &status, 0) != pid)
        fail("waitpid");
    double took = now_us() - start;
    posix_spawn_file_actions_destroy(&fa);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected) {
        fprintf(stderr, "bench-exec: %s ended with status %#x instead of %d\n", path, status,
                expected);
        exit(1);
    }
    return took;
}

static int connect_to(const char *path)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
        fail("connect");
    return fd;
}

static double time_verdict(const char *socket_path)
{
    static const char strings[] = "denied\0/\0denied\0PATH=/usr/bin:/bin";
    uint8_t msg[V2_MAGIC_SIZE + V2_HEAD_SIZE + V2_REQUEST_HEAD_SIZE + sizeof(strings)];
    uint8_t head[V2_HEAD_SIZE];
    struct v2_request r = {.argc = 1, .envc = 1, .umask = 022};

    memcpy(msg, V2_MAGIC, V2_MAGIC_SIZE);
    v2_head_encode(V2_REQUEST, V2_REQUEST_HEAD_SIZE + sizeof(strings), msg + V2_MAGIC_SIZE);
    v2_request_head_encode(&r, msg + V2_MAGIC_SIZE + V2_HEAD_SIZE);
    memcpy(msg + sizeof(msg) - sizeof(strings), strings, sizeof(strings));

    double start = now_us();
    int fd = connect_to(socket_path);
    if (write(fd, msg, sizeof(msg)) != (ssize_t)sizeof(msg))
        fail("write");
    if (recv(fd, head, sizeof(head), MSG_WAITALL) != (ssize_t)sizeof(head))
        fail("read");
    double took = now_us() - start;
    close(fd);
    if (head[0] != V2_REFUSED) {
        fprintf(stderr, "bench-exec: verdict message of type %#x\n", head[0]);
        exit(1);
    }
    return took;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *v, int n, double q)
{
    qsort(v, (size_t)n, sizeof(*v), compare);
    return v[(int)((n - 1) * q)];
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "bench-exec SOCKET SHIM_DIR TURNS\n");
        return 2;
    }
    int turns = atoi(argv[3]); /* NOLINT(cert-err34-c): a person's own argument */
    char env_socket[256], deny[256], allow[256];
    snprintf(env_socket, sizeof(env_socket), "CLAWRDEN_SOCKET=%s", argv[1]);
    snprintf(deny, sizeof(deny), "%s/denied", argv[2]);
    snprintf(allow, sizeof(allow), "%s/true", argv[2]);
    char *env[] = {env_socket, (char[]){"PATH=/usr/bin:/bin"}, NULL};
    double *t[KINDS], *ratio[KINDS];
    for (int k = 0; k < KINDS; k++) {
        t[k] = calloc((size_t)turns, sizeof(double));
        ratio[k] = calloc((size_t)turns, sizeof(double));
        if (!t[k] || !ratio[k])
            fail("calloc");
    }
    for (int i = -10; i < turns; i++) {
        double took[KINDS];
        took[PLAIN] = time_process("/bin/true", (char[]){"true"}, 0, env);
        took[DENY] = time_process(deny, (char[]){"denied"}, 126, env);
        took[ALLOW] = time_process(allow, (char[]){"true"}, 0, env);
        took[VERDICT] = time_verdict(argv[1]);
        for (int k = 0; i >= 0 && k < KINDS; k++) {
            t[k][i] = took[k];
            ratio[k][i] = took[k] / took[PLAIN];
        }
    }
    for (int k = 0; k < KINDS; k++) {
        printf("%s p25_us %.0f p50_us %.0f p99_us %.0f ratio_p50 %.3f\n", kind_names[k],
               quantile(t[k], turns, 0.25), quantile(t[k], turns, 0.5), quantile(t[k], turns, 0.99),
               quantile(ratio[k], turns, 0.5));
        free(t[k]);
        free(ratio[k]);
    }
    return 0;
}
