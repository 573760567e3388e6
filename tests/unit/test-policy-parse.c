/* SPDX-License-Identifier: MIT */
/* Each way in which a policy can be wrong is refused, with its place and a hint. */
#include "policy-case.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define R "rules:\n  - "

static const struct {
    const char *text, *words;
} wrong[] = {
    {"", "p.yaml:1:1: the file is empty"},
    {"# nothing\n", "p.yaml:1:1: the file is empty"},
    {"- a\n", "p.yaml:1:1: the policy must be a mapping"},
    {"defualt_action: deny\n",
     "p.yaml:1:1: unknown key 'defualt_action' in the policy; did you mean "
     "'default_action'?"},
    {"default_action: deny\ndefault_action: allow\n",
     "p.yaml:2:1: key 'default_action' is here twice; the first is in line 1"},
    {"default_action: alow\n",
     "p.yaml:1:17: default_action: unknown action 'alow'; did you mean 'allow'?"},
    {"default_action: Deny\n", "did you mean 'deny'?"},
    {"default_action: perhaps\n", "one of allow, ask, deny"},
    {"default_action: [deny]\n", "p.yaml:1:17: default_action must be a text, not a list"},
    {"default_action:\n", "default_action is empty"},
    {"default_action: ~\n", "default_action is empty"},
    {"default_timeout: 30\n", "p.yaml:1:18: default_timeout: '30' is not a duration; write 30s"},
    {"default_timeout: -1s\n", "is not a duration"},
    {"default_timeout: 0s\n", "must be longer than nothing"},
    {"approval_timeout: soon\n", "approval_timeout: 'soon' is not a duration"},
    {"version: 2\n", "version 2 is not known here"},
    {"version: one\n", "version must be a number"},
    {"unknown_executable: allow\n", "one of ask, deny"},
    {"unknown_script: allow\n", "one of as_executable, as_interpreter"},
    {"allowed_paths: {a: b}\n", "allowed_paths must be a list, not a mapping"},
    {"allowed_paths: ['[a']\n", "p.yaml:1:17: allowed_paths: a '[' is not closed"},
    {"trusted_paths: [bin]\n", "each must be an absolute directory"},
    {"trusted_paths: ['/a:/b']\n", "each must be an absolute directory"},
    {"trusted_paths: []\n", "an empty list"},
    {"jails: x\n", "jails must be a list"},
    {"jails: [{commands: [a]}]\n", "p.yaml:1:9: jails: a jail without a name"},
    {"jails: [a, a]\n", "p.yaml:1:12: jails: a jail of this name is in line 1 already"},
    {"jails: {a: [x], b: {commands: [x], container: y}}\n", "did you mean 'containers'?"},
    {"jails: {../a: [x]}\n", "p.yaml:1:9: jails: a name is made of letters"},
    {"jails: {a..b: [x]}\n", "'..' stands in no name"},
    {"jails: {.a: [x]}\n", "begins with a letter or digit"},
    {"jails: {\"a\\nb\": [x]}\n", "a name is made of letters"},
    {"jails: {clawrden: [x]}\n", "names that begin with 'clawrden' are its own"},
    {"jails: {aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: [x]}\n",
     "1 to 64 bytes"},
    {"jails: {a: [../x]}\n", "p.yaml:1:13: jails: a command: a name is made of letters"},
    {"jails: {a: [x/y]}\n", "a name is made of letters"},
    {"jails: {a: [clawrden-shim]}\n", "are its own"},
    {"jails: {a: [git.original]}\n", "are those of locked tools"},
    {"jails: {a: ['']}\n", "1 to 128 bytes"},
    {"jails: {a: {mode: harden}}\n", "mode: one of plain, hardened"},
    {"jails: {a: {containers: ['[x']}}\n", "containers: a '[' is not closed"},
    {"jails: {a: {labels: {x: [y]}}}\n", "each value must be a text"},
    {"jails: [[a]]\n", "a jail is a name or a mapping"},
    {"redact: ['(']\n", "p.yaml:1:10: redact: not a regular expression, at its byte 2"},
    {"env: {pass: [A], sett: {}}\n", "did you mean 'set'?"},
    {"env: {set: {PATH: /tmp}}\n", "PATH is made from trusted_paths"},
    {"env: {set: {'A B': x}}\n", "is not a variable's name"},
    {"env: {set: {A: [x]}}\n", "each value must be a text"},
    {"rules: {}\n", "rules must be a list, not a mapping"},
    {R "x\n", "p.yaml:2:5: a rule must be a mapping"},
    {R "{action: deny}\n", "p.yaml:2:5: a rule without command"},
    {R "{command: x}\n", "p.yaml:2:5: a rule without action"},
    {R "{command: [], action: deny}\n", "an empty list matches nothing"},
    {R "{command: '', action: deny}\n", "an empty text"},
    {R "{command: '[x', action: deny}\n", "a '[' is not closed"},
    {R "{comand: x, action: deny}\n",
     "p.yaml:2:6: unknown key 'comand' in a rule; did you mean 'command'?"},
    {R "{command: x, action: deny, action: deny}\n", "is here twice"},
    {R "{command: x, action: deny, timeout: never}\n", "is not a duration"},
    {R "{command: x, action: deny, executor: gost}\n",
     "unknown executor 'gost'; did you mean 'ghost'?"},
    {R "{command: x, action: deny, executor: remote-one}\n",
     "one of local, mirror, ghost, inplace"},
    {R "{command: x, action: ask, approvals: 2}\n", "only 1 is supported"},
    {R "{command: x, action: ask, approvals: 0}\n", "0 would be an allow"},
    {R "{command: x, action: ask, record: yes}\n", "record must be true or false"},
    {R "{command: x, action: ask, uid: root}\n", "uid must be a number"},
    {R "{command: x, action: ask, uid: []}\n", "matches nobody"},
    {R "{command: x, action: ask, container: []}\n", "matches none"},
    {R "{command: x, action: ask, labels: [a]}\n", "labels must be a mapping"},
    {R "{command: x, action: allow, below: [npm]}\n", "cannot rest on what a program descends"},
    {R "{command: x, action: ask, match: {regexp: a}}\n", "did you mean 'regex'?"},
    {R "{command: x, action: ask, match: {regex: '*'}}\n", "not a regular expression"},
    {R "{command: x, action: ask, args: ['']}\n", "an empty item"},
    {R "{command: x, action: ask, args: [\"a 'b\"]}\n", "a quote is not closed"},
    {R "{command: x, action: ask, args: ['a\\']}\n", "a backslash with nothing behind it"},
    {R "{command: x, action: ask, args: {a: b}}\n", "args must be a list"},
    {R "{command: x, action: ask, args: [[a]]}\n", "args must be a text, not a list"},
    {R "{name: limit, command: x, action: ask}\n", "has a meaning of its own"},
    {R "{name: 'rule 1', command: x, action: ask}\n", "has a meaning of its own"},
    {R "{name: a, command: x, action: ask}\n  - {name: a, command: y, action: ask}\n",
     "p.yaml:3:12: the rule in line 2 has the name 'a' already"},
    {R "{command: rm, action: ask, args: [-r], examples: {match: [rm x]}}\n",
     "p.yaml:2:63: example 'rm x' is not matched by rule 1"},
    {R "{command: rm, action: ask, args: [-r], examples: {no_match: [rm -fr x]}}\n",
     "example 'rm -fr x' is matched by rule 1"},
    {R "{command: rm, action: ask, examples: {matches: [rm]}}\n", "did you mean 'match'?"},
    {R "{command: rm, action: ask, examples: [rm]}\n", "examples must be a mapping"},
    /* YAML that could mean more than is seen */
    {"a: &x 1\n", "anchors (&name) are not accepted"},
    {"default_action: *x\n", "aliases (*name) are not accepted"},
    {"default_action: !!str deny\n", "tags (!name) are not accepted"},
    {"default_action: !x deny\n", "tags (!name) are not accepted"},
    {"default_action: deny\n---\ndefault_action: allow\n", "a second document"},
    {"%TAG ! tag:x,2000:\n---\na: b\n", "%TAG is not accepted"},
    {"<<: {default_action: allow}\n", "unknown key '<<'"},
    {"? [a]\n: b\n", "a key must be plain text"},
    {"default_action: \"de\\0ny\"\n", "must not contain a NUL byte"},
    {"default_action: deny\n\tx: y\n", "p.yaml:2:"},
    {"rules: [\n", "p.yaml:2:1:"},
    {"a: \xff\n", "p.yaml:1:4:"},
    {"a\x1b[2Jb: 1\n", "p.yaml:1:2:"},
    {"\"a\\e[2Jb\": 1\n", "unknown key 'a\\e[2Jb'"},
};

