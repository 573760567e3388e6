/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/passwords.h"

struct fixture {
    uv_loop_t loop;
    struct passwords *p;
    bool gone;
    unsigned answers, right, wrong, cancelled;
    char encoded[PASSWORDS_ENCODED_SIZE];
};

static void gone(void *arg)
{
    ((struct fixture *)arg)->gone = true;
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    assert_int_equal(uv_loop_init(&f->loop), 0);
    assert_int_equal(passwords_new(&f->loop, &f->p, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    passwords_close(f->p, gone, f);
    while (!f->gone)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    free(f);
    return 0;
}

static void done(void *arg, int result, const char *encoded)
{
    struct fixture *f = arg;
    f->answers++;
    f->right += result == 0;
    f->wrong += result == -EACCES;
    f->cancelled += result == -ECANCELED;
    if (encoded)
        (void)snprintf(f->encoded, sizeof(f->encoded), "%s", encoded);
}

static void wait_for(struct fixture *f, unsigned answers)
{
    while (f->answers < answers)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
}

static void what_was_hashed_is_right_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(passwords_hash(f->p, "secret", done, f), 0);
    wait_for(f, 1);
    assert_memory_equal(f->encoded, "$argon2id$v=19$m=65536,t=3,p=1$", 31);
    assert_int_equal(passwords_check(f->p, f->encoded, "secret", done, f), 0);
    wait_for(f, 2);
    assert_int_equal(f->right, 2);
    assert_int_equal(passwords_check(f->p, f->encoded, "Secret", done, f), 0);
    assert_int_equal(passwords_check(f->p, f->encoded, "", done, f), 0);
    assert_int_equal(passwords_check(f->p, "$argon2id$nonsense", "secret", done, f), 0);
    assert_int_equal(passwords_check(f->p, NULL, "secret", done, f), 0);
    wait_for(f, 6);
    assert_int_equal(f->wrong, 4);
}

/* It must be whole and of the same cost, or the answer to an unknown name comes at once. */
static void nobodys_password_is_really_looked_at(void **state)
{
    struct fixture *f = *state;
    uint64_t start = uv_hrtime();
    assert_int_equal(passwords_check(f->p, NULL, "x", done, f), 0);
    wait_for(f, 1);
    uint64_t nobody = uv_hrtime() - start;
    start = uv_hrtime();
    assert_int_equal(passwords_hash(f->p, "x", done, f), 0);
    wait_for(f, 2);
    assert_true(nobody > (uv_hrtime() - start) / 8);
}

static void only_so_many_wait(void **state)
{
    struct fixture *f = *state;
    unsigned taken = 0;
    int r = 0;
    while (taken < 100 && (r = passwords_check(f->p, NULL, "x", done, f)) == 0)
        taken++;
    assert_int_equal(r, -EBUSY);
    assert_in_range(taken, PASSWORDS_WAITING_MAX, PASSWORDS_WAITING_MAX + PASSWORDS_AT_ONCE);
    passwords_close(f->p, gone, f); /* what waits is told at once, the rest when it is done */
    assert_true(f->cancelled >= taken - 2 * PASSWORDS_AT_ONCE);
    while (!f->gone)
        (void)uv_run(&f->loop, UV_RUN_ONCE);
    assert_int_equal(f->answers, taken);
    f->gone = false;
    assert_int_equal(passwords_new(&f->loop, &f->p, NULL), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_hashed_is_right_and_nothing_else),
        CASE(nobodys_password_is_really_looked_at),
        CASE(only_so_many_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
