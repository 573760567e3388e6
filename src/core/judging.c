/* SPDX-License-Identifier: MIT */
/* Finding facts, judging, waiting, and looking again after an approval: handlers of the table in
 * core/course.c. Each is called with the new stage already set. A call to a port may come back
 * before it returns and move the request on, so such a call is the last thing that a handler does,
 * or the stage is looked at again. */
#include "core/course.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "core/audit.h"
#include "core/binding.h"

/* Operands beyond this many are not resolved, and so outside everything. */
#define OPERANDS_MAX 1024
/* Of the index, to keep a place. Beyond it the caller is told that it waits all the same. */
#define TELL_WITHIN (2 * CLOCK_NS_PER_SEC)
/* What is paused has no deadline; its place in the queue needs one. */
#define HELD_PLACE (UINT64_C(365) * 86400 * CLOCK_NS_PER_SEC)

/* ---- facts ---- */

static bool same_policy(const struct policy *a, const struct policy *b)
{
    return a == b || str_eq(policy_digest(a), policy_digest(b));
}

static void use_policy(struct request *r, struct policy *p)
{
    struct policy *before = r->policy;
    r->policy = policy_ref(p);
    if (before)
        policy_unref(before);
}

static void look_up(struct warden *w, struct request *r)
{
    struct err err = {0};
    enum stage stage = r->track->stage;
    int x = w->config.resolver->resolve(w->config.resolver, r, &err);
    if (x >= 0 || r->track->stage != stage)
        return;
    course_say(r->why, sizeof(r->why), err.text[0] ? err.text : "its facts could not be asked for");
    (void)course_event(r, EV_UNRESOLVED);
}

void judging_resolve(struct warden *w, struct request *r)
{
    use_policy(r, w->policy);
    facts_done(&r->facts);
    look_up(w, r);
}

/* Puts what is known aside, so that a lookup that fails leaves something to record. */
static void stash(struct request *r)
{
    struct track *t = r->track;
    if (t->stashed) { /* a refresh that was overtaken by another policy */
        facts_done(&r->facts);
        return;
    }
    t->stashed = true;
    t->old_facts = r->facts;
    t->old_policy = policy_ref(r->policy);
    t->old_judged = r->judged;
    r->facts = (struct facts){0};
}

static void forget_stash(struct request *r)
{
    struct track *t = r->track;
    facts_done(&t->old_facts);
    if (t->old_policy)
        t->old_policy = (policy_unref(t->old_policy), NULL);
    t->stashed = false;
}

void judging_restore(struct request *r)
{
    struct track *t = r->track;
    if (!t->stashed)
        return;
    facts_done(&r->facts);
    r->facts = t->old_facts;
    r->judged = t->old_judged;
    t->old_facts = (struct facts){0};
    use_policy(r, t->old_policy);
    forget_stash(r);
}

void judging_stop_lookup(struct warden *w, struct request *r)
{
    w->config.resolver->cancel(w->config.resolver, r);
    judging_restore(r);
}

/* ---- judging ---- */

static struct executor *find_executor(struct warden *w, const char *name)
{
    for (size_t i = 0; i < w->executors_count; i++)
        if (str_eq(w->executors[i]->name, name))
            return w->executors[i];
    return NULL;
}

/* Under a gate a program stays in its process; elsewhere there is no process to stay in. */
static int check_place(struct request *r, const char *name)
{
    bool gate = r->ask.door == DOOR_GATE, inplace = name && str_eq(name, EXECUTOR_INPLACE);
    if (gate == inplace)
        return 0;
    if (gate)
        (void)snprintf(r->why, sizeof(r->why),
                       "%s (line %u) names the executor '%s', but under a gate commands run where "
                       "they are ('inplace'): take `executor` out of the rule, or restrict it to "
                       "other callers",
                       r->judged.rule_name ? r->judged.rule_name : "the policy", r->judged.line,
                       name && name[0] ? name : "(none)");
    else
        (void)snprintf(r->why, sizeof(r->why),
                       "the executor 'inplace' is for commands under a gate only");
    return -EINVAL;
}

/* What is neither where it stands nor on this host is asked for by a shim, which takes its place.
 */
