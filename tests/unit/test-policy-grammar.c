/* SPDX-License-Identifier: MIT */
/* Globs, words, and grammars as such. */
#include "policy-case.h"

#include <errno.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "policy/glob.h"
#include "policy/grammar.h"
#include "policy/pool.h"
#include "policy/tokens.h"

static void globs_match_whole_texts(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *text;
        bool match;
    } rows[] = {
        {"", "", true},          {"", "a", false},      {"*", "", true},
        {"*", "a/b", true},      {"a*c", "abbc", true}, {"a*c", "abcd", false},
        {"a?c", "abc", true},    {"a?c", "ac", false},  {"[a-c]x", "bx", true},
        {"[a-c]x", "dx", false}, {"[!a]", "b", true},   {"[^a]", "a", false},
        {"[]]", "]", true},      {"[a-]", "-", true},   {"[\\]]", "]", true},
        {"\\*", "*", true},      {"\\*", "x", false},   {"*a*b*", "xaybz", true},
        {"**", "x", true},       {"[a", "[a", true},    {"*\xff", "\xff", true},
        {"a\\", "a\\", true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (glob_match(rows[i].pattern, rows[i].text, NULL) != rows[i].match)
            fail_msg("'%s' and '%s'", rows[i].pattern, rows[i].text);
}

static void a_directory_is_in_its_own_glob(void **state)
{
    (void)state;
    assert_true(glob_match_path("/app/*", "/app", NULL));
    assert_true(glob_match_path("/app/*", "/app/x/y", NULL));
    assert_true(glob_match_path("/app/**", "/app", NULL));
    assert_true(glob_match_path("/*", "/", NULL));
    assert_true(glob_match_path("/*", "/x", NULL));
    assert_false(glob_match_path("/app/*", "/application", NULL));
    assert_false(glob_match_path("/app", "/app/x", NULL));
    assert_false(glob_match_path("/app*", "/ap", NULL));
}

static void a_glob_without_budget_matches_nothing(void **state)
{
    (void)state;
    uint64_t budget = 3;
    assert_false(glob_match("*b", "aaaaaaaab", &budget));
    assert_int_equal(budget, 0);
    assert_false(glob_match("a", "a", &budget));
    assert_true(glob_valid("[a-z]*\\["));
    assert_false(glob_valid("[a"));
    assert_false(glob_valid("a\\"));
}

static void check_split(const char *line, bool patterns, const char *wanted)
{
    struct pool *pool = pool_new();
    const char *const *words;
    size_t count;
    struct buf got = BUF_INIT(256);
    assert_int_equal(tokens_split(pool, line, patterns, &words, &count, NULL), 0);
    for (size_t i = 0; i < count; i++)
        (void)buf_printf(&got, "%s<%s>", i ? " " : "", words[i]);
    assert_string_equal(buf_str(&got), wanted);
    buf_done(&got);
    (void)pool_free(pool);
}

static void lines_split_like_in_a_shell(void **state)
{
    (void)state;
    check_split("  a  b\tc\n", false, "<a> <b> <c>");
    check_split("'a b' \"c d\"e f\\ g", false, "<a b> <c de> <f g>");
    check_split("'' \"\"", false, "<> <>");
    check_split("\"a\\\"b\\x\" 'a\\b'", false, "<a\"b\\x> <a\\b>");
    check_split("'*' * \\* \"?\"", true, "<\\*> <*> <\\*> <\\?>");
    check_split("$x `y` a;b #c", false, "<$x> <`y`> <a;b> <#c>");
}

static void every_grammar_that_is_built_in_loads(void **state)
{
    (void)state;
    static const char *const tools[] = {"git",    "rm",   "npm",   "pip",
                                        "docker", "curl", "chmod", "find"};
    const struct grammars *g = NULL;
    struct err err = {{0}};
    if (grammar_all(&g, &err) < 0)
        fail_msg("%s", err.text);
    for (size_t i = 0; i < sizeof(tools) / sizeof(tools[0]); i++)
        assert_string_equal(grammar_find(g, tools[i])->name, tools[i]);
    assert_ptr_equal(grammar_find(g, "nothing"), grammar_unknown(g));
    assert_ptr_equal(grammar_find(g, "pip3"), grammar_find(g, "pip"));
}

static void a_wrong_grammar_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } wrong[] = {
        {"option: [-a]\n",
         "g.yaml:1:1: unknown key 'option' in a grammar; did you mean 'options'?"},
        {"options: [-a, -a]\n", "option '-a' is here twice"},
        {"options: [--a, '-b --a']\n", "option '--a' is here twice"},
        {"options: ['=']\n", "without a spelling"},
        {"options: [{option: -a, implies: --b}]\n", "not written above"},
        {"use: [x]\n", "no group 'x'"},
        {"operands: files\n", "operands must be plain, paths or targets"},
        {"commands: {a: {is: b}}\n", "no such command"},
        {"commands: {a: {is: a}}\n", "no such command"},
        {"implies: [{operand: x, option: --y}]\n", "no such option in this command"},
        {"skip: 99\n", "skip must be a number"},
        {"[]\n", "a grammar must be a mapping"},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct pool *pool = pool_new();
        struct grammar *g = NULL;
        struct err err = {{0}};
        assert_int_equal(
            grammar_load(pool, wrong[i].text, strlen(wrong[i].text), "g.yaml", &g, &err), -EINVAL);
        if (!strstr(err.text, wrong[i].words))
            fail_msg("%sgives %s", wrong[i].text, err.text);
        (void)pool_free(pool);
    }
}

