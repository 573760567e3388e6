/* SPDX-License-Identifier: MIT */
/* Thousands of random lives of a warden, the same ones each time: whatever comes in whatever order,
 * nothing starts without a recorded decision, what was refused never starts, nothing starts while
 * it is paused, nothing stands still when nothing is paused, each start has one record of its end,
 * and each caller is either refused or handed over, once. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/str.h"
#include "core/events.h"
#include "fakes/fakes.h"

#define LIVES 60 /* COURSE_LIVES in the environment means others */
#define STEPS 400
#define REQUESTS_MAX STEPS

#define RULE(command, action)                                                                      \
    "  - command: " command "\n    action: " action "\n    timeout: 30s\n    approval_timeout: "   \
    "5m\n    executor: local\n"
/* rm is denied by each of them. */
static const char *const policies[] = {
    "rules:\n" RULE("ls", "allow") RULE("git", "ask") RULE("rm", "deny"),
    "rules:\n" RULE("ls", "ask") RULE("git", "allow") RULE("rm", "deny"),
    "rules:\n" RULE("ls", "deny") RULE("git", "ask") RULE("rm", "deny"),
    "rules:\n" RULE("rm", "deny") "    match:\n      paths_outside: [/app/*]\n" RULE("git", "ask")
        RULE("ls", "ask"),
};
static const char *const commands[] = {"ls -l", "git push", "rm -r /", "unheard-of"};

struct life {
    struct fake_caller caller;
    struct request *r; /* NULL: it has ended */
    char id[UUID_TEXT_SIZE];
    const char *command;
    enum door_kind door;
    bool withdrawn;
    bool denied; /* by a person */
    unsigned starts;
};

struct model {
    struct world world;
    struct life lives[REQUESTS_MAX];
    size_t count;
    uint64_t seed;
    int (*start)(struct executor *x, struct request *r, int conn, const char *env, size_t env_len,
                 size_t envc, struct err *err);
};

static struct model *current; /* for executor.start, which has no argument of ours */

static unsigned pick(struct model *m, unsigned n)
{
    m->seed ^= m->seed << 13;
    m->seed ^= m->seed >> 7;
    m->seed ^= m->seed << 17;
    return (unsigned)(m->seed % n);
}

static struct life *life_of(struct model *m, const struct request *r)
{
    for (size_t i = 0; i < m->count; i++)
        if (m->lives[i].r == r)
            return &m->lives[i];
    fail_msg("a request that nobody knows");
    return NULL;
}

static int checked_start(struct executor *x, struct request *r, int conn, const char *env,
                         size_t env_len, size_t envc, struct err *err)
{
    struct model *m = current;
    struct life *l = life_of(m, r);
    assert_true(r->decision == DECISION_ALLOW || r->decision == DECISION_ASK_APPROVED);
    assert_int_equal(fake_audit_count(&m->world.audit, r->id_text, "decision"), 1);
    assert_true(fake_audit_is(&m->world.audit, r->id_text, "decision", "decision",
                              decision_name(r->decision)));
    assert_false(l->denied);
    assert_null(holds_over(halt_holds(m->world.w), r));
    assert_string_not_equal(r->ask.name, "rm");
    assert_string_not_equal(r->ask.name, "unheard-of");
    int result = m->start(x, r, conn, env, env_len, envc, err);
    l->starts += result >= 0;
    return result;
}

static void on_event(void *arg, const struct event *e)
{
    struct model *m = arg;
    if (!e->r || e->kind == EVENT_RECEIVED)
        return;
    struct life *l = life_of(m, e->r);
    memcpy(l->id, e->r->id_text, sizeof(l->id));
    if (e->kind != EVENT_ENDED)
        return;
    assert_int_equal(e->r->state, REQUEST_ENDED);
    l->r = NULL;
}

/* ---- what may happen ---- */

static void op_submit(struct model *m)
{
    if (m->count == REQUESTS_MAX)
        return;
    struct life *l = &m->lives[m->count++];
    *l = (struct life){.command = commands[pick(m, 4)],
                       .door = pick(m, 3) ? DOOR_SHIM_V2 : DOOR_SHIM_V1};
    fake_caller_init(&l->caller);
    l->caller.take_fails = pick(m, 20) ? 0 : -EPIPE;
    l->r = fake_request(&l->caller, l->door, l->command);
    if (pick(m, 2))
        l->r->peer.in = container_new("1111111111111111", "one");
    l->r->peer.uid = 1000 + pick(m, 3);
    warden_submit(m->world.w, l->r);
    if (l->r)
        memcpy(l->id, l->r->id_text, sizeof(l->id));
}

