/* SPDX-License-Identifier: MIT */
/* Waiting for a person: what an answer is bound to, what a reload does to what waits, how a place
 * is found again after a restart, and caps. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/binding.h"
#include "core/limits.h"
#include "fakes/fakes.h"

#define RULE(name, command, action)                                                                \
    "  - name: " name "\n    command: " command "\n    action: " action "\n"
#define HEAD "default_action: deny\nrules:\n"

static const char asks[] = HEAD RULE("pushes", "git", "ask") RULE("reads", "ls", "allow");
static const char denies[] = HEAD RULE("no-pushes", "git", "deny");
static const char allows[] = HEAD RULE("free", "git", "allow");
static const char asks_shorter[] = HEAD RULE("pushes-2", "git", "ask") "    approval_timeout: 1m\n";
static const char asks_longer[] = HEAD RULE("pushes-3", "git", "ask") "    approval_timeout: 2h\n";
static const char asks_and_passes_big[] =
    HEAD RULE("pushes", "git", "ask") "    env:\n      pass: [BIG]\n";
static const char asks_with_paths[] = HEAD RULE("pushes", "git", "ask")
    RULE("outside", "rm", "deny") "    match:\n"
                                  "      paths_outside: [/app/*]\n";
static const char rm_asks[] = HEAD RULE("deletes", "rm", "ask");
static const char rm_asks_with_paths[] = HEAD RULE(
    "outside", "rm", "deny") "    match:\n"
                             "      paths_outside: [/app/*]\n" RULE("deletes", "rm", "ask");

struct fixture {
    struct world world;
    struct fake_caller callers[8], *caller; /* the last one; the others may still wait */
    struct request *r;
};

static void another_caller(struct fixture *f)
{
    f->caller = f->caller ? f->caller + 1 : f->callers;
    assert_true(f->caller < f->callers + ARRAY_LEN(f->callers));
    fake_caller_init(f->caller);
}

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    world_init(&f->world, asks);
    another_caller(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    world_done(&f->world);
    test_free(f);
    return 0;
}

static struct request *submit(struct fixture *f, const char *line)
{
    f->r = fake_request(f->caller, DOOR_SHIM_V2, line);
    warden_submit(f->world.w, f->r);
    return f->r;
}

static int answer_with(struct fixture *f, enum verdict v, const char *digest, struct err *err)
{
    struct answer a = {.verdict = v, .approver = "ana", .channel = "cli"};
    return warden_answer(f->world.w, f->caller->id, &a, digest, err);
}

static int approve(struct fixture *f)
{
    return answer_with(f, VERDICT_ALLOW, NULL, NULL);
}

static void reload(struct fixture *f, const char *text)
{
    struct policy *p = fake_policy(text);
    warden_set_policy(f->world.w, p, "test");
    policy_unref(p);
}

static bool recorded(struct fixture *f, const char *event, const char *key, const char *value)
{
    return fake_audit_is(&f->world.audit, NULL, event, key, value);
}

static void finish(struct fixture *f)
{
    struct end e = {.kind = END_EXIT};
    warden_ended(f->world.w, f->r, &e);
}

/* ---- waiting ---- */

static void who_waits_is_told_listed_and_put_in_the_index(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    assert_int_equal(f->caller->waiting, 1);
    assert_int_equal(f->world.audit.count, 0); /* nothing is decided yet */
    assert_ptr_equal(warden_find(f->world.w, f->r->id_text), f->r);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
    assert_true(warden_idle(f->world.w));
    const struct queue_row *row = fake_index_find(&f->world.index, f->r->id);
    assert_non_null(row);
    assert_string_equal(row->digest, f->r->digest);
    assert_int_equal(row->pid, 500);
    assert_int_equal(row->start_time, 99);
    assert_int_equal(row->deadline - row->waiting_at, 900 * SEC);
    assert_non_null(strstr(row->summary, "\"rule\":\"pushes\""));
    assert_true(f->world.rearmed > 0);
    assert_int_equal(warden_tick(f->world.w), f->r->deadline);
}

/* A caller that knows of its place can claim it after a kill: so the place is kept first. */
static void who_waits_is_told_when_its_place_is_kept(void **state)
{
    struct fixture *f = *state;
    f->world.index.hold = true;
    submit(f, "git push");
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
    assert_int_equal(f->caller->waiting, 0);
    fake_index_keep(&f->world.index);
    assert_int_equal(f->caller->waiting, 1);
    fake_index_keep(&f->world.index);
    assert_int_equal(f->caller->waiting, 1);
    world_advance(&f->world, 5 * SEC);
    assert_int_equal(f->caller->waiting, 1);
}

