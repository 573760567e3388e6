/* SPDX-License-Identifier: MIT */
/* Workers that the helper has lent: who gets which, and what becomes of a job when one goes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "exec/direct.h"

struct fixture {
    uv_loop_t loop;
    uint8_t *room;
    struct direct *d;
    int worker[3]; /* the other ends */
    uint64_t heard, lost;
    unsigned losses;
    bool close_when_heard;
};

static void on_got(void *arg, const struct helper_head *h, const uint8_t *body, int *fd)
{
    struct fixture *f = arg;
    (void)body;
    (void)fd;
    f->heard = h->job;
    if (f->close_when_heard)
        direct_close(f->d);
}

static void on_lost(void *arg, uint64_t job)
{
    struct fixture *f = arg;
    f->lost = job;
    f->losses++;
}

static int add(struct fixture *f, pid_t init)
{
    int sv[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv), 0);
    direct_add(f->d, init, sv[0]);
    return sv[1];
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->room = malloc(COURIER_PACKET_MAX);
    f->d = direct_new(&(struct direct_config){
        .loop = &f->loop, .room = f->room, .got = on_got, .lost = on_lost, .arg = f});
    f->worker[0] = add(f, 10);
    f->worker[1] = add(f, 10);
    f->worker[2] = add(f, 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    direct_free(f->d);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    for (int i = 0; i < 3; i++)
        if (f->worker[i] >= 0)
            close(f->worker[i]);
    free(f->room);
    free(f);
    return 0;
}

static void say(int worker, uint64_t job)
{
    uint8_t head[HELPER_HEAD_SIZE];
    helper_head_encode(&(struct helper_head){.type = HELPER_IDLE, .job = job}, head);
    assert_int_equal(send(worker, head, sizeof(head), 0), sizeof(head));
}

static void each_does_one_job_in_its_own_container(void **state)
{
    struct fixture *f = *state;
    assert_false(direct_claim(f->d, 30, 1));
    assert_true(direct_claim(f->d, 10, 1));
    assert_true(direct_claim(f->d, 10, 2));
    assert_false(direct_claim(f->d, 10, 3));
    assert_true(direct_claim(f->d, 20, 3));
    assert_true(direct_fd(f->d, 1) >= 0 && direct_fd(f->d, 2) >= 0);
    assert_int_not_equal(direct_fd(f->d, 1), direct_fd(f->d, 2));
    assert_int_equal(direct_fd(f->d, 4), -1);
    assert_true(direct_pass(f->d, 3, 0));
    assert_int_equal(direct_fd(f->d, 0), -1); /* a free one is nobody's to go on with */
    assert_false(direct_pass(f->d, 0, 4));
}

static void a_job_goes_over_to_the_next_and_the_last_free_is_the_first_again(void **state)
{
    struct fixture *f = *state;
    assert_true(direct_claim(f->d, 10, 1) && direct_claim(f->d, 10, 2));
    int first = direct_fd(f->d, 1), second = direct_fd(f->d, 2);
    assert_true(direct_pass(f->d, 2, 5));
    assert_int_equal(direct_fd(f->d, 2), -1);
    assert_int_equal(direct_fd(f->d, 5), second);
    assert_false(direct_pass(f->d, 2, 6));
    assert_true(direct_pass(f->d, 1, 0) && direct_pass(f->d, 5, 0));
    assert_true(direct_claim(f->d, 10, 7));
    assert_int_equal(direct_fd(f->d, 7), second);
    assert_true(direct_claim(f->d, 10, 8));
    assert_int_equal(direct_fd(f->d, 8), first);
}

static void a_worker_that_goes_loses_its_job_and_no_other(void **state)
{
    struct fixture *f = *state;
    assert_true(direct_claim(f->d, 20, 9) && direct_claim(f->d, 10, 1));
    say(f->worker[2], 9); /* what it said before is heard */
    close(f->worker[2]);
    f->worker[2] = -1;
    while (f->losses == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->heard, 9);
    assert_int_equal(f->lost, 9);
    assert_int_equal(direct_fd(f->d, 9), -1);
    assert_false(direct_claim(f->d, 20, 10));
    assert_true(direct_fd(f->d, 1) >= 0);
    assert_int_equal(f->losses, 1);
}

static void a_free_one_that_goes_is_forgotten_without_a_word(void **state)
{
    struct fixture *f = *state;
    close(f->worker[2]);
    f->worker[2] = -1;
    uv_run(&f->loop, UV_RUN_ONCE);
    assert_false(direct_claim(f->d, 20, 1));
    assert_int_equal(f->losses, 0);
}

static void nonsense_counts_as_the_end(void **state)
{
    struct fixture *f = *state;
    assert_true(direct_claim(f->d, 20, 4));
    assert_int_equal(send(f->worker[2], "?", 1, 0), 1);
    while (f->losses == 0)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->lost, 4);
    char c;
    assert_int_equal(recv(f->worker[2], &c, 1, 0), 0);
}

static void a_lookup_that_is_not_answered_is_lost_and_a_command_may_take_its_time(void **state)
{
    struct fixture *f = *state;
    uint64_t begun = uv_hrtime();
    assert_true(direct_claim(f->d, 10, 1) && direct_pass(f->d, 1, 2));
    assert_true(direct_claim(f->d, 20, 3));
    while (f->losses == 0 && uv_hrtime() - begun < UINT64_C(10000000000))
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->lost, 3);
    assert_true(uv_hrtime() - begun >= UINT64_C(1400000000));
    assert_true(direct_fd(f->d, 2) >= 0);
}

static void all_may_be_closed_while_one_is_heard(void **state)
{
    struct fixture *f = *state;
    f->close_when_heard = true;
    assert_true(direct_claim(f->d, 10, 1));
    say(f->worker[0], 1);
    say(f->worker[1], 2);
    uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(f->heard == 1 || f->heard == 2);
    assert_int_equal(f->losses, 0);
    assert_false(direct_claim(f->d, 10, 3));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_does_one_job_in_its_own_container, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_job_goes_over_to_the_next_and_the_last_free_is_the_first_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_worker_that_goes_loses_its_job_and_no_other, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_free_one_that_goes_is_forgotten_without_a_word, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(nonsense_counts_as_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(
            a_lookup_that_is_not_answered_is_lost_and_a_command_may_take_its_time, setup, teardown),
        cmocka_unit_test_setup_teardown(all_may_be_closed_while_one_is_heard, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