static void what_is_wrong_is_refused_with_its_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct policy *p = NULL;
        struct err err = {{0}};
        int r = policy_parse(wrong[i].text, strlen(wrong[i].text), "p.yaml", &p, &err);
        if (r != -EINVAL || p)
            fail_msg("accepted:\n%s", wrong[i].text);
        if (!strstr(err.text, wrong[i].words))
            fail_msg("for\n%sthe words are\n%s\nnot\n%s", wrong[i].text, err.text, wrong[i].words);
        if (!str_starts(err.text, "p.yaml:"))
            fail_msg("no place: %s", err.text);
    }
}

static void a_nul_byte_in_the_text_is_refused(void **state)
{
    (void)state;
    struct policy *p = NULL;
    struct err err;
    assert_int_equal(policy_parse("a: b\0c: d\n", 10, "p.yaml", &p, &err), -EINVAL);
}

static void too_much_text_is_refused(void **state)
{
    (void)state;
    size_t n = POLICY_TEXT_MAX + 1;
    char *text = mem_zalloc(n);
    struct policy *p = NULL;
    struct err err;
    memset(text, '#', n);
    assert_int_equal(policy_parse(text, n, "p.yaml", &p, &err), -E2BIG);
    memset(text, '[', n);
    assert_int_equal(policy_parse(text, n - 1, "p.yaml", &p, &err), -EINVAL);
    assert_non_null(strstr(err.text, "deeper than 32"));
    free(text);
}

