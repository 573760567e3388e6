/* SPDX-License-Identifier: MIT */
/* Descriptors are closed, elsewhere, and the queue is seen. */
#include "door/disposer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void what_is_put_is_closed(void **state)
{
    struct disposer *d = disposer_new();
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    disposer_put(d, pair[1]);
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(p.revents & POLLHUP);
    close(pair[0]);
    disposer_free(d);
}

static void many_are_closed_and_the_queue_empties(void **state)
{
    struct disposer *d = disposer_new();
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    for (int i = 0; i < 900; i++) {
        int fd = dup(pair[1]); /* not ours to keep: the disposer's */
        assert_true(fd >= 0);
        disposer_put(d, fd);
    }
    close(pair[1]);
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(p.revents & POLLHUP);
    assert_int_equal(disposer_pending(d), 0);
    assert_false(disposer_full(d));
    close(pair[0]);
    disposer_free(d);
}

static void what_was_put_before_the_end_is_closed_after_it(void **state)
{
    struct disposer *d = disposer_new();
    int pair[2];
    assert_int_equal(pipe(pair), 0);
    disposer_put(d, pair[1]);
    disposer_free(d);
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 5000), 1);
    assert_true(p.revents & POLLHUP);
    close(pair[0]);
}

/* A socket whose close waits for its peer, who does not read: two seconds of it. */
static int lingering_socket(int *ret_peer)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    char junk[65536] = {0};
    struct linger linger = {.l_onoff = 1, .l_linger = 2};
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&a, &n), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    *ret_peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(*ret_peer >= 0);
    close(listener);
    while (send(fd, junk, sizeof(junk), MSG_DONTWAIT) > 0)
        ;
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    return fd;
}

static void a_close_that_blocks_holds_up_no_caller(void **state)
{
    struct disposer *d = disposer_new();
    int peers[DISPOSER_THREADS_MAX], pair[2];
    uint64_t start = clock_monotonic();
    for (size_t i = 0; i < DISPOSER_THREADS_MAX; i++)
        disposer_put(d, lingering_socket(&peers[i]));
    for (int i = 0; i < 1000 && disposer_pending(d) > 0; i++)
        (void)poll(NULL, 0, 1);
    assert_int_equal(pipe(pair), 0);
    for (size_t i = 0; i < DISPOSER_QUEUE_MAX; i++) /* all threads are stuck: these wait */
        disposer_put(d, open("/dev/null", O_RDONLY | O_CLOEXEC));
    disposer_put(d, pair[1]);
    assert_true(clock_monotonic() - start < CLOCK_NS_PER_SEC);
    assert_true(disposer_full(d));
    struct pollfd p = {.fd = pair[0], .events = POLLIN};
    assert_int_equal(poll(&p, 1, 10000), 1);
    for (int i = 0; i < 1000 && disposer_pending(d) > 0; i++)
        (void)poll(NULL, 0, 10);
    assert_false(disposer_full(d));
    disposer_free(d);
    close(pair[0]);
    for (size_t i = 0; i < DISPOSER_THREADS_MAX; i++)
        close(peers[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_closed),
        cmocka_unit_test(many_are_closed_and_the_queue_empties),
        cmocka_unit_test(a_close_that_blocks_holds_up_no_caller),
        cmocka_unit_test(what_was_put_before_the_end_is_closed_after_it),
    };
    struct rlimit l; /* more descriptors than one test's usual limit */
    if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
        l.rlim_cur = l.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &l);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
