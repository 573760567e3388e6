/* SPDX-License-Identifier: MIT */
/* The warden as others see it: answers, kills, reloads, draining, looking. */
#include "core/warden.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/course.h" /* to look inside */
#include "fakes/fakes.h"

static const char policy_text[] = "rules:\n"
                                  "  - command: ls\n    action: allow\n"
                                  "  - command: git\n    action: ask\n"
                                  "  - command: rm\n    action: deny\n";

struct fixture {
    struct world world;
    struct fake_caller callers[4];
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    world_init(&f->world, policy_text);
    for (size_t i = 0; i < ARRAY_LEN(f->callers); i++)
        fake_caller_init(&f->callers[i]);
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

static struct request *submit(struct fixture *f, size_t caller, enum door_kind door,
                              const char *line)
{
    struct request *r = fake_request(&f->callers[caller], door, line);
    warden_submit(f->world.w, r);
    return r;
}

static int answer(struct fixture *f, const char *id, enum verdict v, struct err *err)
{
    const struct answer a = {.verdict = v, .approver = "ana", .channel = "cli"};
    return warden_answer(f->world.w, id, &a, NULL, err);
}

static void finish(struct fixture *f, struct request *r)
{
    const struct end e = {.kind = END_EXIT};
    warden_ended(f->world.w, r, &e);
}

static void the_first_answer_wins_and_the_second_hears_it(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    submit(f, 0, DOOR_SHIM_V2, "git push");
    const char *id = f->callers[0].id;
    assert_int_equal(answer(f, id, VERDICT_DENY, &err), 0);
    world_advance(&f->world, 3 * SEC);
    assert_int_equal(answer(f, id, VERDICT_ALLOW, &err), -EALREADY);
    assert_non_null(strstr(err.text, "was denied by ana, 3s ago"));
    assert_int_equal(f->world.executor.starts, 0);
}

static void a_yes_after_a_yes_is_late_while_it_runs_and_after(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "git push");
    const char *id = f->callers[0].id;
    assert_int_equal(answer(f, id, VERDICT_ALLOW, &err), 0);
    assert_int_equal(answer(f, id, VERDICT_DENY, &err), -EALREADY);
    assert_non_null(strstr(err.text, "was approved by ana"));
    finish(f, r);
    assert_int_equal(answer(f, id, VERDICT_DENY, &err), -EALREADY);
    assert_non_null(strstr(err.text, "was approved by ana"));
    assert_int_equal(f->world.executor.starts, 1);
}

static void an_answer_while_the_refusal_is_being_recorded_is_late(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    submit(f, 0, DOOR_SHIM_V2, "git push");
    f->world.audit.hold = true;
    world_advance(&f->world, 3600 * SEC);
    assert_int_equal(f->callers[0].refused, 0);
    assert_int_equal(answer(f, f->callers[0].id, VERDICT_ALLOW, &err), -EALREADY);
    assert_non_null(strstr(err.text, "nobody answered in time"));
}

static void unknown_and_malformed_answers_are_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    submit(f, 0, DOOR_SHIM_V2, "git push");
    assert_int_equal(answer(f, "", VERDICT_ALLOW, &err), -ENOENT);
    assert_int_equal(answer(f, "0190a000-0000-7000-8000-000000000001", VERDICT_ALLOW, &err),
                     -ENOENT);
    assert_int_equal(answer(f, f->callers[0].id, VERDICT_ASK, &err), -EINVAL);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
}

static void what_policy_refused_is_known_as_refused(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    submit(f, 0, DOOR_SHIM_V2, "rm x");
    assert_int_equal(answer(f, f->callers[0].id, VERDICT_ALLOW, &err), -EALREADY);
    assert_non_null(strstr(err.text, "was refused by policy"));
}

static void what_is_not_judged_yet_cannot_be_answered_or_killed(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.hold = true;
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "git push");
    assert_int_equal(answer(f, r->id_text, VERDICT_ALLOW, NULL), -ENOENT);
    assert_int_equal(fake_kill(f->world.w, r->id_text, 0, "ana", "", NULL), -ENOENT);
    assert_null(warden_find(f->world.w, r->id_text));
}

static void a_kill_needs_a_name_a_signal_and_something_to_end(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "ls");
    const char *id = r->id_text;
    assert_int_equal(fake_kill(f->world.w, id, -1, "ana", "", &err), -EINVAL);
    assert_int_equal(fake_kill(f->world.w, id, 1000, "ana", "", &err), -EINVAL);
    assert_int_equal(fake_kill(f->world.w, id, 0, "", "", &err), -EINVAL);
    assert_int_equal(fake_kill(f->world.w, id, 0, NULL, "", &err), -EINVAL);
    assert_int_equal(fake_kill(f->world.w, "x", 0, "ana", "", &err), -ENOENT);
    assert_int_equal(f->world.executor.kills, 0);
    char ended[UUID_TEXT_SIZE];
    memcpy(ended, id, sizeof(ended));
    finish(f, r);
    assert_int_equal(fake_kill(f->world.w, ended, 0, "ana", "", &err), -EALREADY);
    assert_non_null(strstr(err.text, "was allowed by policy"));
}