/* A tool is a data file: this one is none of those that are built in. */
static const char tool[] =
    "anywhere: true\nnegatable: true\noptions:\n  - -q --quiet\n  - -o --out =PATH\n"
    "  - --color [=]\n  - -NUM\n  - '@'\ncommands:\n  run:\n    aliases: [r]\n"
    "    operands: paths\n    skip: 1\n    permute: false\n    options: [-x]\n";

static void check_tokens(const char *line, const char *wanted)
{
    struct pool *pool = pool_new();
    struct grammar *g = NULL;
    struct tokens t;
    const char *const *words;
    size_t count;
    struct buf got = BUF_INIT(512);
    assert_int_equal(grammar_load(pool, tool, strlen(tool), "tool.yaml", &g, NULL), 0);
    assert_int_equal(tokens_split(pool, line, false, &words, &count, NULL), 0);
    tokens_parse(g, words, count, &t);
    for (size_t i = 0; i < t.options.count; i++) {
        const struct token *o = &t.options.at[i];
        (void)buf_printf(&got, "%s%s=%s ", o->negated ? "!" : "", o->option->spellings[0],
                         o->text ? o->text : "");
    }
    for (size_t i = 0; i < t.operands.count; i++)
        (void)buf_printf(&got, "%s%s ", t.operands.at[i].path ? "path:" : "",
                         t.operands.at[i].text);
    if (tokens_uncertain(&t))
        (void)buf_append_str(&got, "?");
    if (!str_eq(buf_str(&got), wanted))
        fail_msg("%s\n is %s\nnot %s", line, buf_str(&got), wanted);
    tokens_done(&t);
    buf_done(&got);
    (void)pool_free(pool);
}

static void arguments_are_taken_apart_by_a_grammar(void **state)
{
    (void)state;
    check_tokens("-q --quiet -qq", "-q= ");
    check_tokens("-qo x --out=y -oz", "-q= -o=x -o=y -o=z ");
    check_tokens("r -x a b -x", "-x= run a path:b path:-x ");
    check_tokens("run -q -o f a b", "-q= -o=f run a path:b ");
    check_tokens("run -- -x b", "run -x path:b ");
    check_tokens("--no-quiet --color --color=always -5 @", "!-q= --color= --color=always @= ");
    check_tokens("--colo", "?");
    check_tokens("-z", "?");
    check_tokens("-qz", "-q= ?");
    check_tokens("--quiet=1", "-q= ?");
    check_tokens("-o", "-o= ?");
    check_tokens("-x", "?"); /* an option of run only */
    check_tokens("- ''", "path:- path: ");
    check_tokens("other a", "path:other path:a "); /* not a command that is known */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(globs_match_whole_texts),
        cmocka_unit_test(a_directory_is_in_its_own_glob),
        cmocka_unit_test(a_glob_without_budget_matches_nothing),
        cmocka_unit_test(lines_split_like_in_a_shell),
        cmocka_unit_test(every_grammar_that_is_built_in_loads),
        cmocka_unit_test(a_wrong_grammar_is_refused_with_its_place),
        cmocka_unit_test(arguments_are_taken_apart_by_a_grammar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
