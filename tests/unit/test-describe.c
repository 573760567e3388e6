/* SPDX-License-Identifier: MIT */
/* A request as approvers see it: everything, and nothing of it can move a cursor. */
#include "core/describe.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fakes/fakes.h"

static struct json *describe(const struct request *r, uint64_t realtime, uint64_t monotonic)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    struct json_writer w = JSON_WRITER(&out);
    struct json *root = NULL;
    struct err err = {0};
    request_json(r, &w, realtime, monotonic);
    assert_memory_equal(buf_str(&out), "{\"id\":", 6);
    if (json_parse(buf_str(&out), out.len, 10000, &root, &err) < 0)
        fail_msg("%s", err.text);
    return root;
}

static const char *string(const struct json *root, const char *key)
{
    return json_string(json_get(root, key), NULL);
}

static void it_is_complete_and_not_redacted(void **state)
{
    _cleanup_(request_freep) struct request *r =
        fake_request(NULL, DOOR_SHIM_V2, "git hunter2 \x1b[2J");
    r->policy = fake_policy("redact: ['hunter2']\n");
    r->facts.known = true;
    r->facts.cwd = mem_strdup("/app");
    r->facts.program = (struct policy_program){.path = "/usr/bin/git", .trust = PROGRAM_TRUSTED};
    r->state = REQUEST_WAITING;
    r->waiting_at = FAKE_START_REALTIME;
    r->deadline = 900 * SEC;
    strcpy(r->digest, "abc");
    _cleanup_(json_freep) struct json *root =
        describe(r, FAKE_START_REALTIME + 60 * SEC, 100 * SEC);
    assert_string_equal(string(root, "state"), "waiting");
    assert_string_equal(string(root, "command_line"), "git hunter2 $'\\e[2J'");
    assert_string_equal(json_string(json_at(json_get(root, "args"), 1), NULL), "\x1b[2J");
    assert_string_equal(string(root, "cwd"), "/app");
    assert_string_equal(string(root, "executable"), "/usr/bin/git");
    assert_string_equal(string(root, "trust"), "trusted");
    assert_string_equal(string(root, "digest"), "abc");
    assert_string_equal(string(root, "verdict"), "deny");
    assert_int_equal(json_integer(json_get(root, "age_ms"), -1), 60000);
    assert_int_equal(json_integer(json_get(root, "deadline_ms"), -1), 800000);
    assert_string_equal(string(root, "deadline"), "2023-11-14T22:27:40.000000000Z");
    assert_true(json_is_null(json_get(root, "started_at")));
    static const char *const fields[] = {
        "uid",  "gid",    "pid",  "parent",      "container", "script",    "rule",
        "line", "reason", "door", "command_pid", "timeout",   "env_passed"};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        assert_non_null(json_get(root, fields[i]));
}

static void nothing_known_is_said_as_nothing(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V1, "git");
    _cleanup_(json_freep) struct json *root = describe(r, 0, 0);
    assert_true(json_is_null(json_get(root, "cwd"))); /* not what the shim believes */
    assert_true(json_is_null(json_get(root, "trust")));
    assert_true(json_is_null(json_get(root, "deadline")));
    assert_true(json_is_null(json_get(root, "policy")));
    assert_int_equal(json_count(json_get(root, "env_passed")), 0);
}

static void a_deadline_that_has_passed_leaves_nothing(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "git");
    r->deadline = 5;
    _cleanup_(json_freep) struct json *root = describe(r, FAKE_START_REALTIME, 10);
    assert_int_equal(json_integer(json_get(root, "deadline_ms"), -1), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(it_is_complete_and_not_redacted),
        T(nothing_known_is_said_as_nothing),
        T(a_deadline_that_has_passed_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
