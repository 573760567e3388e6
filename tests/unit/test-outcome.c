/* SPDX-License-Identifier: MIT */
/* What comes of a request: refusals and their words, records before anything runs, the command, its
 * time, its end; and what happens when records cannot be written. */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/binding.h"
#include "fakes/fakes.h"

static const char policy_text[] = "default_action: deny\n"
                                  "redact: ['hunter2']\n"
                                  "rules:\n"
                                  "  - name: reads\n"
                                  "    command: ls\n"
                                  "    action: allow\n"
                                  "    timeout: 30s\n"
                                  "  - name: pushes\n"
                                  "    command: git\n"
                                  "    action: ask\n"
                                  "    approval_timeout: 15m\n"
                                  "    reason: \"pushes are looked at\"\n"
                                  "    instead: \"open a merge request\"\n"
                                  "  - name: no-rm\n"
                                  "    command: rm\n"
                                  "    action: deny\n"
                                  "    reason: \"deletes are final\"\n"
                                  "    instead: \"move it to /tmp\"\n"
                                  "  - name: ghostly\n"
                                  "    command: curl\n"
                                  "    action: allow\n"
                                  "    executor: ghost\n";

struct fixture {
    struct world world;
    struct fake_caller caller;
    struct request *r; /* the last one; only while it lives */
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    world_init(&f->world, policy_text);
    fake_caller_init(&f->caller);
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
    f->r = fake_request(&f->caller, DOOR_SHIM_V2, line);
    warden_submit(f->world.w, f->r);
    return f->r;
}

static int answer(struct fixture *f, enum verdict v, const char *comment)
{
    struct answer a = {.verdict = v, .approver = "ana", .channel = "cli"};
    (void)strncpy(a.comment, comment, sizeof(a.comment) - 1);
    return warden_answer(f->world.w, f->caller.id, &a, NULL, NULL);
}

static bool recorded(struct fixture *f, const char *event, const char *key, const char *value)
{
    return fake_audit_is(&f->world.audit, NULL, event, key, value);
}

static void end_with(struct fixture *f, enum end_kind kind, int value)
{
    struct end e = {.kind = kind, .value = value};
    warden_ended(f->world.w, f->r, &e);
}

/* ---- refusals ---- */

static void a_denial_names_rule_place_reason_way_out_and_id(void **state)
{
    struct fixture *f = *state;
    submit(f, "rm -rf /");
    assert_int_equal(f->caller.refused, 1);
    assert_int_equal(f->caller.exit_code, 126);
    assert_non_null(strstr(f->caller.text,
                           "clawrden: refused by no-rm (policy.yaml:14): deletes are "
                           "final\nclawrden: instead: move it to /tmp\n"));
    assert_non_null(strstr(f->caller.text, f->caller.id));
    assert_int_equal(f->world.executor.starts, 0);
    assert_true(recorded(f, "decision", "decision", "deny"));
    assert_true(recorded(f, "decision", "verdict", "deny"));
    assert_true(recorded(f, "decision", "rule", "no-rm"));
    assert_true(recorded(f, "decision", "line", "14"));
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "end"), 0);
}

static void what_no_rule_names_is_refused(void **state)
{
    struct fixture *f = *state;
    submit(f, "unheard-of");
    assert_int_equal(f->caller.exit_code, 126);
    assert_int_equal(f->world.executor.starts, 0);
}

static void facts_that_cannot_be_found_refuse(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.fail = -ETIMEDOUT;
    submit(f, "ls");
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "the helper did not answer in time"));
    assert_true(recorded(f, "decision", "decision", "error"));
    assert_int_equal(metrics_errors(warden_metrics(f->world.w), METRICS_ERROR_RESOLVE), 1);
}

static void a_resolver_that_refuses_refuses(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.refuse = -EPIPE;
    submit(f, "ls");
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "there is no helper"));
    assert_int_equal(f->world.executor.starts, 0);
}

