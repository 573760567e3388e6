/* SPDX-License-Identifier: MIT */
/* Who lives where, with an engine that the test plays and this very process as the caller. */
#include "exec/census.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    uv_loop_t loop;
    struct census *census;
    struct census_engine engine;
    int refreshes, told;
    struct peer peer;
    struct err err;
};

static void refresh(void *arg)
{
    struct fixture *f = arg;
    f->refreshes++;
}

static void told(void *arg)
{
    struct fixture *f = arg;
    f->told++;
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    (void)uv_loop_init(&f->loop);
    f->census = census_new(&f->loop);
    f->engine = (struct census_engine){.refresh = refresh, .arg = f};
    f->peer = (struct peer){.pid = getpid(), .pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0)};
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    close(f->peer.pidfd);
    free(f->peer.container);
    container_unref(f->peer.in);
    census_close(f->census);
    (void)uv_run(&f->loop, UV_RUN_DEFAULT);
    census_free(f->census);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    test_free(f);
    return 0;
}

static const struct bond mine = {.name = "mine", .userns_owner = -1};

/* A process of the host: no engine has to be asked about it. (Where the tests themselves run in a
 * container, the engine's paths show, and it is.) */
static void a_process_of_the_host_is_in_no_container(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->census->find(f->census, &f->peer, NULL, told, f, &f->err), 0);
    assert_null(f->peer.in);
    assert_null(f->peer.container);
    assert_int_equal(f->refreshes, 0);
}

static void a_process_of_the_host_is_refused_at_a_prisoners_door(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(f->census->find(f->census, &f->peer, &mine, told, f, &f->err), -EPERM);
    assert_null(f->peer.in);
    assert_non_null(strstr(f->err.text, "mine"));
}

static void one_that_has_gone_is_refused(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    struct peer p = {.pid = pid, .pidfd = (int)syscall(SYS_pidfd_open, pid, 0)};
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(f->census->find(f->census, &p, NULL, told, f, &f->err), -EPERM);
    close(p.pidfd);
}

static void a_container_of_a_process_that_has_gone_is_not_taken(void **state)
{
    struct fixture *f = *state;
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_int_equal(census_put(f->census, container_new("abc", "x"), pid, &f->err), -ESRCH);
    assert_null(census_find(f->census, "x"));
    assert_int_equal(census_count(f->census), 0);
}

/* Everybody on the host would live in it. */
static void a_container_whose_init_stands_at_the_root_is_not_taken(void **state)
{
    struct fixture *f = *state;
    int r = census_put(f->census, container_new("abc", "x"), 2, &f->err); /* kthreadd */
    assert_true(r == -EBADMSG || r == -ESRCH);
    assert_int_equal(census_count(f->census), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_process_of_the_host_is_in_no_container, setup, teardown),
        cmocka_unit_test_setup_teardown(a_process_of_the_host_is_refused_at_a_prisoners_door, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_has_gone_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(a_container_of_a_process_that_has_gone_is_not_taken, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_container_whose_init_stands_at_the_root_is_not_taken,
                                        setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
