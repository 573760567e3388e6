/* SPDX-License-Identifier: MIT */
/* The kill switch: what is held, what stands still, what outlives the warden, and in which order it
 * is written down. Random orders of events are in test-course.c, whole programs in tests/system. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "fakes/fakes.h"

static const char policy_text[] =
    "default_action: deny\n"
    "rules:\n"
    "  - {command: ls, action: allow, timeout: 30s, executor: local}\n"
    "  - {command: git, action: ask, approval_timeout: 5m, executor: "
    "local}\n";

struct fixture {
    struct world world;
    struct fake_caller callers[4];
    struct request *r;
    unsigned told;             /* how often an order of pause() was answered */
    struct halt_report report; /* of the last one; its pointers are dead */
    char loose[256];           /* the words of the first */
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

static struct request *submit_in(struct fixture *f, size_t i, const char *line, const char *key)
{
    f->r = fake_request(&f->callers[i], DOOR_SHIM_V2, line);
    if (key)
        f->r->peer.in = container_new(key, key);
    warden_submit(f->world.w, f->r);
    return f->r;
}

static int approve(struct fixture *f, size_t i, struct err *err)
{
    struct answer a = {.verdict = VERDICT_ALLOW, .approver = "ana", .channel = "cli"};
    return warden_answer(f->world.w, f->callers[i].id, &a, NULL, err);
}

static int pause_all(struct fixture *f)
{
    return fake_pause(f->world.w, HOLD_ALL, NULL, 0, NULL);
}

static int resume_all(struct fixture *f)
{
    return fake_resume(f->world.w, HOLD_ALL, NULL, NULL);
}

static void what_the_policy_allows_waits_and_runs_later(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    struct request *r = submit_in(f, 0, "ls", NULL);
    assert_int_equal(r->state, REQUEST_WAITING);
    assert_true(r->paused);
    assert_int_equal(r->deadline, 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->callers[0].waiting, 1);
    world_advance(&f->world, 3600 * SEC);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 1);
    assert_int_equal(resume_all(f), -EALREADY);
}

static void what_is_denied_is_told_at_once(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    (void)submit_in(f, 0, "rm", NULL);
    assert_int_equal(f->callers[0].exit_code, 126);
}

static void a_yes_is_kept_and_looked_at_again(void **state)
{
    struct fixture *f = *state;
    struct err err;
    (void)submit_in(f, 0, "git push", NULL);
    (void)submit_in(f, 1, "git pull", NULL);
    assert_int_equal(pause_all(f), 0);
    assert_int_equal(approve(f, 0, &err), 0);
    assert_int_equal(approve(f, 1, &err), 0);
    assert_int_equal(approve(f, 1, &err), -EALREADY);
    assert_int_equal(f->world.executor.starts, 0);
    f->world.resolver.ino++; /* another program lies there now */
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->callers[0].exit_code, 126);
    assert_non_null(strstr(f->callers[0].text, "changed"));
}

static void a_yes_that_is_the_same_still_runs(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "git push", NULL);
    assert_int_equal(pause_all(f), 0);
    assert_int_equal(approve(f, 0, NULL), 0);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 1);
}

static void times_stand_still(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "ls", NULL); /* has 30 s */
    struct request *runs = f->r;
    (void)submit_in(f, 1, "git push", NULL); /* has 5 min */
    world_advance(&f->world, 20 * SEC);
    assert_int_equal(pause_all(f), 0);
    assert_int_equal(f->world.executor.freezes, 1);
    world_advance(&f->world, 7200 * SEC);
    assert_int_equal(f->world.executor.kills, 0);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.thaws, 1);
    world_advance(&f->world, 9 * SEC);
    assert_int_equal(f->world.executor.kills, 0);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(f->world.executor.kills, 1);
    assert_true(runs->timed_out);
    world_advance(&f->world, 270 * SEC);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 0);
}

static void one_container_is_held_and_others_are_not(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "two", 0, NULL), 0);
    assert_true(f->world.jailer.jails[1].frozen);
    assert_false(f->world.jailer.jails[0].frozen);
    /* Whatever pid namespace it knocks from. */
    (void)submit_in(f, 0, "ls", "door:two:77");
    (void)submit_in(f, 1, "ls", "1111111111111111");
    (void)submit_in(f, 2, "ls", "door:twofold:77");
    assert_int_equal(f->world.executor.starts, 2);
    assert_int_equal(fake_resume(f->world.w, HOLD_CONTAINER, "two", NULL), 0);
    assert_int_equal(f->world.executor.starts, 3);
    assert_false(f->world.jailer.jails[1].frozen);
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "three", 0, NULL), -ENOENT);
}