static void an_answer_of_the_resolver_without_facts_refuses(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.hold = true;
    submit(f, "ls");
    warden_resolved(f->world.w, f->r, 0, NULL); /* r->facts.known is false */
    assert_int_equal(f->caller.exit_code, 125);
}

static void an_executor_that_is_not_there_refuses(void **state)
{
    struct fixture *f = *state;
    submit(f, "curl x");
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "the executor 'ghost' for it is not there"));
    assert_true(recorded(f, "decision", "decision", "error"));
    fake_caller_init(&f->caller);
    f->r = fake_request(&f->caller, DOOR_API, "ls"); /* a door without a default */
    warden_submit(f->world.w, f->r);
    assert_int_equal(f->caller.exit_code, 125);
}

static void nothing_is_told_before_it_is_on_record(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "rm x");
    assert_int_equal(f->caller.refused, 0);
    assert_true(fake_audit_finish(&f->world.audit, 0));
    assert_int_equal(f->caller.refused, 1);
}

/* ---- allowed ---- */

static void nothing_starts_before_it_is_on_record(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "ls -l");
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.taken, 0);
    assert_true(fake_audit_finish(&f->world.audit, 0));
    assert_int_equal(f->world.executor.starts, 1);
    assert_int_equal(f->caller.taken, 1);
    assert_int_equal(f->r->state, REQUEST_RUNNING);
    assert_int_equal(f->r->command_pid, 4321);
    f->world.audit.hold = false;
    end_with(f, END_EXIT, 3);
    assert_int_equal(f->world.executor.releases, 1);
    assert_int_equal(f->world.executor.released_end.value, 3);
    assert_int_equal(f->caller.refused, 0);
}

static void both_records_of_an_allowed_command_hold_what_happened(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls -l");
    world_advance(&f->world, 1500000000);
    end_with(f, END_EXIT, 3);
    assert_true(recorded(f, "decision", "decision", "allow"));
    assert_true(recorded(f, "decision", "executor", "local"));
    assert_true(recorded(f, "decision", "time", "2023-11-14T22:13:20.000000000Z"));
    assert_true(recorded(f, "end", "exit_code", "3"));
    assert_true(recorded(f, "end", "duration_ms", "1500"));
    assert_true(recorded(f, "end", "timeout_violation", "false"));
    assert_true(recorded(f, "end", "command", "ls"));
    assert_true(recorded(f, "end", "time", "2023-11-14T22:13:21.500000000Z"));
    assert_int_equal(f->world.audit.count, 2);
}

static void the_environment_that_passes_has_no_loader_variables(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    assert_true(f->world.executor.last_envc >= 1);
    const char *members = f->world.audit.records[0].members;
    const char *passed = strstr(members, "\"env_passed\":[");
    const char *dropped = strstr(members, "\"env_dropped\":[");
    assert_non_null(passed);
    assert_non_null(dropped);
    assert_non_null(strstr(dropped, "LD_PRELOAD"));
    end_with(f, END_EXIT, 0);
}

static void a_signal_is_recorded_as_one(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    end_with(f, END_SIGNAL, SIGSEGV);
    assert_true(recorded(f, "end", "signal", "11"));
    assert_int_equal(f->world.executor.released_end.kind, END_SIGNAL);
}

static void a_tool_that_is_missing_ends_with_127(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.trust = PROGRAM_NOT_FOUND;
    /* Allowed whatever the program is. */
    struct policy *p = fake_policy("default_action: allow\n");
    warden_set_policy(f->world.w, p, "test");
    policy_unref(p);
    submit(f, "gti status");
    assert_int_equal(f->caller.exit_code, 127);
    assert_int_equal(f->caller.taken, 0);
    assert_non_null(
        strstr(f->caller.text, "clawrden: gti: command not found on the trusted path ("));
    assert_true(recorded(f, "end", "exit_code", "127"));
    assert_true(recorded(f, "end", "started", "false"));
}

