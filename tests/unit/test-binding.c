/* SPDX-License-Identifier: MIT */
/* What an answer is bound to: each difference that matters makes another digest. */
#include "core/binding.h"

#include <errno.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "fakes/fakes.h"

static struct policy *policy;
static const char text[] =
    "rules:\n  - command: git\n    action: ask\n    env:\n      pass: [LANG]\n";

static int setup(void **state)
{
    policy = fake_policy(text);
    return 0;
}

static int teardown(void **state)
{
    policy = policy_unref(policy);
    return 0;
}

static struct request *judged(void)
{
    struct request *r = fake_request(NULL, DOOR_SHIM_V2, "git push origin");
    struct policy_request q;
    struct facts *f = &r->facts;
    f->known = true;
    f->cwd = mem_strdup("/app");
    f->exec_path = mem_strdup("/usr/bin/git");
    f->program = (struct policy_program){.trust = PROGRAM_TRUSTED,
                                         .path = facts_keep(f, mem_strdup("/usr/bin/git")),
                                         .dev = 1,
                                         .ino = 2};
    f->paths = facts_keep(f, mem_zalloc(sizeof(*f->paths)));
    f->paths_count = 1;
    f->paths[0].resolved = "/app/origin";
    r->policy = policy_ref(policy);
    request_to_policy(r, &q);
    policy_judge(r->policy, &q, &r->judged);
    return r;
}

static void digest_of(const struct request *r, char ret[BINDING_DIGEST_SIZE])
{
    struct err err = {0};
    if (binding_digest(r, ret, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(strlen(ret), 64);
}

/* Changes `r` in one way; false when there is no such way. */
static bool change(struct request *r, int way)
{
    static const char *argv_joined[] = {"git", "push origin", NULL};
    static const char *other_lang[] = {"LANG=de", "HOME=/root", NULL};
    struct facts *f = &r->facts;
    switch (way) {
    case 0:
        r->ask.argv[2] = "origim";
        return true;
    case 1: /* the same bytes, cut elsewhere */
        free(r->ask.argv);
        r->ask.argv = mem_dup(argv_joined, sizeof(argv_joined));
        r->ask.argc = 2;
        return true;
    case 2:
        r->ask.name = "gii";
        return true;
    case 3:
        free(f->cwd);
        f->cwd = mem_strdup("/app2");
        return true;
    case 4:
        f->cwd_ino++;
        return true;
    case 5:
        free(f->exec_path);
        f->exec_path = mem_strdup("/usr/local/bin/git");
        return true;
    case 6:
        f->program.trust = PROGRAM_UNKNOWN;
        return true;
    case 7:
        f->program.ino++;
        return true;
    case 8:
        f->program.dev++;
        return true;
    case 9:
        f->program.script = "/app/x.sh";
        return true;
    case 10:
        f->program.digest = "00";
        return true;
    case 11:
        f->program.interpreter = "/bin/sh";
        return true;
    case 12:
        f->paths[0].resolved = "/etc/passwd";
        return true;
    case 13:
        f->paths[0].resolved = NULL;
        return true;
    case 14:
        f->paths_count = 0;
        return true;
    case 15:
        free(r->ask.env);
        r->ask.env = mem_dup(other_lang, sizeof(other_lang));
        r->ask.envc = 2;
        return true;
    case 16:
        r->peer.uid++;
        return true;
    case 17:
        r->ask.umask = 0;
        return true;
    case 18:
        r->peer.container = mem_strdup("web");
        return true;
    default:
        return false;
    }
}

static void the_same_request_gives_the_same_digest(void **state)
{
    _cleanup_(request_freep) struct request *a = judged(), *b = judged();
    char first[BINDING_DIGEST_SIZE], second[BINDING_DIGEST_SIZE];
    b->peer.pid++; /* the next life of the same request has another id and time */
    b->received_at = 5;
    b->ask.flags = 7;
    digest_of(a, first);
    digest_of(b, second);
    assert_string_equal(first, second);
}

static void each_difference_that_matters_gives_another(void **state)
{
    char seen[64][BINDING_DIGEST_SIZE];
    size_t n = 0;
    _cleanup_(request_freep) struct request *first = judged();
    digest_of(first, seen[n++]);
    for (int way = 0;; way++) {
        _cleanup_(request_freep) struct request *r = judged();
        if (!change(r, way))
            break;
        digest_of(r, seen[n]);
        for (size_t i = 0; i < n; i++)
            assert_string_not_equal(seen[i], seen[n]);
        n++;
    }
    assert_int_equal(n, 20);
}

static void another_policy_gives_another(void **state)
{
    _cleanup_(request_freep) struct request *a = judged(), *b = judged();
    char first[BINDING_DIGEST_SIZE], second[BINDING_DIGEST_SIZE], longer[sizeof(text) + 2];
    strcpy(longer, text);
    strcat(longer, "\n");
    digest_of(a, first);
    policy_unref(b->policy);
    b->policy = fake_policy(longer);
    struct policy_request q;
    request_to_policy(b, &q);
    policy_judge(b->policy, &q, &b->judged);
    digest_of(b, second);
    assert_string_not_equal(first, second);
}

static void what_no_policy_judged_cannot_be_bound(void **state)
{
    _cleanup_(request_freep) struct request *r = fake_request(NULL, DOOR_SHIM_V2, "git");
    char digest[BINDING_DIGEST_SIZE];
    assert_int_equal(binding_digest(r, digest, NULL), -EINVAL);
}

static void an_environment_beyond_the_bound_cannot_be_bound(void **state)
{
    _cleanup_(request_freep) struct request *r = judged();
    char digest[BINDING_DIGEST_SIZE];
    char *huge = test_malloc(BINDING_ENV_MAX + 10);
    memset(huge, 'x', BINDING_ENV_MAX + 10);
    memcpy(huge, "LANG=", 5);
    huge[BINDING_ENV_MAX + 9] = '\0';
    r->ask.env[0] = huge;
    assert_int_equal(binding_digest(r, digest, NULL), -EMSGSIZE);
    test_free(huge);
}

int main(void)
{
#define T(name) cmocka_unit_test(name)
    const struct CMUnitTest tests[] = {
        T(the_same_request_gives_the_same_digest),
        T(each_difference_that_matters_gives_another),
        T(another_policy_gives_another),
        T(what_no_policy_judged_cannot_be_bound),
        T(an_environment_beyond_the_bound_cannot_be_bound),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