static struct life *any_life(struct model *m)
{
    return m->count ? &m->lives[pick(m, (unsigned)m->count)] : NULL;
}

static void op_resolve(struct model *m)
{
    struct fake_resolver *x = &m->world.resolver;
    x->fail = pick(m, 8) ? 0 : -ETIMEDOUT;
    if (x->pending_count)
        fake_resolver_answer(x, x->pending[pick(m, (unsigned)x->pending_count)]);
    x->fail = 0;
}

static void op_resolver_mode(struct model *m)
{
    struct fake_resolver *x = &m->world.resolver;
    x->hold = pick(m, 2);
    x->ino = 40 + pick(m, 8) / 7;
    x->refuse = pick(m, 8) ? 0 : -EPIPE;
}

static void op_answer(struct model *m)
{
    struct life *l = any_life(m);
    struct answer a = {
        .verdict = pick(m, 3) ? VERDICT_ALLOW : VERDICT_DENY, .approver = "ana", .channel = "cli"};
    if (!l)
        return;
    bool waits = l->r && l->r->state == REQUEST_WAITING;
    int r = warden_answer(m->world.w, l->id, &a, pick(m, 6) ? NULL : "0123", NULL);
    assert_true(r == 0 || r == -ENOENT || r == -EALREADY || r == -ESTALE);
    if (!waits)
        assert_true(r == -ENOENT || r == -EALREADY);
    if (r == 0 && a.verdict == VERDICT_DENY)
        l->denied = true;
}

static void op_withdraw(struct model *m)
{
    struct life *l = any_life(m);
    /* A door forgets the request with the connection that it gave up. */
    if (!l || !l->r || l->caller.taken || l->withdrawn)
        return;
    l->withdrawn = true;
    warden_withdraw(m->world.w, l->r, "it hung up");
}

static void op_advance(struct model *m)
{
    static const uint64_t spans[] = {0, SEC / 10, SEC, 5 * SEC, 31 * SEC, 301 * SEC};
    world_advance(&m->world, spans[pick(m, 6)]);
}

static struct request *any_job(struct model *m)
{
    struct fake_executor *x = &m->world.executor;
    if (x->count == 0)
        return NULL;
    struct fake_job *j = &x->jobs[pick(m, (unsigned)x->count)];
    return j->released ? NULL : j->r;
}

static void op_started(struct model *m)
{
    struct request *r = any_job(m);
    if (r)
        warden_started(m->world.w, r, 77);
}

static void op_ended(struct model *m)
{
    struct request *r = any_job(m);
    struct end e = {.kind = (enum end_kind)pick(m, 3), .value = 9, .caller_gone = pick(m, 2)};
    if (r)
        warden_ended(m->world.w, r, &e);
}

static void op_executor_mode(struct model *m)
{
    m->world.executor.at_once = pick(m, 2);
    m->world.executor.end_at_once = m->world.executor.at_once && pick(m, 6) == 0;
    m->world.executor.refuse = pick(m, 8) ? 0 : -EPIPE;
}

static void op_audit_mode(struct model *m)
{
    struct fake_audit *a = &m->world.audit;
    a->hold = pick(m, 2);
    a->refuse = pick(m, 4) ? 0 : -ENOSPC;
    a->result = pick(m, 6) ? 0 : -EIO;
}

static void op_audit_finish(struct model *m)
{
    (void)fake_audit_finish(&m->world.audit, pick(m, 5) ? 0 : -EIO);
}

static void op_reload(struct model *m)
{
    struct policy *p = fake_policy(policies[pick(m, ARRAY_LEN(policies))]);
    warden_set_policy(m->world.w, p, "test");
    policy_unref(p);
}

static void op_kill(struct model *m)
{
    static const int signals[] = {0, SIGINT, SIGTERM, SIGKILL};
    struct life *l = any_life(m);
    if (!l)
        return;
    bool waits = l->r && l->r->state == REQUEST_WAITING;
    int r = fake_kill(m->world.w, l->id, signals[pick(m, 4)], "bob", "why not", NULL);
    if (r == 0 && waits)
        l->denied = true;
    assert_true(r == 0 || r == -ENOENT || r == -EALREADY);
}

static void op_pause(struct model *m)
{
    struct life *l = any_life(m);
    switch (pick(m, 4)) {
    case 0:
        (void)fake_pause(m->world.w, HOLD_ALL, NULL, pick(m, 2) * 60 * SEC, NULL);
        return;
    case 1:
        (void)fake_pause(m->world.w, HOLD_CONTAINER, "one", pick(m, 2) * 90 * SEC, NULL);
        return;
    case 2:
        if (l)
            (void)fake_pause(m->world.w, HOLD_REQUEST, l->id, 0, NULL);
        return;
    }
    m->world.jailer.fail = pick(m, 4) ? 0 : -EIO;
    m->world.executor.restless = pick(m, 4) == 0;
}