static void a_caller_that_cannot_be_taken_over_gets_an_end_record(void **state)
{
    struct fixture *f = *state;
    f->caller.take_fails = -EPIPE;
    submit(f, "ls");
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.refused, 0);
    assert_true(recorded(f, "end", "exit_code", "125"));
    assert_true(recorded(f, "end", "error", "its caller's connection is gone"));
}

static void an_executor_that_refuses_gets_an_end_record(void **state)
{
    struct fixture *f = *state;
    f->world.executor.refuse = -EPIPE;
    submit(f, "ls");
    assert_true(recorded(f, "end", "exit_code", "125"));
    assert_true(recorded(f, "end", "error", "the helper is gone"));
    assert_true(recorded(f, "end", "caller_gone", "false"));
    assert_int_equal(f->world.executor.releases, 0);
    assert_int_equal(metrics_errors(warden_metrics(f->world.w), METRICS_ERROR_EXEC), 1);
}

static void a_program_without_a_path_to_execute_is_not_started(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.no_exec_path = true;
    submit(f, "ls");
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.exit_code, 125);
    assert_true(recorded(f, "end", "started", "false"));
}

static void an_environment_beyond_the_bound_is_not_started(void **state)
{
    struct fixture *f = *state;
    char *huge = test_malloc(BINDING_ENV_MAX + 10);
    memset(huge, 'x', BINDING_ENV_MAX + 9);
    memcpy(huge, "LANG=", 5);
    huge[BINDING_ENV_MAX + 9] = '\0';
    f->r = fake_request(&f->caller, DOOR_SHIM_V2, "ls");
    f->r->ask.env[0] = huge;
    warden_submit(f->world.w, f->r);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "the environment that passes"));
    assert_true(recorded(f, "decision", "env_passed", "null"));
    assert_true(recorded(f, "end", "exit_code", "125"));
    test_free(huge);
}

static void a_command_that_fails_to_start_is_released_with_its_code(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    submit(f, "ls");
    struct end e = {.kind = END_FAILED, .value = 126, .text = "clawrden: no exec permission\n"};
    warden_ended(f->world.w, f->r, &e);
    assert_true(recorded(f, "end", "exit_code", "126"));
    assert_true(recorded(f, "end", "started", "false"));
    assert_true(recorded(f, "end", "error", "clawrden: no exec permission\n"));
    assert_int_equal(f->world.executor.releases, 1);
}

static void a_command_that_ends_within_start_is_ended_once(void **state)
{
    struct fixture *f = *state;
    f->world.executor.end_at_once = true;
    submit(f, "ls");
    assert_int_equal(f->world.executor.releases, 1);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "end"), 1);
    assert_int_equal(warden_count(f->world.w, REQUEST_ENDED), 0);
    assert_true(warden_idle(f->world.w));
}

static void later_reports_of_an_ended_command_change_nothing(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "ls");
    assert_true(fake_audit_finish(&f->world.audit, 0));
    end_with(f, END_EXIT, 1);
    end_with(f, END_EXIT, 2);
    warden_started(f->world.w, f->r, 99);
    assert_int_equal(f->r->command_pid, 4321);
    assert_true(fake_audit_finish(&f->world.audit, 0));
    assert_false(fake_audit_finish(&f->world.audit, 0));
    assert_true(recorded(f, "end", "exit_code", "1"));
}

/* ---- time ---- */

static void out_of_time_means_term_then_kill_and_124(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    world_advance(&f->world, 30 * SEC - 1);
    assert_int_equal(f->world.executor.kills, 0);
    world_advance(&f->world, 1);
    assert_int_equal(f->world.executor.kills, 1);
    assert_int_equal(f->world.executor.last_signal, SIGTERM);
    world_advance(&f->world, 5 * SEC);
    assert_int_equal(f->world.executor.kills, 2);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    world_advance(&f->world, 500 * SEC);
    assert_int_equal(f->world.executor.kills, 2);
    end_with(f, END_SIGNAL, SIGKILL);
    assert_true(recorded(f, "end", "signal", "9"));
    assert_true(recorded(f, "end", "timeout_violation", "true"));
    assert_int_equal(f->world.executor.released_end.kind, END_EXIT);
    assert_int_equal(f->world.executor.released_end.value, 124);
    assert_string_equal(f->world.executor.released_end.text,
                        "clawrden: the command ran out of its time (30s, reads) and was ended\n");
}

