/* SPDX-License-Identifier: MIT */
/* Which sessions run: those whose socket answers, whatever lies in the directory. */
#include "cli/sessions.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static char dir[] = "/tmp/clawrden-sessions-XXXXXX";

static int setup(void **state)
{
    return mkdtemp(dir) && setenv("CLAWRDEN_STATE", dir, 1) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
    _cleanup_free_ char *command = mem_printf("rm -rf '%s'", dir);
    return system(command);
}

/* A bound socket; with `listens` somebody answers. */
static int make(const char *name, bool listens)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    struct err err;
    _cleanup_free_ char *of = mem_printf("%s/run/%s", dir, name);
    assert_int_equal(path_mkdirs(of, 0700, &err), 0);
    (void)snprintf(a.sun_path, sizeof(a.sun_path), "%s/api.sock", of);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
    if (listens)
        assert_int_equal(listen(fd, 8), 0);
    return fd;
}

static void only_those_that_answer_are_found_in_order(void **state)
{
    struct sessions s;
    int b = make("beta", true), a = make("alpha", true), dead = make("dead", false);
    int hidden = make(".hidden", true);
    sessions_find(&s);
    assert_int_equal(s.count, 2);
    assert_string_equal(s.names[0], "alpha");
    assert_string_equal(s.names[1], "beta");
    _cleanup_free_ char *address = mem_printf("unix:%s/run/alpha/api.sock", dir);
    assert_string_equal(s.addresses[0], address);
    sessions_done(&s);
    close(a);
    close(b);
    close(dead);
    close(hidden);
    sessions_find(&s);
    assert_int_equal(s.count, 0);
    sessions_done(&s);
}

static void names_are_plain(void **state)
{
    static const char *const good[] = {"a", "proj-1124-085452-8664", "A_b.c"};
    static const char *const bad[] = {"",    ".",   "..",  ".x",       "-x",
                                      "a/b", "a b", "a\n", "\xc3\xa4", "a:b"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(sessions_name_ok(good[i]));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(sessions_name_ok(bad[i]));
    char longest[SESSIONS_NAME_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[SESSIONS_NAME_MAX + 1] = '\0';
    assert_false(sessions_name_ok(longest));
    longest[SESSIONS_NAME_MAX] = '\0';
    assert_true(sessions_name_ok(longest));
}

static void waiting_for_one_ends_with_its_process(void **state)
{
    _cleanup_free_ char *of = mem_printf("%s/run/never", dir);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(sessions_await(of, pipes[0], 20), -ETIMEDOUT);
    close(pipes[1]); /* as a pidfd becomes readable */
    assert_int_equal(sessions_await(of, pipes[0], 10000), -ECHILD);
    close(pipes[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_those_that_answer_are_found_in_order),
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(waiting_for_one_ends_with_its_process),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