static void what_is_paused_is_killed_at_once(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "ls", NULL);
    const char *id = f->r->id_text;
    assert_int_equal(fake_pause(f->world.w, HOLD_REQUEST, id, 0, NULL), 0);
    assert_int_equal(fake_kill(f->world.w, id, SIGTERM, "ana", "", NULL), 0);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    struct end e = {.kind = END_SIGNAL, .value = SIGKILL};
    warden_ended(f->world.w, f->r, &e);
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
}

static void a_command_that_cannot_be_stopped_is_not_paused(void **state)
{
    struct fixture *f = *state;
    struct err err;
    f->world.executor.cannot_freeze = true;
    (void)submit_in(f, 0, "ls", NULL);
    assert_int_equal(fake_pause(f->world.w, HOLD_REQUEST, f->r->id_text, 0, &err), -EOPNOTSUPP);
    assert_non_null(strstr(err.text, "too hot"));
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
    assert_false(f->r->paused);
    assert_int_not_equal(f->r->deadline, 0);
}

static void tell(void *arg, const struct halt_report *r)
{
    struct fixture *f = arg;
    f->told++;
    f->report = *r;
    (void)snprintf(f->loose, sizeof(f->loose), "%s", r->loose_count ? r->loose[0].words : "");
}

static void pause_it(struct fixture *f, enum hold_scope scope, const char *target)
{
    const struct halt_order o = {.scope = scope, .target = target, .who = "ana", .why = "lunch"};
    f->told = 0;
    halt_pause(f->world.w, &o, tell, f);
}

static void it_is_paused_when_it_was_seen_to_stand_still(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    pause_it(f, HOLD_REQUEST, f->r->id_text);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(f->told, 0);
    f->world.executor.restless = false;
    world_advance(&f->world, SEC / 10);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.error, 0);
    assert_int_equal(f->report.ids_count, 1);
    assert_int_equal(f->report.failed, 0);
    assert_true(f->r->paused);
}

static void a_command_that_does_not_stand_still_is_not_paused(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    pause_it(f, HOLD_REQUEST, f->r->id_text);
    world_advance(&f->world, 4 * SEC);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.error, -EOPNOTSUPP);
    assert_non_null(strstr(f->report.err.text, "does not stand still"));
    assert_int_equal(f->world.executor.thaws, 1); /* not left half stopped */
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
    assert_false(f->r->paused);
    assert_true(fake_audit_is(&f->world.audit, NULL, "pause", "scope", "request"));
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "pause"), 2);
}

static void what_does_not_stand_still_is_named_and_the_rest_is_paused(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    (void)submit_in(f, 1, "ls", NULL);
    pause_it(f, HOLD_ALL, NULL);
    world_advance(&f->world, 4 * SEC);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.error, 0);
    assert_int_equal(f->report.failed, 2);
    assert_int_equal(f->report.loose_count, 2);
    assert_int_equal(f->report.ids_count, 0);
    assert_non_null(strstr(f->loose, "does not stand still"));
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "pause"), 3);
    assert_int_equal(holds_count(halt_holds(f->world.w)), 1); /* what it asks waits */
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.thaws, 2);
}

static void what_ends_while_it_is_looked_at_is_no_failure(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    pause_it(f, HOLD_ALL, NULL);
    struct end e = {.kind = END_EXIT};
    warden_ended(f->world.w, f->r, &e);
    world_advance(&f->world, SEC / 10);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.failed + f->report.ids_count, 0);
}

static void a_resume_overtakes_a_pause_that_looks(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    pause_it(f, HOLD_ALL, NULL);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.error, -EAGAIN);
    assert_int_equal(f->world.executor.thaws, 1);
    world_advance(&f->world, 10 * SEC);
    assert_int_equal(f->told, 1);
}

static void a_command_of_a_frozen_container_need_not_stop_once_more(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", "1111111111111111");
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 0);
    pause_it(f, HOLD_REQUEST, f->r->id_text);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.ids_count, 1);
}