static bool goes_by_shim(struct warden *w, const struct request *r)
{
    return r->ask.door == DOOR_GATE && r->judged.executor &&
           str_eq(r->judged.executor, EXECUTOR_GHOST) && find_executor(w, EXECUTOR_GHOST) &&
           find_executor(w, EXECUTOR_REDIRECT);
}

static int choose_executor(struct warden *w, struct request *r)
{
    const char *name = r->judged.executor;
    if (goes_by_shim(w, r)) {
        r->executor = find_executor(w, EXECUTOR_REDIRECT);
        r->judged.verdict = VERDICT_ALLOW;
        r->judged.reason = "the shim that takes its place is judged and asks";
        return 0;
    }
    if (!name && r->peer.in && r->ask.door != DOOR_GATE)
        name = "mirror"; /* back into its container */
    if (!name && (unsigned)r->ask.door < WARDEN_DOORS)
        name = w->default_executor[r->ask.door];
    if (check_place(r, name) < 0)
        return -EINVAL;
    r->executor = name && name[0] ? find_executor(w, name) : NULL;
    if (r->executor)
        return 0;
    (void)snprintf(r->why, sizeof(r->why), "the executor '%s' for it is not there",
                   name && name[0] ? name : "(none)");
    return -ENOENT;
}

static void check_claim(struct warden *w, struct request *r)
{
    struct queue_row *claim = r->track->claim;
    if (claim && strcmp(claim->digest, r->digest) != 0)
        course_close_claim(w, TAKE_PTR(r->track->claim),
                           "its caller came back with another command, or the policy is another");
}

/* Whether a person may and can be asked; the event that follows. */
static enum course_event may_ask(struct warden *w, struct request *r)
{
    struct err err = {0};
    char key[LIMITS_KEY_SIZE];
    if (w->draining && r->ask.door != DOOR_SHIM_V2)
        return EV_STOPPING;
    if (r->ask.unholdable) {
        course_say(r->why, sizeof(r->why),
                   "the policy asks a person, but nothing protects the memory of a program that "
                   "waits here: start the gate where it can raise a wall (see clawrden-gate(8), "
                   "--wall)");
        return EV_IMPOSSIBLE;
    }
    if (binding_digest(r, r->digest, &err) < 0) {
        course_say(r->why, sizeof(r->why), err.text);
        return EV_IMPOSSIBLE;
    }
    check_claim(w, r);
    limits_key(&r->peer, key);
    /* Who comes back to its place does not ask anew. */
    if (limits_may_wait(w->limits, key, &err) < 0 ||
        (!r->track->claim && limits_take_ask(w->limits, key, course_monotonic(w), &err) < 0)) {
        course_say(r->why, sizeof(r->why), err.text);
        return EV_LIMITED;
    }
    return EV_POLICY_ASKS;
}

/* What is allowed and paused takes a place in the queue like what is asked about. */
static enum course_event may_hold(struct warden *w, struct request *r)
{
    struct err err = {0};
    char key[LIMITS_KEY_SIZE];
    if (w->draining && r->ask.door != DOOR_SHIM_V2)
        return EV_STOPPING;
    limits_key(&r->peer, key);
    if (limits_may_wait(w->limits, key, &err) < 0) {
        course_say(r->why, sizeof(r->why), err.text);
        return EV_LIMITED;
    }
    if (binding_digest(r, r->digest, &err) == 0) {
        check_claim(w, r);
        return EV_HELD;
    }
    course_say(r->why, sizeof(r->why), err.text);
    return EV_IMPOSSIBLE;
}

static void judge(struct request *r)
{
    struct policy_request q;
    request_to_policy(r, &q);
    r->judged = (struct policy_decision){0};
    policy_judge(r->policy, &q, &r->judged);
    struct policy *before = r->track->judged_by;
    r->track->judged_by = policy_ref(r->policy);
    if (before)
        policy_unref(before);
}

/* What a person said yes to for this tree is not asked about again. */
static void recall(struct warden *w, struct request *r)
{
    char who[sizeof(r->remembered) - 48];
    if (r->judged.verdict != VERDICT_ASK || !remember_find(w->remember, r, who, sizeof(who)))
        return;
    (void)snprintf(r->remembered, sizeof(r->remembered), "yes to this program in this tree by %s",
                   who);
    r->judged.verdict = VERDICT_ALLOW;
    r->judged.rule_name = "remembered";
    r->judged.reason = r->remembered;
}