static void an_index_that_hangs_does_not_keep_the_words_for_ever(void **state)
{
    struct fixture *f = *state;
    f->world.index.hold = true;
    submit(f, "git push");
    world_advance(&f->world, 1 * SEC);
    assert_int_equal(f->caller->waiting, 0);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(f->caller->waiting, 1);
}

static void an_answer_before_the_place_is_kept_counts(void **state)
{
    struct fixture *f = *state;
    f->world.index.hold = true;
    submit(f, "git push");
    uint8_t id[16];
    memcpy(id, f->r->id, sizeof(id));
    struct answer a = {.verdict = VERDICT_ALLOW, .approver = "ana", .channel = "cli"};
    assert_int_equal(warden_answer(f->world.w, f->r->id_text, &a, NULL, NULL), 0);
    finish(f);
    f->world.index.port.kept(f->world.index.port.kept_arg, id);
    assert_int_equal(f->caller->waiting, 0);
    assert_int_equal(f->caller->taken, 1);
}

static void an_answer_takes_it_out_of_the_index(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.index.count, 0);
    finish(f);
}

static void an_answer_to_what_was_not_seen_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    char digest[65];
    submit(f, "git push");
    memcpy(digest, f->r->digest, sizeof(digest));
    digest[0] = digest[0] == '0' ? '1' : '0';
    assert_int_equal(answer_with(f, VERDICT_ALLOW, digest, &err), -ESTALE);
    assert_int_equal(answer_with(f, VERDICT_ALLOW, "", &err), -ESTALE);
    assert_int_equal(f->r->state, REQUEST_WAITING);
    assert_int_equal(answer_with(f, VERDICT_ALLOW, f->r->digest, &err), 0);
    finish(f);
}

static void what_changed_while_it_waited_is_never_run(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.ino = 43;
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "changed while it waited"));
    assert_true(recorded(f, "decision", "decision", "error"));
    assert_true(recorded(f, "decision", "approver", "ana"));
}

static void another_directory_is_a_change_too(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.cwd = "/app/other";
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->exit_code, 126);
}

static void a_program_that_is_no_longer_trusted_is_a_change_too(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.trust = PROGRAM_UNKNOWN;
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
}

static void facts_that_cannot_be_read_again_refuse(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.fail = -ETIMEDOUT;
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->exit_code, 125);
    assert_true(recorded(f, "decision", "cwd", "/app")); /* what was known is recorded */
}

static void a_caller_that_goes_after_the_yes_is_withdrawn(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.hold = true;
    assert_int_equal(approve(f), 0);
    warden_withdraw(f->world.w, f->r, "it hung up");
    assert_int_equal(f->world.resolver.pending_count, 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->refused, 0);
    assert_true(recorded(f, "decision", "decision", "withdrawn"));
    assert_true(recorded(f, "decision", "cwd", "/app"));
}

static void a_kill_after_the_yes_is_a_no(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.hold = true;
    assert_int_equal(approve(f), 0);
    assert_int_equal(fake_kill(f->world.w, f->caller->id, 0, "bob", "stop", NULL), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->exit_code, 126);
    assert_true(recorded(f, "decision", "decision", "ask-denied"));
    assert_true(recorded(f, "decision", "approver", "bob"));
}

static void a_kill_of_what_waits_is_a_no(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    assert_int_equal(fake_kill(f->world.w, f->caller->id, SIGKILL, "bob", "stop", NULL), 0);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "denied by bob: stop"));
}

/* A request whose variable `name` is larger than any environment may be. The text is `*ret_big`. */
static struct request *submit_with_big(struct fixture *f, const char *name, char **ret_big)
{
    char *big = test_malloc(BINDING_ENV_MAX + 100);
    memset(big, 'x', BINDING_ENV_MAX + 99);
    big[BINDING_ENV_MAX + 99] = '\0';
    memcpy(big, name, strlen(name));
    f->r = fake_request(f->caller, DOOR_SHIM_V2, "git push");
    f->r->ask.env[0] = *ret_big = big;
    warden_submit(f->world.w, f->r);
    return f->r;
}