static void a_late_start_that_cannot_be_stopped_is_on_record(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    (void)submit_in(f, 0, "ls", NULL);
    assert_int_equal(f->r->state, REQUEST_STARTING);
    pause_it(f, HOLD_ALL, NULL);
    for (int i = 0; i < 20; i++)
        world_advance(&f->world, SEC / 50); /* then it is frozen in the middle of its start */
    assert_int_equal(f->told, 1);
    f->world.executor.cannot_freeze = true;
    size_t before = fake_audit_count(&f->world.audit, NULL, "pause");
    warden_started(f->world.w, f->r, 77);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "pause"), before + 1);
    assert_true(f->r->paused);
}

static void a_warden_that_goes_answers_a_pause_that_looks(void **state)
{
    struct fixture *f = *state;
    f->world.executor.restless = true;
    (void)submit_in(f, 0, "ls", NULL);
    pause_it(f, HOLD_ALL, NULL);
    world_stop(&f->world);
    assert_int_equal(f->told, 1);
    assert_int_equal(f->report.error, -EAGAIN);
    world_start(&f->world);
}

static void a_pause_that_fails_still_holds(void **state)
{
    struct fixture *f = *state;
    f->world.jailer.fail = -EIO;
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 0);
    (void)submit_in(f, 0, "ls", "1111111111111111");
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "pause"),
                     2); /* the order, the failure */
    f->world.jailer.fail = 0;
    assert_int_equal(fake_resume(f->world.w, HOLD_CONTAINER, "one", NULL), 0);
    assert_int_equal(f->world.executor.starts, 1);
}

static void what_cannot_be_let_go_on_stays_paused(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    f->world.jailer.fail = -EIO;
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(holds_count(halt_holds(f->world.w)), 2); /* each by its name */
    (void)submit_in(f, 0, "ls", "door:two:5");
    (void)submit_in(f, 1, "ls", NULL);
    assert_int_equal(f->world.executor.starts, 1);
    f->world.jailer.fail = 0;
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 2);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
}

static void it_ends_by_time_and_only_itself(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_pause(f->world.w, HOLD_ALL, NULL, 60 * SEC, NULL), 0);
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 0);
    (void)submit_in(f, 0, "ls", NULL);
    (void)submit_in(f, 1, "ls", "1111111111111111");
    world_advance(&f->world, 59 * SEC);
    assert_int_equal(f->world.executor.starts, 0);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(f->world.executor.starts, 1);
    assert_true(f->world.jailer.jails[0].frozen);
    assert_false(f->world.jailer.jails[1].frozen);
    assert_true(fake_audit_is(&f->world.audit, NULL, "resume", "by", "clawrden"));
}

static void by_time_is_tried_again_when_the_log_refuses(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_pause(f->world.w, HOLD_ALL, NULL, 60 * SEC, NULL), 0);
    f->world.audit.refuse = -ENOSPC;
    world_advance(&f->world, 61 * SEC);
    assert_int_equal(holds_count(halt_holds(f->world.w)), 1);
    f->world.audit.refuse = 0;
    world_advance(&f->world, 6 * SEC);
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
}

static void a_log_that_refuses_does_not_disarm_it(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "ls", NULL);
    f->world.audit.refuse = -ENOSPC;
    assert_int_equal(pause_all(f), 0);
    assert_int_equal(f->world.executor.freezes, 1);
    assert_int_equal(resume_all(f), -EIO);
    assert_int_equal(f->world.executor.thaws, 0);
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, 0, "ana", "", NULL), 0);
    assert_int_equal(f->world.executor.kills, 1);
    f->world.audit.refuse = 0;
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "pause"), 1);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "kill"), 1);
}

static void the_record_stands_before_the_act(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "ls", NULL);
    f->world.executor.end_at_once = false;
    (void)fake_kill(f->world.w, f->r->id_text, SIGKILL, "ana", "because", NULL);
    assert_true(fake_audit_is(&f->world.audit, NULL, "kill", "by", "ana"));
    assert_true(fake_audit_is(&f->world.audit, NULL, "kill", "reason", "because"));
    assert_true(fake_audit_is(&f->world.audit, NULL, "kill", "signal", "KILL"));
}

static void a_pause_while_the_decision_is_recorded_starts_nothing(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    (void)submit_in(f, 0, "ls", NULL);
    (void)pause_all(f);
    f->world.audit.hold = false;
    while (fake_audit_finish(&f->world.audit, 0))
        ;
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->r->state, REQUEST_STARTING);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 1);
}

static void a_policy_that_changed_meanwhile_is_heard(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    (void)submit_in(f, 0, "ls", NULL);
    struct policy *p = fake_policy("default_action: deny\nrules: []\n");
    warden_set_policy(f->world.w, p, "test");
    policy_unref(p);
    assert_int_equal(resume_all(f), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->callers[0].exit_code, 126);
}

