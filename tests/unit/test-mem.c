/* SPDX-License-Identifier: MIT */
/* Small allocations: zeroed, copied, never NULL, and the end of the process without memory. */
#include "base/mem.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void new_memory_is_zero(void **state)
{
    _cleanup_free_ uint64_t *a = mem_new_array(uint64_t, 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(a[i], 0);
}

static void nothing_is_still_a_pointer(void **state)
{
    _cleanup_free_ void *a = mem_zalloc(0);
    _cleanup_free_ void *b = mem_zalloc_array(0, 8);
    _cleanup_free_ void *c = mem_dup("", 0);
    _cleanup_free_ void *d = mem_realloc_array(NULL, 0, 8);
    assert_non_null(a);
    assert_non_null(b);
    assert_non_null(c);
    assert_non_null(d);
}

static void growing_keeps_what_was_there(void **state)
{
    _cleanup_free_ int *a = mem_new_array(int, 2);
    a[0] = 1, a[1] = 2;
    a = mem_realloc_array(a, 1000, sizeof(*a));
    assert_int_equal(a[0], 1);
    assert_int_equal(a[1], 2);
}

static void copies_are_copies(void **state)
{
    _cleanup_free_ char *a = mem_dup("a\0b", 4);
    assert_memory_equal(a, "a\0b", 4);
    _cleanup_free_ char *b = mem_strdup("abc");
    assert_string_equal(b, "abc");
    assert_null(mem_strdup(NULL));
    _cleanup_free_ char *c = mem_strndup("abcdef", 3);
    assert_string_equal(c, "abc");
    _cleanup_free_ char *d = mem_strndup("ab", 30);
    assert_string_equal(d, "ab");
    _cleanup_free_ char *e = mem_printf("%s=%d", "x", 7);
    assert_string_equal(e, "x=7");
}

/* The status of a child that runs `f`, which must not come back. */
static int status_of(void (*f)(void))
{
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        (void)signal(SIGABRT, SIG_DFL);
        (void)fclose(stderr);
        f();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static volatile size_t huge = SIZE_MAX / 2; /* volatile: the compiler would object */

static void zalloc_too_much(void)
{
    free(mem_zalloc_array(huge, 4));
}

static void realloc_too_much(void)
{
    free(mem_realloc_array(NULL, huge, 4));
}

static void a_size_that_overflows_ends_the_process(void **state)
{
    assert_int_not_equal(status_of(zalloc_too_much), 0);
    assert_int_not_equal(status_of(realloc_too_much), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(new_memory_is_zero),
        cmocka_unit_test(nothing_is_still_a_pointer),
        cmocka_unit_test(growing_keeps_what_was_there),
        cmocka_unit_test(copies_are_copies),
        cmocka_unit_test(a_size_that_overflows_ends_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