static void the_time_of_a_command_begins_when_it_starts(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    submit(f, "ls");
    world_advance(&f->world, 100 * SEC);
    assert_int_equal(f->world.executor.kills, 0);
    warden_started(f->world.w, f->r, 77);
    world_advance(&f->world, 29 * SEC);
    assert_int_equal(f->world.executor.kills, 0);
    world_advance(&f->world, 1 * SEC);
    assert_int_equal(f->world.executor.kills, 1);
    end_with(f, END_SIGNAL, SIGTERM);
}

static void an_operator_ends_what_runs(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, 0, "ana", "too loud", NULL), 0);
    assert_int_equal(f->world.executor.last_signal, SIGTERM);
    world_advance(&f->world, 5 * SEC);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    end_with(f, END_SIGNAL, SIGKILL);
    assert_true(recorded(f, "end", "killed_by", "ana"));
    assert_true(recorded(f, "end", "error", "ended by ana: too loud"));
    assert_true(recorded(f, "end", "timeout_violation", "false"));
    assert_string_equal(f->world.executor.released_end.text, "clawrden: ended by ana: too loud\n");
}

static void an_operator_ends_at_once_with_sigkill(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, SIGKILL, "ana", NULL, NULL), 0);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    world_advance(&f->world, 500 * SEC);
    assert_int_equal(f->world.executor.kills, 1);
    end_with(f, END_SIGNAL, SIGKILL);
}

static void a_second_kill_does_not_lengthen_the_grace(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, SIGTERM, "ana", "", NULL), 0);
    world_advance(&f->world, 3 * SEC);
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, SIGTERM, "ana", "", NULL), 0);
    world_advance(&f->world, 2 * SEC);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    end_with(f, END_SIGNAL, SIGKILL);
}

static void a_kill_while_the_decision_is_being_recorded_starts_nothing(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, 0, "ana", "no", NULL), 0);
    while (fake_audit_finish(&f->world.audit, 0))
        ;
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.refused, 1);
    assert_int_equal(f->caller.exit_code, 128 + SIGTERM);
    assert_true(recorded(f, "end", "killed_by", "ana"));
    assert_true(recorded(f, "end", "signal", "15"));
    assert_true(recorded(f, "end", "started", "false"));
}

static void a_kill_while_the_helper_starts_it_reaches_the_helper(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, 0, "ana", "no", NULL), 0);
    assert_int_equal(f->world.executor.kills, 1);
    warden_started(f->world.w, f->r, 77);
    world_advance(&f->world,
                  5 * SEC); /* the grace goes on, the command's own time does not count */
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    end_with(f, END_SIGNAL, SIGKILL);
}

static void a_command_that_a_kill_kept_from_starting_ends_as_one_that_ran(void **state)
{
    struct fixture *f = *state;
    f->world.executor.at_once = false;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, SIGKILL, "ana", "no", NULL), 0);
    end_with(f, END_FAILED, 125);
    assert_int_equal(f->world.executor.released_end.kind, END_SIGNAL);
    assert_int_equal(f->world.executor.released_end.value, SIGKILL);
    assert_string_equal(f->world.executor.released_end.text, "clawrden: ended by ana: no\n");
    assert_true(recorded(f, "end", "signal", "9"));
    assert_true(recorded(f, "end", "killed_by", "ana"));
    assert_true(recorded(f, "end", "error", "ended by ana: no"));
    assert_int_equal(metrics_errors(warden_metrics(f->world.w), METRICS_ERROR_EXEC), 0);
}