static void a_pause_waits_a_moment_for_what_is_being_started(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    (void)submit_in(f, 0, "ls", "1111111111111111");
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 1);
    assert_false(f->world.jailer.jails[0].frozen);
    warden_started(f->world.w, f->r, 77);
    world_advance(&f->world, SEC / 10);
    assert_true(f->world.jailer.jails[0].frozen);
    assert_int_equal(f->world.executor.freezes, 0); /* with its container */
}

static void a_resume_overtakes_a_pause_that_waits(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    (void)submit_in(f, 0, "ls", "1111111111111111");
    (void)submit_in(f, 1, "ls", NULL);
    assert_int_equal(pause_all(f), 1);
    assert_int_equal(resume_all(f), 0);
    world_advance(&f->world, SEC);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
    assert_int_equal(f->world.executor.freezes, f->world.executor.thaws);
    assert_int_equal(fake_pause(f->world.w, HOLD_ALL, NULL, SEC / 10, NULL), 1);
    world_advance(&f->world, SEC / 5); /* by time, before what starts has started */
    world_advance(&f->world, SEC);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
    assert_int_equal(f->world.executor.freezes, f->world.executor.thaws);
}

static void what_is_ordered_last_counts(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    f->world.audit.hold = true; /* a resume waits for its record, a pause does not */
    assert_int_equal(resume_all(f), 1);
    assert_int_equal(pause_all(f), 0);
    f->world.audit.hold = false;
    while (fake_audit_finish(&f->world.audit, 0))
        ;
    assert_int_equal(holds_count(halt_holds(f->world.w)), 1);
    assert_true(f->world.jailer.jails[0].frozen && f->world.jailer.jails[1].frozen);

    f->world.jailer.hold = true; /* and one while the containers are being let go on */
    assert_int_equal(resume_all(f), 1);
    assert_int_equal(pause_all(f), 1);
    while (fake_jailer_answer(&f->world.jailer))
        ;
    assert_int_equal(holds_count(halt_holds(f->world.w)), 1);
    assert_true(f->world.jailer.jails[0].frozen && f->world.jailer.jails[1].frozen);
    f->world.jailer.hold = false;
    assert_int_equal(resume_all(f), 0);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
}

static void what_comes_while_it_goes_on_is_not_stopped(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(pause_all(f), 0);
    f->world.jailer.hold = true;
    assert_int_equal(resume_all(f), 1);
    halt_arrived(f->world.w, "1111111111111111");
    while (fake_jailer_answer(&f->world.jailer))
        ;
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
}

static void it_does_not_wait_long(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    (void)submit_in(f, 0, "ls", "1111111111111111");
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 1);
    for (int i = 0; i < 40; i++)
        world_advance(&f->world, SEC / 50);
    assert_true(f->world.jailer.jails[0].frozen);
}

static void a_container_that_comes_back_is_stopped_again(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 0, NULL), 0);
    f->world.jailer.jails[0].frozen = false;
    halt_arrived(f->world.w, "1111111111111111");
    assert_true(f->world.jailer.jails[0].frozen);
    halt_arrived(f->world.w, "door:two");
    assert_false(f->world.jailer.jails[1].frozen);
    halt_removed(f->world.w, "1111111111111111");
    assert_int_equal(holds_count(halt_holds(f->world.w)), 0);
}

static void what_is_kept_is_read_back(void **state)
{
    struct fixture *f = *state;
    struct holds *h = holds_new();
    struct err err;
    assert_int_equal(fake_pause(f->world.w, HOLD_CONTAINER, "one", 60 * SEC, NULL), 0);
    assert_int_equal(pause_all(f), 0);
    const char *text = f->world.keeper.text;
    assert_int_equal(holds_read(h, text, strlen(text), &err), 0);
    assert_int_equal(holds_count(h), 2);
    const struct hold *x = holds_find(h, HOLD_CONTAINER, "1111111111111111");
    assert_non_null(x);
    assert_string_equal(x->name, "one");
    assert_string_equal(x->who, "ana");
    assert_int_equal(x->until - x->since, 60 * SEC);
    assert_true(hold_froze(x, "1111111111111111"));
    assert_int_equal(holds_read(h, "{}", 2, &err), -EBADMSG);
    assert_int_equal(holds_count(h), 2); /* as it was */

    world_stop(&f->world);
    f->world.jailer.jails[0].frozen = f->world.jailer.jails[1].frozen = false;
    world_start(&f->world);
    halt_restore(f->world.w, h);
    assert_true(f->world.jailer.jails[0].frozen && f->world.jailer.jails[1].frozen);
    assert_true(fake_audit_is(&f->world.audit, NULL, "pause", "restored", "true"));
    (void)submit_in(f, 0, "ls", NULL);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(resume_all(f), 0);
    assert_false(f->world.jailer.jails[0].frozen || f->world.jailer.jails[1].frozen);
}

