/* SPDX-License-Identifier: MIT */
/* What a record holds, and that each one is one line of well-formed JSON. */
#include "core/audit.h"
#include "core/looks.h"

#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "fakes/fakes.h"

static struct json *parse(const struct buf *members)
{
    _cleanup_free_ char *text = mem_printf("{%s}", buf_str(members));
    struct json *root = NULL;
    struct err err = {0};
    assert_int_equal(members->failed, 0);
    assert_null(strchr(text, '\n'));
    if (json_parse(text, strlen(text), 100000, &root, &err) < 0)
        fail_msg("%s: %s", err.text, text);
    return root;
}

static struct request *request(const char *line)
{
    struct request *r = fake_request(NULL, DOOR_SHIM_V2, line);
    strcpy(r->id_text, "0190a000-0000-7000-8000-000000000001");
    r->policy =
        fake_policy("redact: ['hunter[0-9]']\nrules:\n  - command: ls\n    action: allow\n");
    r->decided_at = r->ended_at = FAKE_START_REALTIME;
    r->decision = DECISION_DENY;
    return r;
}

static const char *string(const struct json *root, const char *key)
{
    return json_string(json_get(root, key), NULL);
}

static void a_decision_has_every_field_that_readers_rely_on(void **state)
{
    static const char *const fields[] = {
        "time",      "id",       "event",      "door",        "command", "executable", "script",
        "args",      "cwd",      "uid",        "gid",         "pid",     "parent",     "tty",
        "container", "labels",   "env_passed", "env_dropped", "policy",  "rule",       "line",
        "verdict",   "decision", "approver",   "channel",     "comment", "waited_ms",  "executor",
        "error",     "reason",   "ppid"};
    _cleanup_(request_freep) struct request *r = request("ls -l /x");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!json_get(root, fields[i]))
            fail_msg("no %s", fields[i]);
    assert_string_equal(string(root, "event"), "decision");
    assert_string_equal(string(root, "verdict"), "deny"); /* nothing judged it: the safe one */
    assert_true(json_is_null(json_get(root, "executable")));
    assert_true(json_is_null(json_get(root, "tty")));
    const struct json *args = json_get(root, "args");
    assert_int_equal(json_count(args), 2);
    assert_string_equal(json_string(json_at(args, 1), NULL), "/x");
    assert_null(json_get(root, "argv0")); /* the same as the command */
}

