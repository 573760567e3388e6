/* SPDX-License-Identifier: MIT */
/* The files of share/agents, and how an agent is told from its command line. */
#include "cli/agents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

static int parse(struct pool *pool, const char *text, struct agents_entry *a, struct err *err)
{
    return agents_parse(pool, text, strlen(text), "x.yaml", a, err);
}

static void every_file_that_is_shipped_can_be_read(void **state)
{
    size_t n = 0;
    for (const struct agents_file *f = agents_file; f->name; f++, n++) {
        _cleanup_(pool_freep) struct pool *pool = pool_new();
        struct agents_entry a;
        struct err err;
        if (agents_parse(pool, (const char *)f->text, f->len, f->name, &a, &err) < 0)
            fail_msg("%s", err.text);
        assert_true(a.commands_count + a.caches_count > 0);
        assert_memory_equal(f->name, a.name, strlen(a.name)); /* codex.yaml is of codex */
    }
    assert_true(n >= 8);
}

static void an_agent_is_known_by_its_first_words(void **state)
{
    _cleanup_(pool_freep) struct pool *pool = pool_new();
    struct agents_entry a;
    struct err err;
    assert_int_equal(parse(pool, "name: codex\ncommands: [codex]\n", &a, &err), 0);
    static const struct {
        const char *words[5];
        bool is;
    } cases[] = {
        {{"codex"}, true},
        {{"/opt/x/codex", "exec"}, true},
        {{"npx", "-y", "@openai/codex"}, true},
        {{"npx", "@openai/codex@0.169.0"}, true},
        {{"codexx"}, false},
        {{"code"}, false},
        {{"sh", "-c", "codex"}, true}, /* only its state becomes writable by that */
        {{"a", "b", "c", "d", "codex"}, false},
        {{"/codex/sh"}, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        size_t n = 0;
        while (n < 5 && cases[i].words[n])
            n++;
        assert_int_equal(agents_is(&a, cases[i].words, n), cases[i].is);
    }
}

static void what_is_wrong_is_refused_with_its_place(void **state)
{
    static const char *const cases[][2] = {
        {"commands: [x]\n", "an agent needs a name"},
        {"name: x\nstates: [~/.x]\n", "x.yaml:2:1"},
        {"name: x\nstate: [/etc]\n", "begins with '~/'"},
        {"name: x\nstate: [~/../y]\n", "no '.' or '..'"},
        {"name: x\nstate: [~/]\n", "begins with '~/'"},
        {"name: x\nstate: [~/a/]\n", "no '.' or '..'"},
        {"name: x\nfiles: [\"~\"]\n", "begins with '~/'"},
        {"name: x\ncommands: [a/b]\n", "without '/'"},
        {"name: x\ncommands: ['']\n", "without '/'"},
        {"[]\n", "x.yaml:1:1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        _cleanup_(pool_freep) struct pool *pool = pool_new();
        struct agents_entry a;
        struct err err = {0};
        assert_int_equal(parse(pool, cases[i][0], &a, &err), -EINVAL);
        if (!strstr(err.text, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_that_is_shipped_can_be_read),
        cmocka_unit_test(an_agent_is_known_by_its_first_words),
        cmocka_unit_test(what_is_wrong_is_refused_with_its_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
