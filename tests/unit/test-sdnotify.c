/* SPDX-License-Identifier: MIT */
/* What the service manager hears, on a socket of ours in its place. */
#include "warden/sdnotify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char dir[] = "/tmp/clawrden-test-XXXXXX";
static char path[64];
static char heard[512];

static int setup(void **state)
{
    (void)unsetenv("WATCHDOG_USEC");
    (void)unsetenv("WATCHDOG_PID");
    return unsetenv("NOTIFY_SOCKET");
}

/* A manager that listens at `name` in the form of NOTIFY_SOCKET, which is set. */
static int listen_at(const char *name)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t n = strlen(name);
    memcpy(a.sun_path, name, n);
    if (name[0] == '@')
        a.sun_path[0] = '\0';
    else
        (void)unlink(name);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(
        bind(fd, (struct sockaddr *)&a,
             (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] != '@'))),
        0);
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    return fd;
}

static const char *hear(int fd)
{
    ssize_t n = recv(fd, heard, sizeof(heard) - 1, MSG_DONTWAIT);
    heard[n < 0 ? 0 : n] = '\0';
    return n < 0 ? NULL : heard;
}

static void a_manager_hears_each_state(void **state)
{
    struct sdnotify n;
    unsigned long long before = clock_monotonic() / 1000, said = 0;
    int fd = listen_at(path);
    sdnotify_init(&n);
    assert_int_equal(n.watchdog, 0);
    sdnotify_ready(&n, "3 rules");
    assert_string_equal(hear(fd), "READY=1\nSTATUS=3 rules");
    sdnotify_reloading(&n);
    assert_non_null(hear(fd));
    assert_int_equal(sscanf(heard, "RELOADING=1\nMONOTONIC_USEC=%llu", &said), 1);
    assert_true(said >= before && said <= clock_monotonic() / 1000);
    sdnotify_alive(&n);
    assert_string_equal(hear(fd), "WATCHDOG=1");
    sdnotify_stopping(&n);
    assert_string_equal(hear(fd), "STOPPING=1");
    sdnotify_done(&n);
    close(fd);
}

static void a_name_in_the_abstract_namespace_is_found(void **state)
{
    struct sdnotify n;
    char name[64];
    (void)snprintf(name, sizeof(name), "@clawrden-test-%d", (int)getpid());
    int fd = listen_at(name);
    sdnotify_init(&n);
    sdnotify_stopping(&n);
    assert_string_equal(hear(fd), "STOPPING=1");
    sdnotify_done(&n);
    close(fd);
}

static void what_we_start_does_not_inherit_it(void **state)
{
    struct sdnotify n;
    int fd = listen_at(path);
    (void)setenv("WATCHDOG_USEC", "30000000", 1);
    sdnotify_init(&n);
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    sdnotify_done(&n);
    close(fd);
}

static void the_watchdog_is_ours_only_when_it_names_us(void **state)
{
    char self[16];
    (void)snprintf(self, sizeof(self), "%d", (int)getpid());
    const struct {
        const char *us, *pid;
        uint64_t ns;
    } rows[] = {
        {"30000000", NULL, 30 * CLOCK_NS_PER_SEC},
        {"1500000", self, 1500 * CLOCK_NS_PER_MS},
        {"30000000", "1", 0},
        {"30000000", "", 0},
        {"0", self, 0},
        {"-1", self, 0},
        {"12x", self, 0},
        {"99999999999999999999", self, 0},
        {NULL, self, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct sdnotify n;
        int fd = listen_at(path);
        if (rows[i].us)
            (void)setenv("WATCHDOG_USEC", rows[i].us, 1);
        if (rows[i].pid)
            (void)setenv("WATCHDOG_PID", rows[i].pid, 1);
        sdnotify_init(&n);
        if (n.watchdog != rows[i].ns)
            fail_msg("row %zu: %llu", i, (unsigned long long)n.watchdog);
        sdnotify_done(&n);
        close(fd);
    }
}

static void without_a_manager_nothing_is_told(void **state)
{
    static const char *const addresses[] = {NULL,       "",          "@",
                                            "relative", "vsock:2:1", "/nowhere/at/all"};
    char too_long[256];
    memset(too_long, 'x', sizeof(too_long) - 1);
    too_long[0] = '/';
    too_long[sizeof(too_long) - 1] = '\0';
    for (size_t i = 0; i <= sizeof(addresses) / sizeof(addresses[0]); i++) {
        const char *a = i < sizeof(addresses) / sizeof(addresses[0]) ? addresses[i] : too_long;
        struct sdnotify n;
        if (a)
            (void)setenv("NOTIFY_SOCKET", a, 1);
        (void)setenv("WATCHDOG_USEC", "1000000", 1);
        sdnotify_init(&n);
        if (n.fd < 0)
            assert_int_equal(n.watchdog, 0);
        sdnotify_ready(&n, "x");
        sdnotify_reloading(&n);
        sdnotify_alive(&n);
        sdnotify_stopping(&n);
        sdnotify_done(&n);
    }
}

/* A manager that does not read must not stop us. */
static void a_manager_that_is_full_does_not_block(void **state)
{
    struct sdnotify n;
    int fd = listen_at(path);
    sdnotify_init(&n);
    for (int i = 0; i < 5000; i++)
        sdnotify_alive(&n);
    assert_string_equal(hear(fd), "WATCHDOG=1");
    sdnotify_done(&n);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_manager_hears_each_state, setup),
        cmocka_unit_test_setup(a_name_in_the_abstract_namespace_is_found, setup),
        cmocka_unit_test_setup(what_we_start_does_not_inherit_it, setup),
        cmocka_unit_test_setup(the_watchdog_is_ours_only_when_it_names_us, setup),
        cmocka_unit_test_setup(without_a_manager_nothing_is_told, setup),
        cmocka_unit_test_setup(a_manager_that_is_full_does_not_block, setup),
    };
    if (!mkdtemp(dir))
        return 1;
    (void)snprintf(path, sizeof(path), "%s/notify", dir);
    int r = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    (void)rmdir(dir);
    return r;
}