static void op_resume(struct model *m)
{
    struct life *l = any_life(m);
    switch (pick(m, 3)) {
    case 0:
        (void)fake_resume(m->world.w, HOLD_ALL, NULL, NULL);
        return;
    case 1:
        (void)fake_resume(m->world.w, HOLD_CONTAINER, "one", NULL);
        return;
    }
    if (l)
        (void)fake_resume(m->world.w, HOLD_REQUEST, l->id, NULL);
}

static void op_jailer_mode(struct model *m)
{
    m->world.jailer.hold = pick(m, 2);
}

static void op_jailer_answer(struct model *m)
{
    (void)fake_jailer_answer(&m->world.jailer);
}

/* It comes to its end and starts anew, or is removed and another one takes its name. */
static void op_container_news(struct model *m)
{
    struct fake_jail *one = &m->world.jailer.jails[0];
    bool removed = pick(m, 4) == 0;
    if (pick(m, 4))
        return;
    while (removed && fake_jailer_answer(&m->world.jailer))
        ;
    one->frozen = false;
    (removed ? halt_removed : halt_arrived)(m->world.w, one->key);
}

static void op_kill_container(struct model *m)
{
    const struct halt_order o = {
        .scope = HOLD_CONTAINER, .target = "one", .who = "bob", .why = "enough"};
    if (pick(m, 20))
        return;
    for (size_t i = 0; i < m->count; i++) {
        struct life *l = &m->lives[i];
        l->denied |= l->r && l->r->state == REQUEST_WAITING && l->r->peer.in;
    }
    halt_kill(m->world.w, &o, NULL, NULL);
}

static void op_kill_all(struct model *m)
{
    if (pick(m, 20) == 0)
        warden_kill_all(m->world.w, "the test wants it");
}

typedef void op_fn(struct model *m);
static op_fn *const ops[] = {
    op_submit,         op_submit,       op_submit,        op_resolve,       op_resolve,
    op_resolver_mode,  op_answer,       op_answer,        op_withdraw,      op_advance,
    op_started,        op_started,      op_ended,         op_ended,         op_executor_mode,
    op_audit_mode,     op_audit_finish, op_audit_finish,  op_audit_finish,  op_reload,
    op_kill,           op_kill_all,     op_pause,         op_resume,        op_resume,
    op_kill_container, op_jailer_mode,  op_jailer_answer, op_jailer_answer, op_container_news,
};

/* ---- what must hold ---- */

/* A kill at this moment: who was told that it waits has a place to come back to, or its decision is
 * on record; never neither, never both. */
static void check_places(struct model *m)
{
    for (size_t i = 0; i < m->count; i++) {
        const struct life *l = &m->lives[i];
        uint8_t id[16];
        if (!l->caller.waiting || uuid_parse(l->id, id) < 0)
            continue;
        bool place = fake_index_find(&m->world.index, id);
        assert_true(place != fake_audit_has_decision(&m->world.audit, l->id));
        assert_true(place || !l->r || l->r->state != REQUEST_WAITING);
    }
}

static void check_always(struct model *m)
{
    struct warden *w = m->world.w;
    size_t live = 0, waiting = 0;
    for (size_t i = 0; i < m->count; i++) {
        const struct life *l = &m->lives[i];
        live += l->r != NULL;
        waiting += l->r && l->r->state == REQUEST_WAITING;
        assert_true(l->caller.refused + l->caller.taken <= 1);
        assert_false(l->starts && l->caller.refused);
    }
    assert_int_equal(warden_count(w, REQUEST_WAITING), waiting);
    check_places(m);
    assert_int_equal(warden_count(w, REQUEST_RECEIVED) + warden_count(w, REQUEST_WAITING) +
                         warden_count(w, REQUEST_STARTING) + warden_count(w, REQUEST_RUNNING) +
                         warden_count(w, REQUEST_ENDED),
                     live);
    assert_int_equal(warden_idle(w), live == waiting);
}