static void what_cannot_be_bound_is_not_asked_for(void **state)
{
    struct fixture *f = *state;
    char *big;
    submit_with_big(f, "LANG=", &big);
    assert_int_equal(f->caller->waiting, 0);
    assert_int_equal(f->caller->exit_code, 125);
    assert_non_null(strstr(f->caller->text, "the environment that passes"));
    assert_true(recorded(f, "decision", "decision", "error"));
    test_free(big);
}

static void what_cannot_be_bound_after_a_reload_is_refused(void **state)
{
    struct fixture *f = *state;
    char *big;
    submit_with_big(f, "BIG=", &big); /* does not pass: no part of the digest */
    assert_int_equal(f->caller->waiting, 1);
    reload(f, asks_and_passes_big);
    assert_int_equal(f->caller->exit_code, 125);
    assert_true(recorded(f, "decision", "decision", "error"));
    test_free(big);
}

/* ---- reload ---- */

static void a_reload_that_denies_wins(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    reload(f, denies);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "refused by no-pushes"));
    assert_true(recorded(f, "decision", "decision", "deny"));
    assert_int_equal(f->world.index.count, 0);
    assert_int_equal(approve(f), -EALREADY);
    assert_int_equal(f->world.executor.starts, 0);
}

static void a_reload_that_allows_starts_it(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    world_advance(&f->world, 2 * SEC);
    reload(f, allows);
    assert_int_equal(f->world.executor.starts, 1);
    assert_true(recorded(f, "decision", "decision", "allow"));
    assert_true(recorded(f, "decision", "rule", "free"));
    assert_true(recorded(f, "decision", "waited_ms", "2000"));
    finish(f);
}

static void a_reload_that_still_asks_binds_anew_and_may_only_shorten(void **state)
{
    struct fixture *f = *state;
    char digest[65];
    submit(f, "git push");
    memcpy(digest, f->r->digest, sizeof(digest));
    uint64_t deadline = f->r->deadline;
    reload(f, asks_longer);
    assert_int_equal(f->caller->waiting, 2);
    assert_string_not_equal(f->r->digest, digest);
    assert_int_equal(f->r->deadline, deadline);
    assert_string_equal(f->r->judged.rule_name, "pushes-3");
    world_advance(&f->world, 30 * SEC);
    reload(f, asks_shorter);
    assert_int_equal(f->r->deadline, 1060 * SEC); /* a minute since it began to wait at 1000 s */
    assert_int_equal(answer_with(f, VERDICT_ALLOW, digest, NULL), -ESTALE);
    assert_string_equal(fake_index_find(&f->world.index, f->r->id)->digest, f->r->digest);
    world_advance(&f->world, 30 * SEC);
    assert_non_null(strstr(f->caller->text, "nobody answered within 1m"));
}

static void a_reload_of_the_same_text_disturbs_nobody(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    reload(f, asks);
    assert_int_equal(f->caller->waiting, 1);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "policy"), 1);
    assert_int_equal(approve(f), 0);
    assert_int_equal(f->world.executor.starts, 1);
    finish(f);
}

static void a_reload_while_facts_are_found_judges_by_the_new_policy(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.hold = true;
    submit(f, "git push");
    reload(f, denies);
    fake_resolver_answer(&f->world.resolver, f->r);
    assert_int_equal(f->world.resolver.resolved, 2); /* the paths may be others */
    fake_resolver_answer(&f->world.resolver, f->r);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "no-pushes"));
}

static void a_reload_just_after_the_yes_refuses(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.resolver.hold = true;
    assert_int_equal(approve(f), 0);
    reload(f, allows);
    fake_resolver_answer(&f->world.resolver, f->r);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "the policy changed"));
}

static void paths_that_a_new_policy_looks_at_are_found_first(void **state)
{
    struct fixture *f = *state;
    reload(f, rm_asks);
    submit(f, "rm link");
    assert_int_equal(f->world.resolver.resolved, 1);
    f->world.resolver.hold = true;
    f->world.resolver.path_operand = "/etc/passwd";
    reload(f, rm_asks_with_paths);
    assert_int_equal(f->world.resolver.resolved, 2);
    assert_int_equal(f->r->state, REQUEST_WAITING);
    assert_int_equal(approve(f), -ESTALE); /* nobody has seen what it is judged by now */
    fake_resolver_answer(&f->world.resolver, f->r);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "refused by outside"));
}