static void a_command_that_breaks_after_its_start_does_not_end_by_the_kill(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    assert_int_equal(fake_kill(f->world.w, f->r->id_text, SIGKILL, "ana", "no", NULL), 0);
    end_with(f, END_FAILED, 125); /* nobody knows what became of it */
    assert_int_equal(f->world.executor.released_end.kind, END_FAILED);
}

/* ---- the caller goes ---- */

static void a_caller_that_goes_before_the_verdict_is_recorded_as_withdrawn(void **state)
{
    struct fixture *f = *state;
    f->world.resolver.hold = true;
    submit(f, "ls");
    warden_withdraw(f->world.w, f->r, "its parent went");
    assert_int_equal(f->caller.refused, 0);
    assert_int_equal(f->world.resolver.cancelled, 1);
    assert_true(recorded(f, "decision", "decision", "withdrawn"));
    assert_true(recorded(f, "decision", "error", "its parent went"));
    assert_int_equal(warden_count(f->world.w, REQUEST_RECEIVED), 0);
}

static void a_caller_that_goes_while_the_decision_is_being_recorded_starts_nothing(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "ls");
    warden_withdraw(f->world.w, f->r, "it hung up");
    while (fake_audit_finish(&f->world.audit, 0))
        ;
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.taken, 0);
    assert_int_equal(f->caller.refused, 0);
    assert_true(recorded(f, "end", "caller_gone", "true"));
    assert_true(recorded(f, "end", "error", "it hung up"));
}

static void a_caller_that_goes_while_a_refusal_is_being_recorded_hears_nothing(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "rm x");
    warden_withdraw(f->world.w, f->r, "it hung up");
    while (fake_audit_finish(&f->world.audit, 0))
        ;
    assert_int_equal(f->caller.refused, 0);
    assert_true(recorded(f, "decision", "decision", "deny"));
}

static void a_withdrawal_ends_what_runs(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    warden_withdraw(f->world.w, f->r, "its parent went");
    assert_int_equal(f->world.executor.last_signal, SIGTERM);
    world_advance(&f->world, 5 * SEC);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    end_with(f, END_SIGNAL, SIGKILL);
    assert_true(recorded(f, "end", "error", "its parent went"));
}

/* ---- the log fails ---- */

static void without_a_record_nothing_runs(void **state)
{
    struct fixture *f = *state;
    struct err why;
    f->world.audit.refuse = -ENOSPC;
    submit(f, "ls");
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "cannot record"));
    assert_non_null(strstr(f->caller.text, "no space left"));
    assert_false(warden_can_record(f->world.w, &why));
    assert_non_null(strstr(why.text, "no space left"));
}

static void a_refusal_without_a_record_says_so(void **state)
{
    struct fixture *f = *state;
    f->world.audit.refuse = -ENOSPC;
    submit(f, "rm x");
    assert_int_equal(f->caller.exit_code, 125);
    assert_non_null(strstr(f->caller.text, "cannot record"));
}

static void the_log_recovers_by_itself_and_nothing_is_lost(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    f->world.audit.refuse = -ENOSPC;
    end_with(f, END_EXIT, 7);
    assert_int_equal(f->world.executor.releases, 1); /* the shim is not kept waiting for a disk */
    assert_false(warden_can_record(f->world.w, NULL));
    fake_caller_init(&f->caller);
    submit(f, "ls"); /* refused, without a record */
    assert_int_equal(f->caller.exit_code, 125);
    world_advance(&f->world, SEC);
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "end"), 0);
    f->world.audit.refuse = 0;
    world_advance(&f->world, SEC);
    assert_true(recorded(f, "end", "exit_code", "7"));
    assert_true(warden_can_record(f->world.w, NULL));
    assert_int_equal(fake_audit_count(&f->world.audit, NULL, "recovered"), 1);
    fake_caller_init(&f->caller);
    submit(f, "ls");
    assert_int_equal(f->caller.taken, 1);
    end_with(f, END_EXIT, 0);
}