static void what_others_paused_is_not_let_go_on_with_everything(void **state)
{
    struct fixture *f = *state;
    f->world.jailer.jails[0].frozen = true; /* by somebody else */
    assert_int_equal(pause_all(f), 0);
    assert_int_equal(resume_all(f), 0);
    assert_true(f->world.jailer.jails[0].frozen);
    assert_false(f->world.jailer.jails[1].frozen);
}

static void orders_under_way_are_answered_when_the_warden_goes(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    (void)submit_in(f, 0, "ls", NULL);
    assert_int_equal(pause_all(f), 1);
    world_stop(&f->world); /* a wish that nobody answers would be lost memory: see the sanitizers */
}

static void callers_that_stood_still_keep_their_place(void **state)
{
    struct fixture *f = *state;
    (void)submit_in(f, 0, "git push", NULL);
    assert_int_equal(pause_all(f), 0);
    struct queue_row row = *f->world.index.rows;
    row.summary = strdup(row.summary);
    warden_drain(f->world.w);
    world_stop(&f->world);
    struct holds *h = holds_new();
    assert_int_equal(holds_read(h, f->world.keeper.text, strlen(f->world.keeper.text), NULL), 0);
    fake_clock_advance(&f->world.clock, 3600 * SEC);
    world_start(&f->world);
    warden_restore(f->world.w, &row, 1);
    free(row.summary);
    halt_restore(f->world.w, h);
    world_advance(&f->world, 3600 * SEC); /* the grace of 30 s does not count */
    struct request *r = fake_request(&f->callers[1], DOOR_SHIM_V2, "git push");
    r->ask.has_claim = true;
    memcpy(r->ask.claim, row.id, sizeof(row.id));
    warden_submit(f->world.w, r);
    assert_string_equal(f->callers[1].id, f->callers[0].id);
    assert_int_equal(resume_all(f), 0);
    world_advance(&f->world, 299 * SEC);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_the_policy_allows_waits_and_runs_later),
        T(what_is_denied_is_told_at_once),
        T(a_yes_is_kept_and_looked_at_again),
        T(a_yes_that_is_the_same_still_runs),
        T(times_stand_still),
        T(one_container_is_held_and_others_are_not),
        T(what_is_paused_is_killed_at_once),
        T(a_command_that_cannot_be_stopped_is_not_paused),
        T(it_is_paused_when_it_was_seen_to_stand_still),
        T(a_command_that_does_not_stand_still_is_not_paused),
        T(what_does_not_stand_still_is_named_and_the_rest_is_paused),
        T(what_ends_while_it_is_looked_at_is_no_failure),
        T(a_resume_overtakes_a_pause_that_looks),
        T(a_command_of_a_frozen_container_need_not_stop_once_more),
        T(a_late_start_that_cannot_be_stopped_is_on_record),
        T(a_warden_that_goes_answers_a_pause_that_looks),
        T(a_pause_that_fails_still_holds),
        T(what_cannot_be_let_go_on_stays_paused),
        T(it_ends_by_time_and_only_itself),
        T(by_time_is_tried_again_when_the_log_refuses),
        T(a_log_that_refuses_does_not_disarm_it),
        T(the_record_stands_before_the_act),
        T(a_pause_while_the_decision_is_recorded_starts_nothing),
        T(a_policy_that_changed_meanwhile_is_heard),
        T(a_pause_waits_a_moment_for_what_is_being_started),
        T(a_resume_overtakes_a_pause_that_waits),
        T(what_is_ordered_last_counts),
        T(what_comes_while_it_goes_on_is_not_stopped),
        T(it_does_not_wait_long),
        T(a_container_that_comes_back_is_stopped_again),
        T(what_is_kept_is_read_back),
        T(what_others_paused_is_not_let_go_on_with_everything),
        T(orders_under_way_are_answered_when_the_warden_goes),
        T(callers_that_stood_still_keep_their_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