static void paths_beyond_all_bounds_are_judged_as_they_are(void **state)
{
    struct fixture *f = *state;
    char line[2 + 2 * 2000 + 1] = "rm";
    for (size_t i = 0; i < 2000; i++)
        memcpy(line + 2 + 2 * i, " x", 3);
    reload(f, rm_asks);
    submit(f, line);
    reload(f, rm_asks_with_paths); /* none is resolved, so all of them are outside */
    assert_int_equal(f->world.resolver.resolved, 1);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "refused by outside"));
}

static void while_paths_are_found_it_can_still_end(void **state)
{
    struct fixture *f = *state;
    const enum verdict no = VERDICT_DENY;
    for (int way = 0; way < 4; way++) {
        f->world.resolver.hold = false;
        f->world.resolver.fail = 0;
        another_caller(f);
        reload(f, rm_asks);
        submit(f, "rm link");
        f->world.resolver.hold = true;
        reload(f, rm_asks_with_paths);
        reload(f, way & 1 ? rm_asks_with_paths : asks_with_paths); /* overtaken by another */
        f->world.resolver.fail = -ETIMEDOUT;
        if (way == 0)
            warden_withdraw(f->world.w, f->r, "it hung up");
        else if (way == 1)
            world_advance(&f->world, 900 * SEC);
        else if (way == 2)
            assert_int_equal(answer_with(f, no, NULL, NULL), 0);
        else
            fake_resolver_answer(&f->world.resolver, f->r);
        static const char *const decisions[] = {"withdrawn", "ask-expired", "ask-denied", "error"};
        assert_true(recorded(f, "decision", "decision", decisions[way]));
        assert_true(recorded(f, "decision", "rule", "deletes")); /* what was known before */
        assert_true(recorded(f, "decision", "cwd", "/app"));
        assert_int_equal(f->world.resolver.pending_count, 0);
        assert_int_equal(f->caller->refused, way != 0);
    }
    assert_int_equal(f->world.executor.starts, 0);
}

static void an_overtaken_lookup_is_done_again(void **state)
{
    struct fixture *f = *state;
    reload(f, rm_asks);
    submit(f, "rm link");
    f->world.resolver.hold = true;
    f->world.resolver.path_operand = "/app/x";
    reload(f, rm_asks_with_paths);
    reload(f, denies);
    fake_resolver_answer(&f->world.resolver, f->r); /* for a policy that is gone */
    assert_int_equal(f->r->state, REQUEST_WAITING);
    fake_resolver_answer(&f->world.resolver, f->r);
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "default_action"));
}

/* ---- after a restart ---- */

/* The warden of before goes, with what waits in its queue; another one comes. */
static void restart(struct fixture *f, uint8_t ret_id[16])
{
    submit(f, "git push");
    memcpy(ret_id, f->r->id, 16);
    warden_drain(f->world.w);
    world_stop(&f->world);
    assert_int_equal(f->caller->refused, 0);
    assert_int_equal(f->world.index.count, 1);
    fake_clock_advance(&f->world.clock, 10 * SEC);
    world_start(&f->world);
    struct queue_row row = f->world.index.rows[0];
    warden_restore(f->world.w, &row, 1);
    another_caller(f);
}

static struct request *come_back(struct fixture *f, const uint8_t id[16], pid_t pid,
                                 uint64_t start_time, const char *line)
{
    f->r = fake_request(f->caller, DOOR_SHIM_V2, line);
    f->r->ask.has_claim = true;
    memcpy(f->r->ask.claim, id, 16);
    f->r->peer.pid = pid;
    f->r->peer.start_time = start_time;
    warden_submit(f->world.w, f->r);
    return f->r;
}

static void a_shim_finds_its_place_again(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    restart(f, id);
    come_back(f, id, 500, 99, "git push");
    assert_memory_equal(f->r->id, id, 16);
    assert_ptr_equal(warden_find(f->world.w, f->r->id_text), f->r);
    assert_int_equal(f->r->waiting_at, FAKE_START_REALTIME);
    assert_int_equal(f->r->deadline, 1900 * SEC); /* not longer than promised */
    assert_int_equal(approve(f), 0);
    assert_true(recorded(f, "decision", "waited_ms", "10000"));
    finish(f);
    world_advance(&f->world, 60 * SEC);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "decision"), 1);
}

static void a_place_is_given_once(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    restart(f, id);
    come_back(f, id, 500, 99, "git push");
    struct request *first = f->r;
    another_caller(f);
    struct request *r = fake_request(f->caller, DOOR_SHIM_V2, "git push");
    r->ask.has_claim = true;
    memcpy(r->ask.claim, id, 16);
    warden_submit(f->world.w, r);
    assert_memory_equal(first->id, id, 16);
    assert_memory_not_equal(r->id, id, 16);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 2);
}