static void kill_all_ends_what_runs_and_leaves_what_waits(void **state)
{
    struct fixture *f = *state;
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "ls");
    submit(f, 1, DOOR_SHIM_V2, "git push");
    warden_kill_all(f->world.w, "the warden stops");
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
    finish(f, r);
    assert_true(fake_audit_is(&f->world.audit, NULL, "end", "killed_by", "clawrden"));
}

static void a_failed_reload_keeps_the_old_policy_and_says_why(void **state)
{
    struct fixture *f = *state;
    struct policy *before = warden_policy(f->world.w);
    assert_null(warden_policy_error(f->world.w));
    warden_policy_failed(f->world.w, "inotify", "policy.yaml:3:1: unknown key");
    assert_ptr_equal(warden_policy(f->world.w), before);
    assert_string_equal(warden_policy_error(f->world.w), "policy.yaml:3:1: unknown key");
    assert_true(fake_audit_is(&f->world.audit, NULL, "policy", "result", "refused"));
    assert_true(fake_audit_is(&f->world.audit, NULL, "policy", "policy", policy_digest(before)));
    assert_int_equal(metrics_errors(warden_metrics(f->world.w), METRICS_ERROR_POLICY), 1);
    struct policy *p = fake_policy("default_action: deny\n");
    warden_set_policy(f->world.w, p, "ana");
    assert_null(warden_policy_error(f->world.w));
    assert_true(fake_audit_is(&f->world.audit, NULL, "policy", "by", "ana"));
    assert_true(fake_audit_is(&f->world.audit, NULL, "policy", "policy", policy_digest(p)));
    policy_unref(p);
}

static void draining_refuses_the_new_and_lets_the_old_end(void **state)
{
    struct fixture *f = *state;
    struct err err = {0};
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "ls");
    submit(f, 1, DOOR_SHIM_V2, "git push");
    submit(f, 2, DOOR_SHIM_V1, "git push");
    warden_drain(f->world.w);
    assert_int_equal(f->callers[1].refused, 0); /* waits for the next warden */
    assert_int_equal(f->callers[2].exit_code, 125);
    assert_true(
        fake_audit_is(&f->world.audit, f->callers[2].id, "decision", "decision", "interrupted"));
    submit(f, 3, DOOR_SHIM_V2, "ls");
    assert_int_equal(f->callers[3].exit_code, 125);
    assert_non_null(strstr(f->callers[3].text, "the warden is stopping"));
    assert_int_equal(answer(f, f->callers[1].id, VERDICT_ALLOW, &err), -EAGAIN);
    assert_false(warden_idle(f->world.w));
    finish(f, r);
    assert_true(warden_idle(f->world.w));
    assert_int_equal(f->world.index.count, 1);
    assert_int_equal(answer(f, f->callers[1].id, VERDICT_DENY, &err), 0);
    assert_int_equal(f->world.index.count, 0);
}

static void what_comes_to_wait_while_draining_waits_or_is_refused_by_its_door(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.hold = true;
    struct request *v2 = submit(f, 0, DOOR_SHIM_V2, "git push");
    struct request *v1 = submit(f, 1, DOOR_SHIM_V1, "git push");
    warden_drain(f->world.w);
    fake_resolver_answer(&f->world.resolver, v2);
    fake_resolver_answer(&f->world.resolver, v1);
    assert_int_equal(f->callers[0].waiting, 1);
    assert_int_equal(f->callers[1].exit_code, 125);
}

static void a_reload_while_draining_is_left_to_the_next_warden(void **state)
{
    struct fixture *f = *state;
    submit(f, 0, DOOR_SHIM_V2, "git push");
    warden_drain(f->world.w);
    struct policy *p = fake_policy("rules:\n  - command: git\n    action: allow\n");
    warden_set_policy(f->world.w, p, "ana");
    policy_unref(p);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
}

static void its_end_without_draining_refuses_who_waits(void **state)
{
    struct fixture *f = *state;
    submit(f, 0, DOOR_SHIM_V2, "git push");
    f->world.executor.at_once = false;
    submit(f, 1, DOOR_SHIM_V2, "ls");
    f->world.resolver.hold = true;
    submit(f, 2, DOOR_SHIM_V2, "ls");
    world_stop(&f->world);
    assert_int_equal(f->callers[0].exit_code, 125);
    assert_int_equal(f->callers[2].exit_code, 125);
    assert_int_equal(f->world.executor.releases, 1);
    assert_int_equal(f->world.index.count, 0);
    assert_true(fake_audit_is(&f->world.audit, NULL, "end", "decision", "interrupted"));
}

