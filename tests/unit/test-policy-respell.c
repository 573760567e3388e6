/* SPDX-License-Identifier: MIT */
/* Respelling a command never gains anything: options bundled or apart, in long or short form, with
 * their value attached or behind them, at another place, abbreviated, with unknown ones between.
 * The generator is deterministic; a failure prints the line. */
#include "policy-case.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

#define ROUNDS 4000
#define WORDS_MAX 32

static uint64_t seed;

static unsigned pick(unsigned n) /* splitmix64 */
{
    uint64_t z = (seed += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (unsigned)((z ^ (z >> 31)) % n);
}

/* What a part of a command may be written as; words within are split at blanks. */
struct part {
    const char *spellings[8];
    bool option; /* may stand at any place behind the subcommand */
};

struct command {
    const char *name, *sub;
    struct part parts[6];
    const char *noise[8];   /* understood options that change nothing */
    const char *unknown[4]; /* not understood: an allow rule must not match any more */
    const char *front[6];   /* before the subcommand */
};

static const struct command rm = {
    .name = "rm",
    .parts = {{{"-r", "-R", "--recursive", "--recursiv", "--rec"}, true},
              {{"-f", "--force", "--forc", "--for"}, true},
              {{"/", "//", "/.", "/../", "/app/..", "/app/../."}, false}},
    .noise = {"-v", "--verbose", "--one-file-system", "-i"},
    .unknown = {"--unheard-of", "-Q"},
};
static const struct command push = {
    .name = "git",
    .sub = "push",
    .parts = {{{"-f", "--force", "--forc"}, true}, {{"origin"}, false}, {{"main"}, false}},
    .noise = {"-u", "--tags", "-v", "-o x", "--push-option=x", "--no-verify", "--atomic"},
    .unknown = {"--unheard-of", "-Q"},
    .front = {"-C /app", "--no-pager", "-c a.b=c", "--git-dir=/x", "--git-dir /x", "--bare"},
};
static const struct command post = {
    .name = "curl",
    .parts = {{{"-X POST", "-XPOST", "--request POST", "--reques POST", "-d x", "--data=x",
                "-F a=b"},
               true},
              {{"https://x/", "--url https://x/"}, false}},
    .noise = {"-s", "-S", "--silent", "-o out", "-H a:b", "--max-time 3"},
    .unknown = {"--unheard-of", "-{"},
};
static const struct command publish = {
    .name = "npm",
    .sub = "publish",
    .parts = {{{"--tag next", "--tag=next"}, true}},
    .noise = {"--access public", "--access=public", "-s", "-w pkg", "--silent", "-d"},
    .unknown = {"--unheard-of", "--unheard=of"},
    .front = {"--prefix x", "--prefix=x", "-C x", "--silent", "--access public"},
};

struct line {
    const char *argv[WORDS_MAX];
    size_t argc;
    char *owned[WORDS_MAX];
};

static void put_words(struct line *l, const char *words)
{
    while (words && *words) {
        size_t n = strcspn(words, " ");
        assert_true(l->argc < WORDS_MAX);
        l->owned[l->argc] = mem_strndup(words, n);
        l->argv[l->argc] = l->owned[l->argc];
        l->argc++;
        words += n + (words[n] == ' ');
    }
}

static const char *one_of(const char *const *list, size_t max)
{
    size_t n = 0;
    while (n < max && list[n])
        n++;
    return n ? list[pick((unsigned)n)] : NULL;
}

static void put_noise(struct line *l, const struct command *c, bool *unknown)
{
    if (pick(3) == 0)
        put_words(l, one_of(c->noise, 8));
    if (pick(8) == 0) {
        put_words(l, one_of(c->unknown, 4));
        *unknown = true;
    }
}

/* Flags of one letter that stand next to each other are written as one word sometimes. */
static void bundle(struct line *l)
{
    for (size_t i = 1; i + 1 < l->argc; i++) {
        const char *a = l->argv[i], *b = l->argv[i + 1];
        if (strlen(a) != 2 || strlen(b) != 2 || a[0] != '-' || b[0] != '-' ||
            !strchr("rRfvi", a[1]) || !strchr("rRfvi", b[1]) || pick(2))
            continue;
        char *both = mem_printf("%s%s", a, b + 1);
        free(l->owned[i]);
        free(l->owned[i + 1]);
        l->argv[i] = l->owned[i] = both;
        l->argc--;
        for (size_t k = i + 1; k < l->argc; k++) {
            l->argv[k] = l->argv[k + 1];
            l->owned[k] = l->owned[k + 1];
        }
    }
}

static void put_parts(struct line *l, const struct command *c, bool *unknown)
{
    bool done[6] = {false};
    size_t next = 0; /* operands keep their order, options stand anywhere */
    for (size_t left = 6; left > 0; left--) {
        size_t i = pick(6);
        while (done[i])
            i = (i + 1) % 6;
        if (c->parts[i].spellings[0] && !c->parts[i].option) {
            while (next < 6 &&
                   (done[next] || c->parts[next].option || !c->parts[next].spellings[0]))
                next++;
            i = next;
        }
        done[i] = true;
        put_noise(l, c, unknown);
        put_words(l, one_of(c->parts[i].spellings, 8));
    }
}

static void make(struct line *l, const struct command *c, bool *unknown)
{
    static const char *const wrappers[] = {"env", "nice -n 5", "sudo -u root", "timeout 5",
                                           "env A=b nohup"};
    *l = (struct line){0};
    *unknown = false;
    if (pick(6) == 0)
        put_words(l, wrappers[pick(5)]);
    put_words(l, c->name);
    while (c->sub && pick(3) == 0)
        put_words(l, one_of(c->front, 6));
    put_words(l, c->sub);
    put_parts(l, c, unknown);
    bundle(l);
}

static void done(struct line *l)
{
    for (size_t i = 0; i < l->argc; i++)
        free(l->owned[i]);
}

static enum verdict judge(const struct policy *p, const struct line *l)
{
    static struct policy_case c;
    struct policy_decision d;
    policy_case_argv(&c, p, l->argv, l->argc, "/app", 1000);
    policy_judge(p, &c.q, &d);
    policy_case_end(&c);
    return d.verdict;
}

static void print(const struct line *l)
{
    for (size_t i = 0; i < l->argc; i++)
        (void)fprintf(stderr, "%s%s", l->argv[i], i + 1 < l->argc ? " " : "\n");
}

static void hold(const struct policy *p, const struct command *c, enum verdict wanted)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct line l;
        bool unknown;
        make(&l, c, &unknown);
        enum verdict v = judge(p, &l);
        if (v != wanted)
            print(&l);
        done(&l);
        assert_int_equal(v, wanted);
    }
}

