/* SPDX-License-Identifier: MIT */
/* Descriptors are closed, elsewhere, and the queue is seen. */
#include "door/disposer.h"

#include <poll.h>
#include <unistd.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_is_closed),
        cmocka_unit_test(many_are_closed_and_the_queue_empties),
        cmocka_unit_test(what_was_put_before_the_end_is_closed_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