static void what_is_left_out_has_the_safe_value(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("rules: []\n");
    static struct policy_case c;
    struct policy_decision d;
    assert_true(policy_case_begin(&c, p, "ls", "/app", 0));
    policy_judge(p, &c.q, &d);
    assert_int_equal(d.verdict, VERDICT_DENY);
    assert_string_equal(d.rule_name, "default_action");
    assert_int_equal(d.line, 0);
    assert_true(d.timeout == UINT64_C(120000000000));
    assert_true(d.approval_timeout == UINT64_C(900000000000));
    assert_null(d.executor);
    assert_false(d.record);
    assert_int_equal(policy_case_judge(p, "{unknown} ls"), VERDICT_DENY);
    policy_case_end(&c);
    policy_unref(p);
}

static void unknown_programs_get_the_stricter_of_ask_and_the_default(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("default_action: allow\n");
    assert_int_equal(policy_case_judge(p, "{unknown} ls"), VERDICT_ASK);
    assert_int_equal(policy_case_judge(p, "ls"), VERDICT_ALLOW);
    policy_unref(p);
    p = policy_case_parse("default_action: allow\nunknown_executable: deny\n");
    assert_int_equal(policy_case_judge(p, "{unknown} ls"), VERDICT_DENY);
    policy_unref(p);
}

