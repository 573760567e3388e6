/* SPDX-License-Identifier: MIT */
/* A request in short: masked before it is cut, and never long. */
#include "core/brief.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fakes/fakes.h"

static struct json *brief(const struct request *r, size_t *ret_len)
{
    _cleanup_buf_ struct buf out = BUF_INIT(1 << 20);
    struct json_writer w = JSON_WRITER(&out);
    struct json *root = NULL;
    struct err err = {0};
    brief_json(r, &w, 20 * SEC, 100 * SEC);
    assert_memory_equal(buf_str(&out), "{\"id\":", 6);
    if (json_parse(buf_str(&out), out.len, 10000, &root, &err) < 0)
        fail_msg("%s", err.text);
    if (ret_len)
        *ret_len = out.len;
    return root;
}

static const char *string(const struct json *root, const char *key)
{
    return json_string(json_get(root, key), NULL);
}

static void it_is_redacted_and_tells_the_end(void **state)
{
    _cleanup_(request_freep) struct request *r =
        fake_request(NULL, DOOR_SHIM_V2, "git hunter2 \x1b[2J");
    r->policy = fake_policy("redact: ['hunter2']\n");
    r->decision = DECISION_ASK_APPROVED;
    r->waiting_at = 5 * SEC;
    r->decided_at = 7 * SEC;
    r->started_at = 8 * SEC;
    _cleanup_(json_freep) struct json *before = brief(r, NULL);
    assert_null(strstr(string(before, "command_line"), "hunter2"));
    assert_non_null(strstr(string(before, "command_line"), "$'\\e[2J'"));
    assert_false(json_bool(json_get(before, "shortened"), true));
    assert_int_equal(json_integer(json_get(before, "waited_ms"), -1), 2000);
    assert_null(json_get(before, "exit_code"));
    r->ended_at = 11 * SEC;
    r->end = (struct end){.kind = END_SIGNAL, .value = 9};
    _cleanup_(json_freep) struct json *after = brief(r, NULL);
    assert_int_equal(json_integer(json_get(after, "signal"), -1), 9);
    assert_int_equal(json_integer(json_get(after, "duration_ms"), -1), 3000);
    assert_null(json_get(after, "exit_code"));
}

static void it_tells_since_when_and_how_long_still(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "git");
    r->state = REQUEST_WAITING;
    r->waiting_at = 5 * SEC;
    r->deadline = 130 * SEC; /* 30 s from now */
    _cleanup_(json_freep) struct json *waits = brief(r, NULL);
    assert_string_equal(string(waits, "waiting_at"), "1970-01-01T00:00:05.000000000Z");
    assert_string_equal(string(waits, "deadline"), "1970-01-01T00:00:50.000000000Z");
    assert_int_equal(json_integer(json_get(waits, "deadline_ms"), -1), 30000);
    assert_null(string(waits, "started_at"));
    r->state = REQUEST_ENDED;
    _cleanup_(json_freep) struct json *ended = brief(r, NULL);
    assert_null(string(ended, "deadline"));
}

static void what_never_started_says_why(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "git");
    r->decision = DECISION_ALLOW;
    r->decided_at = r->ended_at = 7 * SEC;
    r->end = (struct end){.kind = END_FAILED, .value = 127, .text = "clawrden: not there"};
    _cleanup_(json_freep) struct json *root = brief(r, NULL);
    assert_int_equal(json_integer(json_get(root, "exit_code"), -1), 127);
    assert_int_equal(json_integer(json_get(root, "duration_ms"), -1), 0);
    assert_string_equal(string(root, "error"), "clawrden: not there");
}

static void a_long_one_is_cut_and_says_so(void **state)
{
    const size_t sizes[] = {5000, 40000, 2000000};
    for (size_t i = 0; i < 3; i++) {
        _cleanup_free_ char *line = mem_zalloc(sizes[i] + 16);
        (void)strcpy(line, "git ");
        memset(line + 4, 'x', sizes[i]);
        _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, line);
        size_t len = 0;
        _cleanup_(json_freep) struct json *root = brief(r, &len);
        assert_true(json_bool(json_get(root, "shortened"), false));
        assert_true(len < BRIEF_LINE_MAX + 2000);
    }
}

static void a_secret_at_the_cut_stays_masked(void **state)
{
    _cleanup_free_ char *line = mem_zalloc(8192);
    (void)strcpy(line, "git ");
    memset(line + 4, 'x', BRIEF_LINE_MAX - 8); /* the secret begins before the cut, ends behind */
    (void)strcat(line, "token=hunter2hunter2");
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, line);
    r->policy = fake_policy("redact: ['token=[a-z0-9]+$']\n");
    _cleanup_(json_freep) struct json *root = brief(r, NULL);
    assert_null(strstr(string(root, "command_line"), "token=h"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_redacted_and_tells_the_end),
        cmocka_unit_test(it_tells_since_when_and_how_long_still),
        cmocka_unit_test(what_never_started_says_why),
        cmocka_unit_test(a_long_one_is_cut_and_says_so),
        cmocka_unit_test(a_secret_at_the_cut_stays_masked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