static enum course_event judged(struct warden *w, struct request *r)
{
    recall(w, r);
    switch (r->judged.verdict) {
    case VERDICT_DENY:
        r->executor = NULL;
        return EV_POLICY_DENIES;
    case VERDICT_ASK:
    case VERDICT_ALLOW:
        if (choose_executor(w, r) < 0)
            return EV_IMPOSSIBLE;
        if (r->judged.verdict == VERDICT_ASK)
            return EV_POLICY_ASKS;
        return halt_held(r) ? EV_HELD : EV_POLICY_ALLOWS;
    }
    return EV_POLICY_DENIES; /* not reached by a known verdict */
}

void judging_judge(struct warden *w, struct request *r)
{
    if (!same_policy(r->policy, w->policy)) {
        (void)course_event(r, EV_STALE);
        return;
    }
    judge(r);
    enum course_event ev = judged(w, r);
    if (ev == EV_POLICY_ASKS)
        ev = may_ask(w, r);
    else if (ev == EV_HELD)
        ev = may_hold(w, r);
    (void)course_event(r, ev);
}

/* After a reload, with facts that fit the policy r->policy. */
void judging_judge_again(struct warden *w, struct request *r)
{
    if (!same_policy(r->policy, w->policy)) {
        (void)course_event(r, EV_STALE);
        return;
    }
    forget_stash(r);
    judge(r);
    enum course_event ev = judged(w, r);
    struct err err = {0};
    if ((ev == EV_POLICY_ASKS || ev == EV_HELD) && binding_digest(r, r->digest, &err) < 0) {
        course_say(r->why, sizeof(r->why), err.text);
        ev = EV_IMPOSSIBLE;
    }
    (void)course_event(r, ev);
}

/* Whether the known paths are those that policy `p` looks at. */
static bool covered(const struct request *r, const struct policy *p)
{
    size_t want[OPERANDS_MAX];
    struct policy_request q;
    request_to_policy(r, &q);
    size_t n = policy_path_operands(p, r->ask.name, q.argv, q.argc, want, OPERANDS_MAX);
    if (n > OPERANDS_MAX)
        return true; /* no helper resolves so many */
    for (size_t i = 0; i < n; i++) {
        bool found = false;
        for (size_t k = 0; k < r->facts.paths_count && !found; k++)
            found = r->facts.paths[k].arg == want[i];
        if (!found)
            return false;
    }
    return true;
}

void judging_rejudge(struct warden *w, struct request *r)
{
    if (!covered(r, w->policy)) {
        (void)course_event(r, EV_STALE);
        return;
    }
    use_policy(r, w->policy);
    judging_judge_again(w, r);
}

void judging_refresh(struct warden *w, struct request *r)
{
    stash(r);
    use_policy(r, w->policy);
    r->judged = (struct policy_decision){.verdict = VERDICT_ASK,
                                         .rule_name = "being judged again after a reload",
                                         .timeout = r->track->old_judged.timeout,
                                         .approval_timeout = r->track->old_judged.approval_timeout};
    look_up(w, r);
}

/* ---- waiting ---- */

static void put_in_index(struct warden *w, const struct request *r)
{
    if (!w->config.index)
        return;
    uint64_t now = course_monotonic(w);
    struct queue_row row = {.pid = r->peer.pid,
                            .start_time = r->peer.start_time,
                            .waiting_at = r->waiting_at,
                            .deadline = course_after(course_realtime(w), r->paused ? r->track->left
                                                                         : r->deadline > now
                                                                             ? r->deadline - now
                                                                             : 0)};
    memcpy(row.id, r->id, sizeof(row.id));
    memcpy(row.digest, r->digest, sizeof(row.digest));
    _cleanup_buf_ struct buf summary = AUDIT_BUF();
    (void)buf_append_char(&summary, '{');
    audit_request(r, &summary);
    (void)buf_append_char(&summary, '}');
    row.summary = summary.failed ? "{}" : summary.data;
    w->config.index->queue_put(w->config.index, &row);
}

void judging_tell(struct request *r)
{
    if (r->track->told)
        return;
    r->track->told = true;
    if (r->caller)
        r->caller->ops->waiting(r->caller, r);
}