static void jails_of_every_form_are_read(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(
        "jails: {a: [npm, '[', g++], b: {commands: git, containers: [build-*], labels: {tier: g*},"
        " mode: hardened}}\n");
    assert_int_equal(policy_jails_count(p), 2);
    const struct policy_jail *a = policy_jail(p, 0), *b = policy_jail(p, 1);
    assert_string_equal(a->name, "a");
    assert_int_equal(a->commands_count, 3);
    assert_string_equal(a->commands[2], "g++");
    assert_false(a->hardened);
    assert_string_equal(b->commands[0], "git");
    assert_string_equal(b->containers[0], "build-*");
    assert_string_equal(b->labels[0].key, "tier");
    assert_string_equal(b->labels[0].value, "g*");
    assert_true(b->hardened);
    policy_unref(p);
    p = policy_case_parse("jails: [bare, {name: named, commands: [x]}]\n");
    assert_string_equal(policy_jail(p, 0)->name, "bare");
    assert_int_equal(policy_jail(p, 0)->commands_count, 0);
    assert_string_equal(policy_jail(p, 1)->name, "named");
    policy_unref(p);
}

static void every_key_of_a_rule_reaches_the_decision(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(
        "default_timeout: 10s\napproval_timeout: 1m\njails: [a, {name: b, commands: [x]}]\nrules:\n"
        "  - name: full\n    command: ls\n    action: ask\n    timeout: 1m30s\n"
        "    approval_timeout: 1h\n    reason: because\n    instead: cat\n    executor: ghost\n"
        "    record: true\n    approvals: 1\n");
    static struct policy_case c;
    struct policy_decision d;
    struct policy_rule_info info;
    assert_true(policy_case_begin(&c, p, "ls", "/app", 0));
    policy_judge(p, &c.q, &d);
    policy_case_end(&c);
    assert_int_equal(d.verdict, VERDICT_ASK);
    assert_string_equal(d.rule_name, "full");
    assert_int_equal(d.line, 5);
    assert_true(d.timeout == UINT64_C(90000000000));
    assert_true(d.approval_timeout == UINT64_C(3600000000000));
    assert_string_equal(d.reason, "because");
    assert_string_equal(d.instead, "cat");
    assert_string_equal(d.executor, "ghost");
    assert_true(d.record);
    assert_true(policy_uses_executor(p, "ghost"));
    assert_false(policy_uses_executor(p, "mirror"));
    assert_int_equal(policy_rules_count(p), 1);
    policy_rule_info(p, 0, &info);
    assert_string_equal(info.name, "full");
    assert_string_equal(info.command, "ls");
    assert_int_equal(info.action, VERDICT_ASK);
    assert_string_equal(policy_name(p), "test.yaml");
    policy_unref(p);
}

static void the_version_is_the_digest_of_the_text(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("rules: []\n");
    assert_string_equal(policy_digest(p),
                        "e0dfa70eb69d47fe9cb2be8a4fcd53e74cf7fe26fcbb1f06912b57a9c028e4e0");
    policy_unref(p);
}

static void the_search_path_ends_with_null(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse("trusted_paths: [/a, /b]\n");
    const char *const *path = policy_search_path(p);
    assert_string_equal(path[0], "/a");
    assert_string_equal(path[1], "/b");
    assert_null(path[2]);
    struct policy *again = policy_ref(p);
    assert_ptr_equal(policy_unref(p), NULL);
    assert_string_equal(policy_search_path(again)[1], "/b");
    policy_unref(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
        cmocka_unit_test(a_nul_byte_in_the_text_is_refused),
        cmocka_unit_test(too_much_text_is_refused),
        cmocka_unit_test(what_is_left_out_has_the_safe_value),
        cmocka_unit_test(unknown_programs_get_the_stricter_of_ask_and_the_default),
        cmocka_unit_test(jails_of_every_form_are_read),
        cmocka_unit_test(every_key_of_a_rule_reaches_the_decision),
        cmocka_unit_test(the_version_is_the_digest_of_the_text),
        cmocka_unit_test(the_search_path_ends_with_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
