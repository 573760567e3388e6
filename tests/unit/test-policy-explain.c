/* SPDX-License-Identifier: MIT */
#include "policy-case.h"

#include <errno.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

static const char policy[] =
    "allowed_paths: [/app/*]\n"
    "rules:\n"
    "  - {name: other, command: npm, action: deny}\n"
    "  - {name: forced, command: git, args: [push --force], action: deny}\n"
    "  - {name: roots, command: git, uid: [0], action: deny}\n"
    "  - {name: pushes, command: git, args: [push], action: ask, reason: others see it, timeout: "
    "5m}\n"
    "  - {command: git, action: allow}\n";

static struct json *explain(const char *line, const char *cwd)
{
    struct policy *p = policy_case_parse(policy);
    static struct policy_case c;
    static const char *const env[] = {"HOME=/x", "LD_PRELOAD=/x"};
    struct buf out = BUF_INIT(1 << 20);
    struct json *root = NULL;
    struct err err = {{0}};
    assert_true(policy_case_begin(&c, p, line, cwd, 1000));
    c.q.env = env;
    c.q.envc = 2;
    assert_int_equal(policy_explain_json(p, &c.q, &out), 0);
    assert_true(str_starts(buf_str(&out), "{\"verdict\":\""));
    if (json_parse(buf_str(&out), out.len, 1000, &root, &err) < 0)
        fail_msg("%s: %s", err.text, buf_str(&out));
    policy_case_end(&c);
    buf_done(&out);
    policy_unref(p);
    return root;
}

static const char *text(const struct json *j, const char *key)
{
    const char *s = json_string(json_get(j, key), NULL);
    return s ? s : "(null)";
}

static void json_says_what_decided_and_why_others_did_not(void **state)
{
    (void)state;
    struct json *j = explain("git push 'a b' '\xff'", "/app");
    assert_string_equal(text(j, "verdict"), "ask");
    assert_string_equal(text(j, "rule"), "pushes");
    assert_int_equal(json_integer(json_get(j, "line"), 0), 6);
    assert_string_equal(text(j, "reason"), "others see it");
    assert_string_equal(text(j, "timeout"), "5m");
    assert_string_equal(text(j, "approval_timeout"), "15m");
    const struct json *earlier = json_get(j, "earlier");
    assert_int_equal(json_count(earlier), 3);
    assert_string_equal(text(json_at(earlier, 0), "why_not"), "is for another command");
    assert_string_equal(text(json_at(earlier, 1), "why_not"), "no item of args matches");
    assert_string_equal(text(json_at(earlier, 2), "why_not"), "is for other users");
    const struct json *env = json_get(j, "environment");
    assert_int_equal(json_count(json_get(env, "passed")), 2);
    assert_string_equal(json_string(json_at(json_get(env, "dropped"), 0), NULL), "LD_PRELOAD");
    assert_int_equal(strlen(text(json_get(j, "policy"), "version")), 64);
    (void)json_free(j);
}

static void json_of_a_default_lists_every_rule(void **state)
{
    (void)state;
    struct json *j = explain("{is=evil} git push", "/app");
    assert_string_equal(text(j, "verdict"),
                        "ask"); /* it is called git, and asks are for that too */
    (void)json_free(j);
    j = explain("{is=evil} git status", "/app");
    assert_string_equal(text(j, "verdict"), "deny");
    assert_string_equal(text(j, "rule"), "default_action");
    const struct json *earlier = json_get(j, "earlier");
    assert_int_equal(json_count(earlier), 5);
    assert_non_null(strstr(text(json_at(earlier, 4), "why_not"), "only called so"));
    (void)json_free(j);
    j = explain("{unknown} git push", "/app");
    assert_string_equal(text(j, "rule"), "unknown_executable");
    assert_non_null(strstr(text(json_at(json_get(j, "earlier"), 3), "why_not"), "only deny rules"));
    (void)json_free(j);
    j = explain("git push", "/etc");
    assert_string_equal(text(j, "rule"), "allowed_paths");
    assert_non_null(strstr(text(j, "reason"), "/app/*"));
    assert_int_equal(json_count(json_get(j, "earlier")), 0);
    (void)json_free(j);
}

static void text_is_for_people_and_escapes_what_is_not_text(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(policy);
    static struct policy_case c;
    struct buf out = BUF_INIT(1 << 16);
    assert_true(policy_case_begin(&c, p, "git push '\x1b[2J'", "/app", 1000));
    assert_int_equal(policy_explain_text(p, &c.q, &out), 0);
    assert_true(str_starts(buf_str(&out), "ask: git push "));
    assert_null(strchr(buf_str(&out), '\x1b'));
    assert_non_null(strstr(buf_str(&out), "rule         pushes (test.yaml:6)\n"));
    assert_non_null(strstr(buf_str(&out), "not forced (line 4, deny): no item of args matches\n"));
    assert_non_null(strstr(buf_str(&out), "1 earlier rule is for other commands\n"));
    policy_case_end(&c);
    buf_done(&out);
    policy_unref(p);
}

static void a_full_buffer_is_an_error(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(policy);
    static struct policy_case c;
    struct buf out = BUF_INIT(40);
    assert_true(policy_case_begin(&c, p, "git push", "/app", 1000));
    assert_int_equal(policy_explain_json(p, &c.q, &out), -EMSGSIZE);
    buf_clear(&out);
    assert_int_equal(policy_explain_text(p, &c.q, &out), -EMSGSIZE);
    policy_case_end(&c);
    buf_done(&out);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_says_what_decided_and_why_others_did_not),
        cmocka_unit_test(json_of_a_default_lists_every_rule),
        cmocka_unit_test(text_is_for_people_and_escapes_what_is_not_text),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
