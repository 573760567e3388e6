/* SPDX-License-Identifier: MIT */
/* A request: names, memory, and the form that policy judges. */
#include "core/request.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fakes/fakes.h"

static void each_state_door_and_decision_has_a_name(void **state)
{
    for (int i = REQUEST_RECEIVED; i <= REQUEST_ENDED; i++)
        assert_string_not_equal(request_state_name((enum request_state)i), "unknown");
    for (int i = DOOR_SHIM_V1; i <= DOOR_API; i++)
        assert_string_not_equal(door_kind_name((enum door_kind)i), "unknown");
    for (int i = DECISION_NONE; i <= DECISION_INTERRUPTED; i++)
        assert_string_not_equal(decision_name((enum decision)i), "unknown");
    assert_string_equal(decision_name(DECISION_ASK_APPROVED), "ask-approved");
    assert_string_equal(door_kind_name(DOOR_SHIM_V2), "shim");
    assert_string_equal(decision_name((enum decision)99), "unknown");
}

static void what_it_owns_goes_with_it(void **state)
{
    struct request *r = fake_request(NULL, DOOR_SHIM_V2, "ls -l");
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    r->peer.pidfd = fd;
    r->peer.container = mem_strdup("web");
    r->peer.cgroup = mem_strdup("/x");
    r->peer.groups = mem_zalloc_array(2, sizeof(gid_t));
    r->facts.cwd = mem_strdup("/app");
    r->facts.exec_path = mem_strdup("/bin/ls");
    facts_keep(&r->facts, mem_strdup("a"));
    facts_keep(&r->facts, mem_strdup("b"));
    assert_null(request_free(r));
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_null(request_free(NULL));
}

static void facts_can_be_done_twice(void **state)
{
    struct facts f = {.known = true, .cwd = mem_strdup("/app")};
    facts_keep(&f, mem_strdup("a"));
    facts_done(&f);
    assert_false(f.known);
    assert_null(f.cwd);
    assert_int_equal(f.arena_count, 0);
    facts_done(&f);
}

static void policy_sees_what_was_asked_and_found(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "ls -l");
    struct policy_request q;
    request_to_policy(r, &q);
    assert_null(q.cwd); /* what the shim believes is not a fact */
    assert_int_equal(q.program.trust, PROGRAM_UNKNOWN);
    r->facts.cwd = mem_strdup("/srv");
    request_to_policy(r, &q);
    assert_string_equal(q.cwd, "/srv");
    assert_string_equal(q.command, "ls");
    assert_int_equal(q.argc, 2);
    assert_string_equal(q.argv[1], "-l");
    assert_int_equal(q.envc, 3);
    assert_int_equal(q.uid, 1000);
    assert_null(q.container);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(each_state_door_and_decision_has_a_name),
        T(what_it_owns_goes_with_it),
        T(facts_can_be_done_twice),
        T(policy_sees_what_was_asked_and_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