static void another_process_does_not_get_the_place(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    restart(f, id);
    come_back(f, id, 501, 99, "git push");
    assert_memory_not_equal(f->r->id, id, 16);
    another_caller(f);
    come_back(f, id, 500, 98, "git push"); /* the pid was used again */
    assert_memory_not_equal(f->r->id, id, 16);
    another_caller(f);
    come_back(f, id, 500, 99, "git push"); /* it is still there for its owner */
    assert_memory_equal(f->r->id, id, 16);
}

static void another_command_does_not_get_the_place(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    char text[UUID_TEXT_SIZE];
    restart(f, id);
    uuid_format(id, text);
    come_back(f, id, 500, 99, "git push --force");
    assert_memory_not_equal(f->r->id, id, 16);
    assert_int_equal(f->r->deadline, f->world.clock.mono + 900 * SEC);
    assert_true(fake_audit_is(&f->world.audit, text, "decision", "decision", "withdrawn"));
    assert_true(fake_audit_is(&f->world.audit, text, "decision", "rule", "pushes"));
    assert_null(fake_index_find(&f->world.index, id));
    struct answer a = {.verdict = VERDICT_ALLOW, .approver = "ana"};
    assert_int_equal(warden_answer(f->world.w, text, &a, NULL, NULL), -EALREADY);
}

static void a_claim_that_is_judged_otherwise_now_closes_the_place(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    char text[UUID_TEXT_SIZE];
    restart(f, id);
    uuid_format(id, text);
    come_back(f, id, 500, 99, "ls");
    assert_int_equal(f->world.executor.starts, 1);
    finish(f);
    assert_true(fake_audit_is(&f->world.audit, text, "decision", "decision", "withdrawn"));
    assert_int_equal(f->world.index.count, 0);
}

static void a_place_that_nobody_claims_is_recorded_as_withdrawn(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    char text[UUID_TEXT_SIZE];
    struct answer a = {.verdict = VERDICT_ALLOW, .approver = "ana"};
    restart(f, id);
    uuid_format(id, text);
    assert_int_equal(warden_answer(f->world.w, text, &a, NULL, NULL), -EAGAIN);
    world_advance(&f->world, 30 * SEC - 1);
    assert_int_equal(fake_audit_count(&f->world.audit, text, "decision"), 0);
    world_advance(&f->world, 1);
    assert_true(fake_audit_is(&f->world.audit, text, "decision", "decision", "withdrawn"));
    assert_true(fake_audit_is(&f->world.audit, text, "decision", "command", "git"));
    assert_int_equal(f->world.index.count, 0);
    assert_int_equal(warden_answer(f->world.w, text, &a, NULL, NULL), -EALREADY);
    come_back(f, id, 500, 99, "git push");
    assert_memory_not_equal(f->r->id, id, 16);
}

static void a_place_whose_time_is_up_expires_at_once(void **state)
{
    struct fixture *f = *state;
    uint8_t id[16];
    restart(f, id);
    f->world.clock.real += 3600 * SEC; /* the machine slept */
    come_back(f, id, 500, 99, "git push");
    (void)warden_tick(f->world.w);
    assert_int_equal(f->caller->exit_code, 126);
    assert_true(recorded(f, "decision", "decision", "ask-expired"));
}

static void a_summary_that_is_no_object_does_not_break_the_record(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"a\":1",
                                      "{\"a\":1}\n{\"b\":2}",
                                      "{\"decision\":\"allow\"}",
                                      "{\n\"a\":1,\n\"b\":2}",
                                      "{}",
                                      "null"};
    struct queue_row rows[ARRAY_LEN(bad)] = {0};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        rows[i].id[0] = (uint8_t)(i + 1);
        rows[i].summary = (char *)(uintptr_t)bad[i];
    }
    warden_restore(f->world.w, rows, ARRAY_LEN(rows));
    world_advance(&f->world, 30 * SEC);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "decision"), ARRAY_LEN(bad));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char text[UUID_TEXT_SIZE];
        uuid_format(rows[i].id, text);
        assert_true(fake_audit_is(&f->world.audit, text, "decision", "decision", "withdrawn"));
    }
}

/* ---- caps ---- */

