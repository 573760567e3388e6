/* SPDX-License-Identifier: MIT */
/* What a gate reports, in the form that the core judges. */
#include "door/gate-ask.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define LIST(...)                                                                                  \
    (struct pack_strings)                                                                          \
    {                                                                                              \
        .list = (const char *const[]){__VA_ARGS__},                                                \
        .count = sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)                 \
    }

/* These outlive the function that hands them out. */
static const char *const git_argv[] = {"git", "push", "f"}, *const git_env[] = {"A=1",
                                                                                "LD_PRELOAD=x"};
static const char *const git_above[] = {"9:8 make", "7:6 sh"}, *const git_names[] = {"git"};

static struct gatewire_request git(void)
{
    return (struct gatewire_request){.job = 3,
                                     .execfn = "/usr/bin/git",
                                     .argv = {.list = git_argv, .count = 3},
                                     .env = {.list = git_env, .count = 2},
                                     .parents = {.list = git_above, .count = 2},
                                     .facts = {.cwd = "/w",
                                               .trust = GATEWIRE_TRUSTED,
                                               .path = "/usr/bin/git",
                                               .dev = 1,
                                               .ino = 2,
                                               .names = {.list = git_names, .count = 1}}};
}

static struct gate_ask *make(const struct gatewire_request *m)
{
    struct gate_ask *a = NULL;
    size_t n = gatewire_request_encode(m, NULL, 0);
    uint8_t *body = mem_zalloc(n);
    assert_int_equal(gatewire_request_encode(m, body, n), n);
    assert_int_equal(gate_ask_new(body, n, &a), 0);
    memset(body, 'x', n); /* nothing leads there any more */
    free(body);
    return a;
}

static void what_was_asked_is_copied(void **state)
{
    const struct gatewire_request m = git();
    struct gate_ask *a = make(&m);
    struct request *r = request_new();
    (void)state;
    gate_ask_fill(a, r, true);
    gate_ask_free(a);
    assert_int_equal(r->ask.door, DOOR_GATE);
    assert_string_equal(r->ask.name, "git");
    assert_int_equal(r->ask.argc, 3);
    assert_string_equal(r->ask.argv[1], "push");
    assert_null(r->ask.argv[3]);
    assert_string_equal(r->ask.env[1], "LD_PRELOAD=x");
    assert_true(r->ask.unholdable);
    request_free(r);
}

static void odd_paths_have_a_name_all_the_same(void **state)
{
    static const char *const odd[] = {"", "/", "/x/.", "..", "/proc/self/fd/"};
    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
        struct gatewire_request m = git();
        m.execfn = odd[i];
        struct gate_ask *a = make(&m);
        struct request *r = request_new();
        gate_ask_fill(a, r, false);
        assert_string_equal(r->ask.name, "?");
        request_free(r);
        gate_ask_free(a);
    }
}

static void facts_are_those_of_the_gate(void **state)
{
    const struct gatewire_request m = git();
    struct gate_ask *a = make(&m);
    struct facts f = {0};
    char words[64];
    (void)state;
    assert_int_equal(gate_ask_facts(a, NULL, &f, words, sizeof(words)), 0);
    assert_true(f.known);
    assert_string_equal(f.cwd, "/w");
    assert_string_equal(f.exec_path, "/usr/bin/git");
    assert_int_equal(f.program.trust, PROGRAM_TRUSTED);
    assert_string_equal(f.program.path, "/usr/bin/git");
    assert_int_equal(f.program.ino, 2);
    assert_int_equal(f.program.names_count, 1);
    assert_null(f.program.script);
    assert_null(f.program.digest);
    facts_done(&f);
    gate_ask_free(a);
}

static void what_the_gate_does_not_trust_is_unknown(void **state)
{
    struct gatewire_request m = git();
    struct facts f = {0};
    char words[64];
    (void)state;
    m.facts.trust = GATEWIRE_UNKNOWN;
    m.facts.why_unknown = "the caller owns it";
    m.facts.digest = DIGEST;
    struct gate_ask *a = make(&m);
    assert_int_equal(gate_ask_facts(a, NULL, &f, words, sizeof(words)), 0);
    assert_int_equal(f.program.trust, PROGRAM_UNKNOWN);
    assert_string_equal(f.program.why_unknown, "the caller owns it");
    assert_string_equal(f.program.digest, DIGEST);
    facts_done(&f);
    gate_ask_free(a);
}

static void facts_that_were_not_found_are_an_error_with_words(void **state)
{
    struct gatewire_request m = git();
    struct facts f = {0};
    char words[64];
    (void)state;
    m.facts = (struct gatewire_facts){.error = ETIMEDOUT, .words = "too late"};
    struct gate_ask *a = make(&m);
    assert_int_equal(gate_ask_facts(a, NULL, &f, words, sizeof(words)), -ETIMEDOUT);
    assert_string_equal(words, "too late");
    assert_false(f.known);
    gate_ask_free(a);
    m.facts.error = 1u << 31; /* no errno, and yet no success */
    a = make(&m);
    assert_true(gate_ask_facts(a, NULL, &f, words, sizeof(words)) < 0);
    gate_ask_free(a);
}