static void a_new_command_tries_the_log_again_without_waiting(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    f->world.audit.refuse = -ENOSPC;
    end_with(f, END_EXIT, 7);
    f->world.audit.refuse = 0;
    fake_caller_init(&f->caller);
    submit(f, "ls");
    assert_int_equal(f->caller.taken, 1);
    assert_non_null(strstr(f->world.audit.records[1].members, "\"event\":\"end\"")); /* in order */
    end_with(f, END_EXIT, 0);
}

static void a_record_that_fails_late_stops_the_start(void **state)
{
    struct fixture *f = *state;
    f->world.audit.hold = true;
    submit(f, "ls");
    assert_true(fake_audit_finish(&f->world.audit, -EIO));
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.exit_code, 125);
    assert_true(fake_audit_finish(&f->world.audit, 0)); /* what happened instead */
    assert_true(recorded(f, "decision", "decision", "error"));
}

static void an_end_record_that_fails_late_is_written_again(void **state)
{
    struct fixture *f = *state;
    submit(f, "ls");
    f->world.audit.hold = true;
    end_with(f, END_EXIT, 7);
    assert_int_equal(f->world.executor.releases, 0);
    assert_true(fake_audit_finish(&f->world.audit, -EIO));
    assert_int_equal(f->world.executor.releases, 1);
    assert_false(warden_can_record(f->world.w, NULL));
    world_advance(&f->world, SEC);
    assert_true(fake_audit_finish(&f->world.audit, 0));
    assert_true(recorded(f, "end", "exit_code", "7"));
    assert_true(warden_can_record(f->world.w, NULL));
}

static void what_expires_while_the_log_fails_is_recorded_later(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.audit.refuse = -ENOSPC;
    world_advance(&f->world, 900 * SEC);
    assert_int_equal(f->caller.exit_code, 125);
    f->world.audit.refuse = 0;
    world_advance(&f->world, SEC);
    assert_true(recorded(f, "decision", "decision", "ask-expired"));
}

static void an_approval_that_cannot_be_recorded_starts_nothing(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    f->world.audit.refuse = -ENOSPC;
    assert_int_equal(answer(f, VERDICT_ALLOW, ""), 0);
    assert_int_equal(f->world.executor.starts, 0);
    assert_int_equal(f->caller.exit_code, 125);
    f->world.audit.refuse = 0;
    world_advance(&f->world, SEC);
    assert_true(recorded(f, "decision", "decision", "error"));
    assert_true(recorded(f, "decision", "approver", "ana"));
}

/* ---- answers ---- */

static void a_persons_yes_starts_it_and_is_recorded(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    assert_int_equal(f->caller.waiting, 1);
    world_advance(&f->world, 5 * SEC);
    assert_int_equal(answer(f, VERDICT_ALLOW, "fine by me"), 0);
    assert_int_equal(f->world.executor.starts, 1);
    assert_true(recorded(f, "decision", "decision", "ask-approved"));
    assert_true(recorded(f, "decision", "verdict", "ask"));
    assert_true(recorded(f, "decision", "approver", "ana"));
    assert_true(recorded(f, "decision", "channel", "cli"));
    assert_true(recorded(f, "decision", "comment", "fine by me"));
    assert_true(recorded(f, "decision", "waited_ms", "5000"));
    end_with(f, END_EXIT, 0);
}

static void a_persons_no_reaches_the_agent_with_its_comment(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    assert_int_equal(answer(f, VERDICT_DENY, "not on a\nFriday"), 0);
    assert_int_equal(f->caller.exit_code, 126);
    assert_non_null(
        strstr(f->caller.text, "clawrden: refused: denied by ana: not on a\\nFriday\n"));
    assert_non_null(strstr(f->caller.text, "pushes (policy.yaml:8): pushes are looked at\n"));
    assert_non_null(strstr(f->caller.text, "clawrden: instead: open a merge request\n"));
    assert_true(recorded(f, "decision", "decision", "ask-denied"));
    assert_int_equal(f->world.executor.starts, 0);
}