static const char denies[] =
    "allowed_paths: [/*]\ndefault_action: allow\nrules:\n"
    "  - {command: rm, args: ['-rf /'], action: deny}\n"
    "  - {command: git, args: ['push --force origin main'], action: deny}\n"
    "  - {command: curl, args: ['-X POST'], action: deny}\n"
    "  - {command: npm, args: ['publish --tag next'], action: deny}\n"
    "  - {command: '*', action: allow}\n";

static void respelling_never_turns_deny_into_allow(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(denies);
    seed = 1;
    hold(p, &rm, VERDICT_DENY);
    hold(p, &push, VERDICT_DENY);
    hold(p, &post, VERDICT_DENY);
    hold(p, &publish, VERDICT_DENY);
    policy_unref(p);
}

static const char allows[] =
    "allowed_paths: [/*]\nrules:\n"
    "  - {command: git, args: ['push --force origin main'], action: allow}\n"
    "  - {command: npm, args: ['publish --tag next'], action: allow}\n";

/* What is understood is allowed in each of its spellings, what is not understood in none. */
static void not_understood_is_never_allowed(void **state)
{
    (void)state;
    struct policy *p = policy_case_parse(allows);
    size_t allowed = 0;
    seed = 2;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct line l;
        bool unknown;
        make(&l, i % 2 ? &push : &publish, &unknown);
        enum verdict v = judge(p, &l);
        allowed += v == VERDICT_ALLOW;
        if (v == VERDICT_ALLOW && unknown)
            print(&l);
        done(&l);
        assert_false(v == VERDICT_ALLOW && unknown);
    }
    assert_true(allowed > ROUNDS / 10);
    policy_unref(p);
}

/* Random words around a forbidden command: it stays forbidden; nothing crashes. */
static void other_words_around_it_change_nothing(void **state)
{
    (void)state;
    static const char *const words[] = {"--",    "-",  "x",    "-x",    "--y=z",   "+main", "a b",
                                        "\xff",  "",   "-rf",  "--no-", "--force", "..",    "push",
                                        "-\xff", "/x", "--f=", "-1",    "{}",      ";",     "+"};
    struct policy *p = policy_case_parse(
        "allowed_paths: [/*]\ndefault_action: allow\nrules:\n"
        "  - {command: [rm, tool], args: [danger], action: deny}\n"
        "  - {command: find, args: [-delete], action: deny}\n  - {command: '*', action: allow}\n");
    seed = 3;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct line l = {0};
        bool find = i % 3 == 0;
        l.argv[l.argc++] = find ? "find" : i % 3 == 1 ? "rm" : "tool";
        /* find: a word of its own before "-delete" could make it the value of an option */
        for (unsigned n = pick(4); !find && n > 0; n--)
            l.argv[l.argc++] = words[pick(sizeof(words) / sizeof(words[0]))];
        l.argv[l.argc++] = find ? "-delete" : "danger";
        for (unsigned n = pick(4); n > 0; n--)
            l.argv[l.argc++] = words[pick(sizeof(words) / sizeof(words[0]))];
        enum verdict v = judge(p, &l);
        if (v != VERDICT_DENY)
            print(&l);
        assert_int_equal(v, VERDICT_DENY);
    }
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(respelling_never_turns_deny_into_allow),
        cmocka_unit_test(not_understood_is_never_allowed),
        cmocka_unit_test(other_words_around_it_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