static void a_peer_with_too_many_waiting_is_refused_as_a_cap(void **state)
{
    struct fixture *f = *state;
    world_stop(&f->world);
    f->world.config.waiting_max_per_peer = 1;
    world_start(&f->world);
    submit(f, "git push");
    assert_int_equal(f->caller->waiting, 1);
    another_caller(f);
    submit(f, "git push");
    assert_int_equal(f->caller->exit_code, 126);
    assert_non_null(strstr(f->caller->text, "this is a cap, not a rule: try again later"));
    assert_true(recorded(f, "decision", "decision", "limited"));
    another_caller(f);
    submit(f, "ls"); /* what is allowed is not held up */
    assert_int_equal(f->caller->taken, 1);
    finish(f);
    another_caller(f);
    f->r = fake_request(f->caller, DOOR_SHIM_V2, "git push");
    f->r->peer.uid = 1001; /* nor is anybody else */
    warden_submit(f->world.w, f->r);
    assert_int_equal(f->caller->waiting, 1);
}

static void asks_are_limited_by_the_minute(void **state)
{
    struct fixture *f = *state;
    world_stop(&f->world);
    f->world.config.asks_per_minute = 2;
    world_start(&f->world);
    for (int i = 0; i < 3; i++) {
        another_caller(f);
        submit(f, "git push");
        if (i < 2)
            assert_int_equal(answer_with(f, VERDICT_DENY, NULL, NULL), 0);
    }
    assert_non_null(strstr(f->caller->text, "within a minute"));
    world_advance(&f->world, 30 * SEC);
    another_caller(f);
    submit(f, "git push");
    assert_int_equal(f->caller->waiting, 1);
}

static void a_flood_beyond_a_cap_does_not_fill_the_log(void **state)
{
    struct fixture *f = *state;
    world_stop(&f->world);
    f->world.config.flight_max_per_peer = 1;
    world_start(&f->world);
    struct request *r = submit(f, "ls");
    another_caller(f);
    for (int i = 0; i < 1000; i++) {
        fake_caller_init(f->caller);
        submit(f, "ls");
        assert_int_equal(f->caller->exit_code, 126);
    }
    assert_int_equal(f->world.audit.count, 1 + LIMITS_RECORDS_PER_MINUTE);
    world_advance(&f->world, 60 * SEC);
    assert_true(recorded(f, "limited", "refusals", "990"));
    assert_true(recorded(f, "limited", "peer", "uid:1000"));
    struct end e = {.kind = END_EXIT};
    warden_ended(f->world.w, r, &e);
}

/* ---- under a gate ---- */

/* The command's process is the caller: there is nothing to take. */
static void in_place(struct fixture *f, const char *policy, struct fake_executor *x)
{
    fake_executor_init(x, EXECUTOR_INPLACE);
    x->w = f->world.w;
    warden_add_executor(f->world.w, &x->port);
    warden_set_default_executor(f->world.w, DOOR_GATE, EXECUTOR_INPLACE);
    reload(f, policy);
}

static struct request *submit_by_gate(struct fixture *f, const char *line, bool unholdable)
{
    static struct caller_ops staying;
    f->r = fake_request(f->caller, DOOR_GATE, line);
    staying = *f->caller->caller.ops;
    staying.take = NULL;
    f->caller->caller.ops = &staying;
    f->r->ask.unholdable = unholdable;
    warden_submit(f->world.w, f->r);
    return f->r;
}

static void under_a_gate_a_command_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct fake_executor x;
    in_place(f, allows, &x);
    struct request *r = submit_by_gate(f, "git push", false);
    assert_int_equal(x.starts, 1);
    assert_int_equal(f->caller->taken, 0);
    warden_started(f->world.w, r, 5);
    assert_int_equal(r->deadline, 0); /* the default timeout is not for it */
    const struct end end = {.kind = END_REPLACED};
    char id[UUID_TEXT_SIZE];
    memcpy(id, r->id_text, sizeof(id));
    warden_ended(f->world.w, r, &end);
    assert_true(fake_audit_is(&f->world.audit, id, "end", "replaced", "true"));
    assert_true(fake_audit_is(&f->world.audit, id, "decision", "reported_by", "gate"));
    fake_executor_done(&x);
}