static void announce(struct warden *w, struct request *r)
{
    r->track->told = false;
    put_in_index(w, r);
    course_emit(w, r, EVENT_WAITING);
    bool waits = r->track->stage == STAGE_WAITING || r->track->stage == STAGE_HELD;
    if (!waits || r->track->told)
        return;
    if (!w->config.index)
        judging_tell(r);
    else if (w->untold.place == 0)
        course_set_deadline(w, &w->untold, course_after(course_monotonic(w), TELL_WITHIN));
}

/* Takes over the place that the request had before the warden restarted: its id and its deadline.
 * Returns the time that is left. */
static uint64_t take_over(struct warden *w, struct request *r, uint64_t now)
{
    _cleanup_(claims_row_freep) struct queue_row *row = TAKE_PTR(r->track->claim);
    uint64_t wall = course_realtime(w);
    uint64_t waited = wall > row->waiting_at ? wall - row->waiting_at : 0;
    /* While it is paused its time stands still, also that between two wardens. */
    const struct hold *h = holds_over(w->holds, r);
    uint64_t then = h && h->since < wall ? h->since : wall;
    if (then < row->waiting_at)
        then = row->waiting_at;
    uint64_t left = row->deadline > then ? row->deadline - then : 0;
    map_remove(w->by_id, r->id_text);
    memcpy(r->id, row->id, sizeof(r->id));
    uuid_format(r->id, r->id_text);
    map_put(w->by_id, r->id_text, r);
    r->waiting_at = row->waiting_at ? row->waiting_at : wall;
    r->track->waiting_since = now > waited ? now - waited : 0;
    return left < r->judged.approval_timeout ? left : r->judged.approval_timeout;
}

void judging_wait(struct warden *w, struct request *r)
{
    uint64_t now = course_monotonic(w), left = r->judged.approval_timeout;
    r->waiting_at = course_realtime(w);
    r->track->waiting_since = now;
    if (r->track->claim)
        left = take_over(w, r, now);
    r->paused = halt_held(r);
    course_due(r, course_after(now, left));
    metrics_count_asked(w->metrics);
    announce(w, r);
}

/* ---- paused ---- */

void judging_hold(struct warden *w, struct request *r)
{
    uint64_t now = course_monotonic(w);
    if (r->track->claim)
        (void)take_over(w, r, now);
    if (!r->waiting_at) {
        r->waiting_at = course_realtime(w);
        r->track->waiting_since = now;
    }
    r->paused = true;
    r->track->left = HELD_PLACE;
    announce(w, r);
}

/* A person's yes is kept until it goes on, and then the facts are read again. */
void judging_hold_approved(struct warden *w, struct request *r)
{
    r->paused = true;
    r->track->left = 0;
    course_emit(w, r, EVENT_WAITING);
}

void judging_hold_lookup(struct warden *w, struct request *r)
{
    judging_restore(r);
    judging_hold_approved(w, r);
}

/* Nothing is known of it, perhaps because what it would be asked of stands still. */
void judging_hold_unknown(struct warden *w, struct request *r)
{
    r->why[0] = '\0';
    r->digest[0] = '\0';
    judging_hold(w, r);
}

/* A new policy may shorten the time that is left, not lengthen it: people were told the old one. */
void judging_wait_again(struct warden *w, struct request *r)
{
    uint64_t at = course_after(r->track->waiting_since, r->judged.approval_timeout);
    uint64_t old = r->paused ? course_after(course_monotonic(w), r->track->left) : r->deadline;
    course_due(r, at < old ? at : old);
    announce(w, r);
}

/* ---- approved: is it still the same? ---- */

void judging_check(struct warden *w, struct request *r)
{
    stash(r);
    look_up(w, r);
}

void judging_compare(struct warden *w, struct request *r)
{
    struct err err = {0};
    char digest[BINDING_DIGEST_SIZE] = "";
    forget_stash(r);
    if (!same_policy(r->policy, w->policy))
        course_say(r->why, sizeof(r->why),
                   "the policy changed just after it was approved: run it again");
    else if (binding_digest(r, digest, &err) < 0)
        course_say(r->why, sizeof(r->why), err.text);
    else if (strcmp(digest, r->digest) != 0)
        course_say(
            r->why, sizeof(r->why),
            "what it would run changed while it waited (program, script, directory or a path): the "
            "approval was for something else");
    else {
        (void)course_event(r, halt_held(r) ? EV_HELD : EV_SAME);
        return;
    }
    (void)course_event(r, EV_CHANGED);
}
