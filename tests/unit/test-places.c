/* SPDX-License-Identifier: MIT */
/* Which variables lead out of a sandbox, and where. */
#include "sandbox/places.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sockets_are_read_from_the_forms_in_use(void **state)
{
    static const char *const cases[][2] = {
        {"SSH_AUTH_SOCK=/run/user/1/keyring/ssh", "/run/user/1/keyring/ssh"},
        {"TMUX=/tmp/tmux-1000/default,1234,0", "/tmp/tmux-1000/default"},
        {"DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1/bus,guid=12", "/run/user/1/bus"},
        {"DOCKER_HOST=unix:///home/u/.docker/run/docker.sock", "/home/u/.docker/run/docker.sock"},
        {"GPG_AGENT_INFO=/home/u/.gnupg/S.gpg-agent:123:1", "/home/u/.gnupg/S.gpg-agent"},
        {"DOCKER_HOST=tcp://127.0.0.1:2375", NULL},
        {"DBUS_SESSION_BUS_ADDRESS=unix:abstract=/tmp/dbus-x", NULL},
        {"SSH_AUTH_SOCK=relative", NULL},
        {"SSH_AUTH_SOCK=", NULL},
        {"SSH_AUTH_SOCKET=/x", NULL},
        {"DISPLAY=:0", NULL},
        {"PATH=/usr/bin", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_free_ char *path = places_socket_of(cases[i][0]);
        if (cases[i][1])
            assert_string_equal(path, cases[i][1]);
        else
            assert_null(path);
    }
}

static void the_environment_keeps_what_leads_nowhere(void **state)
{
    char *env[] = {"PATH=/usr/bin",
                   "SSH_AUTH_SOCK=/x",
                   "CLAWRDEN_API=unix:/x",
                   "HOME=/h",
                   "CLAWRDEN_TOKEN=t",
                   "DISPLAY=:0",
                   "TMUX=/t,1,2",
                   "DISPLAYS=1",
                   "XDG_RUNTIME_DIR=/run",
                   "EMPTY=",
                   NULL};
    _cleanup_free_ char **kept = places_env(env);
    static const char *const expected[] = {"PATH=/usr/bin", "HOME=/h", "DISPLAYS=1",
                                           "XDG_RUNTIME_DIR=/run", "EMPTY="};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++)
        assert_string_equal(kept[i], expected[i]);
    assert_null(kept[ARRAY_LEN(expected)]);
}

static void temporary_directories_are_its_own(void **state)
{
    _cleanup_plan_ struct plan p = PLAN_INIT;
    struct err err;
    char *none[] = {NULL};
    const struct places of = {.home = "/nonexistent", .env = none, .uid = 4711};
    enum plan_kind kind;
    assert_int_equal(places_fill(&p, &of, &err), 0);
    assert_true(plan_find(&p, "/tmp/x", &kind));
    assert_int_equal(kind, PLAN_BLANK);
    assert_true(plan_find(&p, "/run/user/4711", &kind));
    assert_int_equal(kind, PLAN_BLANK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sockets_are_read_from_the_forms_in_use),
        cmocka_unit_test(the_environment_keeps_what_leads_nowhere),
        cmocka_unit_test(temporary_directories_are_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
