/* SPDX-License-Identifier: MIT */
/* What the helper costs: `meson test --benchmark`, or run it by hand. */
#include "exec-case.h"

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print_times(const char *what, double *v, size_t n)
{
    qsort(v, n, sizeof(*v), by_value);
    printf("%-34s p50 %6.0f us   p90 %6.0f us   p99 %6.0f us\n", what, v[n / 2], v[n * 9 / 10],
           v[n * 99 / 100]);
}

static double since(uint64_t t)
{
    return (double)(clock_monotonic() - t) / 1000;
}

static void spin_until(const bool *flag)
{
    while (!*flag)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void bench(void **state)
{
    enum { N = 500 };
    static double plain[N], lookup[N], whole[N];
    char *const argv[] = {(char *)"true", NULL}, *const env[] = {NULL};
    struct shim *s = shim_new(DOOR_SHIM_V2, UID, f->dir, ARGV("true"));
    for (int i = 0; i < N; i++) {
        uint64_t t = clock_monotonic();
        pid_t pid = vfork();
        if (pid == 0) {
            execve("/bin/true", argv, env);
            _exit(1);
        }
        waitpid(pid, NULL, 0);
        plain[i] = since(t);

        int sv[2];
        struct err err;
        uint8_t bytes[64];
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        close_fd(&s->conn);
        s->conn = sv[0];
        s->seen = (struct seen){0};
        t = clock_monotonic();
        assert_int_equal(f->resolver->resolve(f->resolver, s->r, &err), 0);
        spin_until(&s->seen.resolved);
        lookup[i] = since(t);
        t = clock_monotonic();
        assert_int_equal(f->local->start(f->local, s->r, sv[1], "A=b", 4, 1, &err), 0);
        assert_int_equal(recv(s->conn, bytes, sizeof(bytes), 0), V2_HEAD_SIZE + V2_GO_SIZE);
        int fds[3] = {s->in, s->out_w, s->out_w};
        send_fds(s, 0, fds, 3);
        spin_until(&s->seen.ended);
        assert_int_equal(s->seen.end.kind, END_EXIT);
        f->local->release(f->local, s->r);
        assert_true(recv(s->conn, bytes, sizeof(bytes), 0) > 0);
        whole[i] = since(t);
    }
    print_times("plain vfork + exec /bin/true", plain, N);
    print_times("lookup by the helper", lookup, N);
    print_times("start to exit by the helper", whole, N);
    shim_free(s);
}

int main(void)
{
    const struct CMUnitTest benches[] = {EXEC_TEST(bench)};
    return cmocka_run_group_tests(benches, NULL, NULL);
}