static void an_end_has_every_field_that_readers_rely_on(void **state)
{
    static const char *const fields[] = {
        "time",      "id",        "event",       "command",
        "executor",  "exit_code", "duration_ms", "timeout_violation",
        "killed_by", "error",     "started",     "caller_gone"};
    _cleanup_(request_freep) struct request *r = request("ls");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    const struct audit_end e = {.duration = 1999999};
    r->end = (struct end){.kind = END_EXIT, .value = 3};
    audit_end(r, &e, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (!json_get(root, fields[i]))
            fail_msg("no %s", fields[i]);
    assert_int_equal(json_integer(json_get(root, "duration_ms"), -1), 1);
    assert_null(json_get(root, "signal"));
}

static void who_looked_while_it_waited_is_in_the_decision_once(void **state)
{
    _cleanup_(request_freep) struct request *r = request("ls");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    looks_add(r, "early", LOOK_SEEN, 1); /* it does not wait yet */
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *without = parse(&out);
    assert_null(json_get(without, "looks"));
    r->state = REQUEST_WAITING;
    for (uint64_t t = 5; t < 8; t++) {
        looks_add(r, "ana", LOOK_SEEN, t);
        looks_add(r, "ana", LOOK_EXPLAINED, t);
    }
    for (char who[] = "a"; who[0] <= 'z'; who[0]++)
        looks_add(r, who, LOOK_SEEN, 9);
    r->state = REQUEST_ENDED;
    looks_add(r, "late", LOOK_SEEN, 10);
    buf_clear(&out);
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    const struct json *looks = json_get(root, "looks"), *first = json_at(looks, 0);
    assert_int_equal(json_count(looks), LOOKS_MAX);
    assert_string_equal(string(first, "by"), "ana");
    assert_string_equal(string(first, "time"), "1970-01-01T00:00:00.000000005Z");
    assert_false(json_bool(json_get(first, "explained"), true));
    assert_true(json_bool(json_get(json_at(looks, 1), "explained"), false));
    assert_string_equal(string(json_at(looks, 2), "by"), "a");
}

static void bytes_that_are_not_text_survive(void **state)
{
    _cleanup_(request_freep) struct request *r = request("ls \xff\xfe");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    strcpy(r->peer.parent, "ba\x80sh");
    r->facts.known = true;
    r->facts.cwd = mem_strdup("/\xc3(");
    r->facts.program.path = "/bin/\xff";
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    const struct json *arg = json_at(json_get(root, "args"), 0);
    assert_string_equal(json_string(json_get(arg, "bytes"), NULL), "//4=");
    assert_non_null(json_get(json_get(root, "parent"), "bytes"));
    assert_non_null(json_get(json_get(root, "cwd"), "bytes"));
    assert_non_null(json_get(json_get(json_get(root, "executable"), "path"), "bytes"));
}

static void a_line_break_in_an_argument_stays_inside_its_string(void **state)
{
    _cleanup_(request_freep) struct request *r = request("ls a");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    r->ask.argv[1] = "x\",\"decision\":\"allow\"}\n{\"seq\":1";
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    assert_string_equal(string(root, "decision"), "deny");
}

static void secrets_are_masked_wherever_the_agent_put_them(void **state)
{
    _cleanup_(request_freep) struct request *r = request("ls --token=hunter1 hunter2");
    _cleanup_buf_ struct buf out = AUDIT_BUF();
    r->facts.known = true;
    r->facts.cwd = mem_strdup("/tmp/hunter3");
    r->facts.program.script = "/tmp/hunter4";
    strcpy(r->why, "no such file: /tmp/hunter5");
    r->ask.argv[0] = "hunter6";
    audit_decision(r, NULL, &out);
    assert_null(strstr(buf_str(&out), "hunter"));
    _cleanup_(json_freep) struct json *root = parse(&out);
    assert_non_null(strstr(string(root, "argv0"), "[redacted:"));
    const char *arg = json_string(json_at(json_get(root, "args"), 0), NULL);
    assert_non_null(strstr(arg, "--token=[redacted:"));
}

static void the_terminal_has_a_name(void **state)
{
    static const struct {
        unsigned major_, minor_;
        const char *name;
    } ttys[] = {
        {136, 3, "pts/3"}, {137, 1, "pts/257"}, {4, 1, "tty1"}, {4, 64, "4:64"}, {5, 1, "5:1"}};
    for (size_t i = 0; i < ARRAY_LEN(ttys); i++) {
        _cleanup_(request_freep) struct request *r = request("ls");
        _cleanup_buf_ struct buf out = AUDIT_BUF();
        r->peer.tty = (uint32_t)makedev(ttys[i].major_, ttys[i].minor_);
        audit_decision(r, NULL, &out);
        _cleanup_(json_freep) struct json *root = parse(&out);
        assert_string_equal(string(root, "tty"), ttys[i].name);
    }
}

static void arguments_that_do_not_fit_are_left_out_and_counted(void **state)
{
    _cleanup_(request_freep) struct request *r = request("ls a b");
    _cleanup_buf_ struct buf out = BUF_INIT(4096);
    char *huge = test_malloc(5000);
    memset(huge, 'x', 5000);
    huge[4999] = '\0';
    r->ask.argv[1] = huge;
    audit_decision(r, NULL, &out);
    _cleanup_(json_freep) struct json *root = parse(&out);
    assert_int_equal(json_integer(json_get(root, "args_omitted"), -1), 2);
    assert_string_equal(string(root, "decision"), "deny");
    test_free(huge);
}

static void other_events_are_records_too(void **state)
{
    _cleanup_buf_ struct buf a = AUDIT_BUF(), b = AUDIT_BUF(), c = AUDIT_BUF(), d = AUDIT_BUF();
    audit_interrupted("id-1", "g\xffit", 1, "the warden stopped", &a);
    audit_policy("00ff", "policy.yaml", "ana", "policy.yaml:3:1: no", 1, &b);
    audit_limited("uid:1000", 7, 1, &c);
    audit_event("start", NULL, 1, &d);
    _cleanup_(json_freep) struct json *x = parse(&a), *y = parse(&b), *z = parse(&c),
                                      *u = parse(&d);
    assert_string_equal(string(x, "event"), "end");
    assert_string_equal(string(x, "decision"), "interrupted");
    assert_string_equal(string(y, "result"), "refused");
    assert_int_equal(json_integer(json_get(z, "refusals"), -1), 7);
    assert_true(json_is_null(json_get(u, "words")));
}

static void a_note_goes_to_the_log(void **state)
{
    struct fake_audit log;
    fake_audit_init(&log);
    assert_int_equal(audit_note(&log.port, 1, "start", "version 1", NULL), 0);
    assert_true(fake_audit_is(&log, NULL, "start", "words", "version 1"));
    log.refuse = -ENOSPC;
    assert_int_equal(audit_note(&log.port, 1, "stop", NULL, NULL), -ENOSPC);
    fake_audit_done(&log);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(a_decision_has_every_field_that_readers_rely_on),
        T(an_end_has_every_field_that_readers_rely_on),
        T(who_looked_while_it_waited_is_in_the_decision_once),
        T(bytes_that_are_not_text_survive),
        T(a_line_break_in_an_argument_stays_inside_its_string),
        T(secrets_are_masked_wherever_the_agent_put_them),
        T(the_terminal_has_a_name),
        T(arguments_that_do_not_fit_are_left_out_and_counted),
        T(other_events_are_records_too),
        T(a_note_goes_to_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