static void an_executor_elsewhere_is_refused_under_a_gate(void **state)
{
    struct fixture *f = *state;
    struct fake_executor x;
    in_place(f, HEAD RULE("away", "git", "allow") "    executor: local\n", &x);
    submit_by_gate(f, "git push", false);
    assert_int_equal(f->caller->refused, 1);
    assert_non_null(strstr(f->caller->text, "names the executor 'local'"));
    assert_int_equal(x.starts + f->world.executor.starts, 0);
    fake_executor_done(&x);
}

static void in_place_is_refused_without_a_gate(void **state)
{
    struct fixture *f = *state;
    struct fake_executor x;
    in_place(f, HEAD RULE("here", "git", "allow") "    executor: inplace\n", &x);
    submit(f, "git push");
    assert_int_equal(f->caller->refused, 1);
    assert_non_null(strstr(f->caller->text, "under a gate only"));
    assert_int_equal(x.starts, 0);
    fake_executor_done(&x);
}

static void what_nothing_protects_is_not_asked_about(void **state)
{
    struct fixture *f = *state;
    struct fake_executor x;
    in_place(f, asks, &x);
    submit_by_gate(f, "git push", true);
    assert_int_equal(f->caller->waiting, 0);
    assert_int_equal(f->caller->refused, 1);
    assert_non_null(strstr(f->caller->text, "nothing protects the memory"));
    fake_executor_done(&x);
}

static void what_a_rule_asks_about_cannot_be_remembered(void **state)
{
    struct fixture *f = *state;
    struct fake_executor x;
    struct err err;
    struct answer yes = {.verdict = VERDICT_ALLOW, .approver = "ana", .remember = true};
    in_place(f, asks, &x);
    struct request *r = submit_by_gate(f, "git push", false);
    assert_int_equal(warden_answer(f->world.w, r->id_text, &yes, NULL, &err), -EINVAL);
    assert_int_equal(r->state, REQUEST_WAITING);
    yes.verdict = VERDICT_DENY, yes.remember = false;
    assert_int_equal(warden_answer(f->world.w, r->id_text, &yes, NULL, &err), 0);
    fake_executor_done(&x);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(under_a_gate_a_command_stays_where_it_is),
        T(an_executor_elsewhere_is_refused_under_a_gate),
        T(in_place_is_refused_without_a_gate),
        T(what_nothing_protects_is_not_asked_about),
        T(what_a_rule_asks_about_cannot_be_remembered),
        T(who_waits_is_told_listed_and_put_in_the_index),
        T(who_waits_is_told_when_its_place_is_kept),
        T(an_index_that_hangs_does_not_keep_the_words_for_ever),
        T(an_answer_before_the_place_is_kept_counts),
        T(an_answer_takes_it_out_of_the_index),
        T(an_answer_to_what_was_not_seen_is_refused),
        T(what_changed_while_it_waited_is_never_run),
        T(another_directory_is_a_change_too),
        T(a_program_that_is_no_longer_trusted_is_a_change_too),
        T(facts_that_cannot_be_read_again_refuse),
        T(a_caller_that_goes_after_the_yes_is_withdrawn),
        T(a_kill_after_the_yes_is_a_no),
        T(a_kill_of_what_waits_is_a_no),
        T(what_cannot_be_bound_is_not_asked_for),
        T(what_cannot_be_bound_after_a_reload_is_refused),
        T(paths_beyond_all_bounds_are_judged_as_they_are),
        T(a_reload_that_denies_wins),
        T(a_reload_that_allows_starts_it),
        T(a_reload_that_still_asks_binds_anew_and_may_only_shorten),
        T(a_reload_of_the_same_text_disturbs_nobody),
        T(a_reload_while_facts_are_found_judges_by_the_new_policy),
        T(a_reload_just_after_the_yes_refuses),
        T(paths_that_a_new_policy_looks_at_are_found_first),
        T(while_paths_are_found_it_can_still_end),
        T(an_overtaken_lookup_is_done_again),
        T(a_shim_finds_its_place_again),
        T(a_place_is_given_once),
        T(another_process_does_not_get_the_place),
        T(another_command_does_not_get_the_place),
        T(a_claim_that_is_judged_otherwise_now_closes_the_place),
        T(a_place_that_nobody_claims_is_recorded_as_withdrawn),
        T(a_place_whose_time_is_up_expires_at_once),
        T(a_summary_that_is_no_object_does_not_break_the_record),
        T(a_peer_with_too_many_waiting_is_refused_as_a_cap),
        T(asks_are_limited_by_the_minute),
        T(a_flood_beyond_a_cap_does_not_fill_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