static void count_one(void *arg, const struct request *r)
{
    assert_int_not_equal(r->state, REQUEST_ENDED);
    ++*(unsigned *)arg;
}

static void listings_show_what_is_alive(void **state)
{
    struct fixture *f = *state;
    unsigned n = 0;
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "ls");
    submit(f, 1, DOOR_SHIM_V2, "git push");
    submit(f, 2, DOOR_SHIM_V2, "rm x");
    warden_each(f->world.w, count_one, &n);
    assert_int_equal(n, 2);
    assert_int_equal(warden_count(f->world.w, REQUEST_RUNNING), 1);
    assert_ptr_equal(warden_find(f->world.w, r->id_text), r);
    assert_null(warden_find(f->world.w, f->callers[2].id));
    finish(f, r);
}

static void the_timer_is_told_when_a_moment_comes_nearer(void **state)
{
    struct fixture *f = *state;
    submit(f, 0, DOOR_SHIM_V2, "git push"); /* 15 minutes */
    assert_int_equal(f->world.rearmed, 1);
    struct request *r = submit(f, 1, DOOR_SHIM_V2, "ls"); /* two minutes */
    assert_int_equal(f->world.rearmed, 2);
    submit(f, 2, DOOR_SHIM_V2, "git push");
    assert_int_equal(f->world.rearmed, 2);
    assert_int_equal(warden_tick(f->world.w), f->world.clock.mono + 120 * SEC);
    finish(f, r);
    assert_int_equal(warden_tick(f->world.w), f->world.clock.mono + 900 * SEC);
}

struct trace {
    char text[256];
};

static void trace(void *arg, const struct event *e)
{
    struct trace *t = arg;
    strcat(t->text, event_kind_name(e->kind));
    strcat(t->text, " ");
}

static void many_peers_are_forgotten_again(void **state)
{
    struct fixture *f = *state;
    for (unsigned uid = 0; uid < 2000; uid++) {
        fake_caller_init(&f->callers[0]);
        struct request *r = fake_request(&f->callers[0], DOOR_SHIM_V2, "rm x");
        r->peer.uid = uid;
        warden_submit(f->world.w, r);
        world_advance(&f->world, SEC);
        assert_true(limits_peers(f->world.w->limits) < 500);
    }
}

static void events_tell_the_course_in_order(void **state)
{
    struct fixture *f = *state;
    struct trace t = {""};
    events_subscribe(warden_events(f->world.w), trace, &t);
    struct request *r = submit(f, 0, DOOR_SHIM_V2, "git push");
    assert_int_equal(answer(f, r->id_text, VERDICT_ALLOW, NULL), 0);
    finish(f, r);
    assert_string_equal(t.text, "received waiting decided started ended ");
    t.text[0] = '\0';
    submit(f, 1, DOOR_SHIM_V2, "rm x");
    assert_string_equal(t.text, "received decided ended ");
}

struct counted {
    char command[32];
    enum decision d;
};

static void note_count(void *arg, const char *command, enum decision d, uint64_t n)
{
    struct counted *c = arg;
    strcpy(c->command, command);
    c->d = d;
}

static void only_trusted_programs_are_counted_by_name(void **state)
{
    struct fixture *f = *state;
    struct counted c = {""};
    f->world.resolver.trust = PROGRAM_UNKNOWN;
    submit(f, 0, DOOR_SHIM_V2, "rm x");
    metrics_each_request(warden_metrics(f->world.w), note_count, &c);
    assert_string_equal(c.command, "other");
    assert_int_equal(c.d, DECISION_DENY);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(the_first_answer_wins_and_the_second_hears_it),
        T(a_yes_after_a_yes_is_late_while_it_runs_and_after),
        T(an_answer_while_the_refusal_is_being_recorded_is_late),
        T(unknown_and_malformed_answers_are_refused),
        T(what_policy_refused_is_known_as_refused),
        T(what_is_not_judged_yet_cannot_be_answered_or_killed),
        T(a_kill_needs_a_name_a_signal_and_something_to_end),
        T(kill_all_ends_what_runs_and_leaves_what_waits),
        T(a_failed_reload_keeps_the_old_policy_and_says_why),
        T(draining_refuses_the_new_and_lets_the_old_end),
        T(what_comes_to_wait_while_draining_waits_or_is_refused_by_its_door),
        T(a_reload_while_draining_is_left_to_the_next_warden),
        T(its_end_without_draining_refuses_who_waits),
        T(listings_show_what_is_alive),
        T(the_timer_is_told_when_a_moment_comes_nearer),
        T(many_peers_are_forgotten_again),
        T(events_tell_the_course_in_order),
        T(only_trusted_programs_are_counted_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
