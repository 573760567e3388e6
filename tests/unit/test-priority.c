/* SPDX-License-Identifier: MIT */
#include "base/priority.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

static int mine(void)
{
    return getpriority(PRIO_PROCESS, 0);
}

static void *inherit(void *arg)
{
    int *seen = arg;
    seen[0] = mine();
    priority_ordinary();
    seen[1] = mine();
    return NULL;
}

static void a_thread_inherits_it_and_may_give_it_back(void **state)
{
    int before = mine(), want = geteuid() == 0 && before > -5 ? -5 : before, seen[2];
    pthread_t t;
    priority_raise(5);
    assert_int_equal(mine(), want);
    assert_int_equal(pthread_create(&t, NULL, inherit, seen), 0);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_int_equal(seen[0], want);
    assert_int_equal(seen[1], want < 0 ? 0 : want);
    assert_int_equal(mine(), want); /* the other thread's is its own */
}

static void it_is_never_lowered(void **state)
{
    int before = mine();
    priority_raise(0);
    assert_int_equal(mine(), before < 0 ? before : mine());
    priority_ordinary();
    assert_true(mine() >= 0);
    before = mine();
    priority_ordinary();
    assert_int_equal(mine(), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_inherits_it_and_may_give_it_back),
        cmocka_unit_test(it_is_never_lowered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