static void a_tool_that_is_a_script_is_judged_as_that(void **state)
{
    struct gatewire_request m = {.job = 1,
                                 .execfn = "/usr/bin/node",
                                 .argv = LIST("node", "/usr/bin/npm", "publish"),
                                 .facts = {.trust = GATEWIRE_TRUSTED,
                                           .script_trust = GATEWIRE_TRUSTED,
                                           .script_arg = 1,
                                           .path = "/usr/bin/node",
                                           .script = "/usr/lib/npm-cli.js",
                                           .interpreter = "/usr/bin/node",
                                           .digest = DIGEST,
                                           .names = LIST("npm")}};
    struct gate_ask *a = make(&m);
    struct request *r = request_new();
    struct policy_request q;
    char words[64];
    (void)state;
    gate_ask_fill(a, r, false);
    assert_int_equal(gate_ask_facts(a, NULL, &r->facts, words, sizeof(words)), 0);
    request_to_policy(r, &q);
    assert_string_equal(q.command, "npm");
    assert_int_equal(q.argc, 2);
    assert_string_equal(q.argv[1], "publish");
    assert_string_equal(q.program.path, "/usr/lib/npm-cli.js");
    assert_string_equal(q.program.interpreter, "/usr/bin/node");
    assert_int_equal(r->ask.argc, 3); /* the record shows all of it */
    gate_ask_free(a);
    request_free(r);
}

static void operands_belong_to_the_arguments_that_were_asked_for(void **state)
{
    const struct gatewire_request m = git();
    const size_t at[] = {2, 1};
    struct gatewire_found found = {.job = 3, .facts = git().facts};
    struct gate_ask *a = make(&m);
    struct facts f = {0};
    char words[64];
    uint8_t body[1024];
    (void)state;
    found.facts.operands = LIST("/w/f", "");
    size_t n = gatewire_found_encode(&found, body, sizeof(body));
    gate_ask_expect(a, at, 2);
    gate_ask_again(a, body, n);
    assert_int_equal(gate_ask_facts(a, NULL, &f, words, sizeof(words)), 0);
    assert_int_equal(f.paths_count, 2);
    assert_int_equal(f.paths[0].arg, 2);
    assert_string_equal(f.paths[0].resolved, "/w/f");
    assert_int_equal(f.paths[1].arg, 1);
    assert_null(f.paths[1].resolved);
    facts_done(&f);
    /* A gate that answers fewer leaves the others unresolved, which is outside of everything. */
    found.facts.operands = LIST("/w/f");
    n = gatewire_found_encode(&found, body, sizeof(body));
    gate_ask_again(a, body, n);
    assert_int_equal(gate_ask_facts(a, NULL, &f, words, sizeof(words)), 0);
    assert_int_equal(f.paths_count, 2);
    assert_null(f.paths[1].resolved);
    facts_done(&f);
    gate_ask_free(a);
}

static void free_names(struct map *programs)
{
    const char *key;
    void *value;
    for (size_t i = 0; map_next(programs, &i, &key, &value);)
        free(value);
    map_free(programs);
}

static void what_is_above_is_known_by_what_was_trusted_before(void **state)
{
    struct map *programs = map_new();
    struct gatewire_request m = git();
    struct facts f = {0};
    char words[64];
    (void)state;
    /* "make" was never seen: its name is the gate's word only. */
    struct gate_ask *a = make(&m);
    assert_int_equal(gate_ask_facts(a, programs, &f, words, sizeof(words)), 0);
    assert_int_equal(f.above_count, 0);
    facts_done(&f);
    gate_ask_free(a);
    m.parents = LIST("1:2 evil", "9:9 git", "", "1:2");
    a = make(&m);
    assert_int_equal(gate_ask_facts(a, programs, &f, words, sizeof(words)), 0);
    assert_int_equal(f.above_count, 2);
    assert_string_equal(f.above[0], "git");
    facts_done(&f);
    gate_ask_free(a);
    free_names(programs);
}

static void what_is_unknown_teaches_no_names(void **state)
{
    struct map *programs = map_new();
    struct gatewire_request m = git();
    struct facts f = {0};
    char words[64];
    (void)state;
    m.facts.trust = GATEWIRE_UNKNOWN;
    struct gate_ask *a = make(&m);
    assert_int_equal(gate_ask_facts(a, programs, &f, words, sizeof(words)), 0);
    assert_int_equal(map_count(programs), 0);
    facts_done(&f);
    gate_ask_free(a);
    free_names(programs);
}

static void nonsense_makes_nothing(void **state)
{
    struct gate_ask *a = NULL;
    (void)state;
    assert_int_equal(gate_ask_new((const uint8_t *)"", 0, &a), -EBADMSG);
    assert_int_equal(gate_ask_new((const uint8_t *)"xxxxxxxxxxxxxxxxxxxxxxxx", 24, &a), -EBADMSG);
    assert_null(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_asked_is_copied),
        cmocka_unit_test(odd_paths_have_a_name_all_the_same),
        cmocka_unit_test(facts_are_those_of_the_gate),
        cmocka_unit_test(what_the_gate_does_not_trust_is_unknown),
        cmocka_unit_test(facts_that_were_not_found_are_an_error_with_words),
        cmocka_unit_test(a_tool_that_is_a_script_is_judged_as_that),
        cmocka_unit_test(operands_belong_to_the_arguments_that_were_asked_for),
        cmocka_unit_test(what_is_above_is_known_by_what_was_trusted_before),
        cmocka_unit_test(what_is_unknown_teaches_no_names),
        cmocka_unit_test(nonsense_makes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