/* Lets everything come to its end. */
static void settle(struct model *m)
{
    struct world *f = &m->world;
    f->resolver.hold = f->audit.hold = false;
    f->resolver.refuse = f->audit.refuse = f->audit.result = 0;
    f->executor.at_once = true;
    f->executor.restless = false;
    f->jailer.fail = 0;
    f->jailer.hold = false;
    for (int i = 0; i < 6; i++) {
        while (fake_jailer_answer(&f->jailer))
            ;
        (void)fake_resume(f->w, HOLD_ALL, NULL, NULL);
        while (f->resolver.pending_count)
            fake_resolver_answer(&f->resolver, f->resolver.pending[0]);
        while (fake_audit_finish(&f->audit, 0))
            ;
        world_advance(f, 301 * SEC);
        for (size_t k = 0; k < f->executor.count; k++)
            if (!f->executor.jobs[k].released) {
                assert_true(!f->executor.jobs[k].frozen || holds_count(halt_holds(f->w)));
                struct end e = {.kind = END_SIGNAL, .value = SIGKILL};
                warden_ended(f->w, f->executor.jobs[k].r, &e);
            }
    }
}

static void check_settled(struct model *m)
{
    struct world *f = &m->world;
    assert_true(warden_can_record(f->w, NULL));
    assert_int_equal(f->executor.starts, f->executor.releases);
    assert_int_equal(f->index.count, 0);
    assert_int_equal(holds_count(halt_holds(f->w)), 0);
    for (size_t i = 0; i < f->jailer.count; i++)
        assert_false(f->jailer.jails[i].frozen);
    for (size_t i = 0; i < m->count; i++) {
        struct life *l = &m->lives[i];
        assert_null(l->r);
        size_t decisions = fake_audit_count(&f->audit, l->id, "decision");
        size_t ends = fake_audit_count(&f->audit, l->id, "end");
        assert_true(decisions <= 1);
        assert_true(ends <= decisions);
        assert_int_equal(l->caller.refused + l->caller.taken, l->withdrawn ? l->caller.refused : 1);
        if (!l->starts)
            continue;
        assert_int_equal(l->starts, 1);
        assert_int_equal(decisions, 1);
        assert_int_equal(ends, 1);
    }
}

static uint64_t lives_wanted(void)
{
    uint64_t n = LIVES;
    const char *s = getenv("COURSE_LIVES");
    return s && str_parse_u64(s, 1000000, &n) == 0 ? n : LIVES;
}

static void begin(struct model *m, uint64_t seed)
{
    *m = (struct model){.seed = seed * UINT64_C(0x9E3779B97F4A7C15) + 1};
    current = m;
    world_init(&m->world, policies[0]);
    if (pick(m, 3) == 0) { /* narrow caps */
        world_stop(&m->world);
        m->world.config.waiting_max_per_peer = 3;
        m->world.config.flight_max_per_peer = 4;
        m->world.config.asks_per_minute = 5;
        world_start(&m->world);
    }
    m->start = m->world.executor.port.start;
    m->world.executor.port.start = checked_start;
    events_subscribe(warden_events(m->world.w), on_event, m);
}

/* ---- the lives ---- */

static void any_order_of_events_keeps_the_promises(void **state)
{
    struct model *m = test_malloc(sizeof(*m));
    for (uint64_t life = 1, n = lives_wanted(); life <= n; life++) {
        begin(m, life);
        for (int step = 0; step < STEPS; step++) {
            ops[pick(m, ARRAY_LEN(ops))](m);
            check_always(m);
        }
        settle(m);
        check_settled(m);
        world_done(&m->world);
    }
    test_free(m);
}

static void a_warden_that_goes_in_the_middle_leaves_nobody_without_words(void **state)
{
    struct model *m = test_malloc(sizeof(*m));
    for (uint64_t life = 1, n = lives_wanted(); life <= n; life++) {
        begin(m, life + 1000000);
        for (int step = 0; step < STEPS / 4; step++)
            ops[pick(m, ARRAY_LEN(ops))](m);
        bool drained = pick(m, 2);
        if (drained)
            warden_drain(m->world.w);
        bool waits[REQUESTS_MAX] = {false};
        for (size_t i = 0; i < m->count; i++) {
            const struct life *l = &m->lives[i];
            waits[i] = drained && l->r && l->r->state == REQUEST_WAITING;
            assert_false(waits[i] && l->door != DOOR_SHIM_V2);
        }
        world_stop(&m->world);
        for (size_t i = 0; i < m->count; i++)
            m->lives[i].r = NULL; /* gone with the warden */
        check_places(m);
        assert_int_equal(m->world.executor.starts, m->world.executor.releases);
        for (size_t i = 0; i < m->count; i++) {
            const struct life *l = &m->lives[i];
            if (waits[i])
                assert_int_equal(l->caller.refused + l->caller.taken, 0);
            else if (!l->withdrawn)
                assert_int_equal(l->caller.refused + l->caller.taken, 1);
        }
        world_done(&m->world);
    }
    test_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_order_of_events_keeps_the_promises),
        cmocka_unit_test(a_warden_that_goes_in_the_middle_leaves_nobody_without_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