static void an_expiry_does_not_read_as_a_no(void **state)
{
    struct fixture *f = *state;
    submit(f, "git push");
    world_advance(&f->world, 900 * SEC - 1);
    assert_int_equal(f->caller.refused, 0);
    world_advance(&f->world, 1);
    assert_int_equal(f->caller.exit_code, 126);
    assert_non_null(strstr(f->caller.text, "clawrden: nobody answered within 15m"));
    assert_null(strstr(f->caller.text, "refused"));
    assert_null(strstr(f->caller.text, "denied"));
    assert_true(recorded(f, "decision", "decision", "ask-expired"));
    assert_true(recorded(f, "decision", "approver", "null"));
}

static void secrets_are_masked_in_records(void **state)
{
    struct fixture *f = *state;
    submit(f, "rm --password=hunter2 x");
    assert_null(strstr(f->world.audit.records[0].members, "hunter2"));
    assert_non_null(strstr(f->world.audit.records[0].members, "[redacted:"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_denial_names_rule_place_reason_way_out_and_id),
        T(what_no_rule_names_is_refused),
        T(facts_that_cannot_be_found_refuse),
        T(a_resolver_that_refuses_refuses),
        T(an_answer_of_the_resolver_without_facts_refuses),
        T(an_executor_that_is_not_there_refuses),
        T(nothing_is_told_before_it_is_on_record),
        T(nothing_starts_before_it_is_on_record),
        T(both_records_of_an_allowed_command_hold_what_happened),
        T(the_environment_that_passes_has_no_loader_variables),
        T(a_signal_is_recorded_as_one),
        T(a_tool_that_is_missing_ends_with_127),
        T(a_caller_that_cannot_be_taken_over_gets_an_end_record),
        T(an_executor_that_refuses_gets_an_end_record),
        T(a_program_without_a_path_to_execute_is_not_started),
        T(an_environment_beyond_the_bound_is_not_started),
        T(a_command_that_fails_to_start_is_released_with_its_code),
        T(a_command_that_ends_within_start_is_ended_once),
        T(later_reports_of_an_ended_command_change_nothing),
        T(out_of_time_means_term_then_kill_and_124),
        T(the_time_of_a_command_begins_when_it_starts),
        T(an_operator_ends_what_runs),
        T(an_operator_ends_at_once_with_sigkill),
        T(a_second_kill_does_not_lengthen_the_grace),
        T(a_kill_while_the_decision_is_being_recorded_starts_nothing),
        T(a_kill_while_the_helper_starts_it_reaches_the_helper),
        T(a_command_that_a_kill_kept_from_starting_ends_as_one_that_ran),
        T(a_command_that_breaks_after_its_start_does_not_end_by_the_kill),
        T(a_caller_that_goes_before_the_verdict_is_recorded_as_withdrawn),
        T(a_caller_that_goes_while_the_decision_is_being_recorded_starts_nothing),
        T(a_caller_that_goes_while_a_refusal_is_being_recorded_hears_nothing),
        T(a_withdrawal_ends_what_runs),
        T(without_a_record_nothing_runs),
        T(a_refusal_without_a_record_says_so),
        T(the_log_recovers_by_itself_and_nothing_is_lost),
        T(a_new_command_tries_the_log_again_without_waiting),
        T(a_record_that_fails_late_stops_the_start),
        T(an_end_record_that_fails_late_is_written_again),
        T(what_expires_while_the_log_fails_is_recorded_later),
        T(an_approval_that_cannot_be_recorded_starts_nothing),
        T(a_persons_yes_starts_it_and_is_recorded),
        T(a_persons_no_reaches_the_agent_with_its_comment),
        T(an_expiry_does_not_read_as_a_no),
        T(secrets_are_masked_in_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
