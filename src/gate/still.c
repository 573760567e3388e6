/* SPDX-License-Identifier: MIT */
#include "gate/still.h"

#include <signal.h>
#include <unistd.h>

#include "gate/clock.h"
#include "gate/finders.h"
#include "gate/procfs.h"
#include "gate/scope.h"
#include "gate/talk.h"
#include "gate/tracer.h"

#define LOOK_MS 20
#define LOOKS_MAX 150 /* the warden does not wait longer either */
#define RESTING_MAX 256

static uint64_t due = UINT64_MAX;
static pid_t resting[RESTING_MAX]; /* were stopped by somebody else, and stay so */
static unsigned resting_count;

/* ---- what is meant ---- */

static bool is_below(const struct exec *e, const struct exec *top)
{
    return tracer_is_agent(top->tgid) || execs_is_below(e, top->job);
}

/* Something above it is to stand still too. */
static bool is_covered(const struct exec *e)
{
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->frozen && x != e && is_below(e, x))
            return true;
    return false;
}

static const struct procfs_child *list(const struct exec *e, size_t *ret_count)
{
    return procfs_below(tracer_is_agent(e->tgid) ? getpid() : e->tgid, ret_count);
}

/* The nearest program at or above this process that was told to stand still, but not `but`. The
 * agent is above all, also above what lost its parent. */
static const struct exec *frozen_above(pid_t pid, const struct exec *but)
{
    struct procfs_status st;
    for (; pid > 1 && pid != getpid(); pid = st.ppid) {
        const struct exec *x = execs_find_running(pid);
        if (x && x->frozen && x != but)
            return x;
        if (procfs_status(pid, &st) < 0)
            break;
    }
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->frozen && x != but && tracer_is_agent(x->tgid))
            return x;
    return NULL;
}

static bool is_scoped(pid_t pid)
{
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->state == EXEC_RUNNING && x->scoped && scope_holds(x->job, pid))
            return true;
    return false;
}

/* ---- stopping ---- */

static void let_rest(pid_t pid, const struct exec *e)
{
    const struct exec *x = frozen_above(pid, e);
    if ((!x || x->looks == 0) && resting_count < RESTING_MAX)
        resting[resting_count++] = pid;
}

/* True: it moves, or did a moment ago. */
static bool stop(const struct exec *e, pid_t pid, char state)
{
    if (state == 'T' && e->looks == 0)
        let_rest(pid, e);
    if (state == 'T' || state == 'Z' || state == 'X' || finders_is(pid) || is_scoped(pid))
        return false;
    struct procfs_status st;
    if (kill(pid, SIGSTOP) < 0)
        return false;
    /* What is traced stands in an exec, and what sleeps uninterruptibly in the kernel (behind a
     * child by vfork that was stopped first): with the signal pending neither gets out of there. */
    if (state == 't' || state == 'D')
        return procfs_status(pid, &st) == 0 && !(st.pending & 1ull << (SIGSTOP - 1)) &&
               st.state != 'T' && st.state != 't';
    return true;
}

static bool stop_all(const struct exec *e)
{
    size_t n;
    struct procfs_status st;
    bool moves = false;
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->state == EXEC_RUNNING && x->scoped && is_below(x, e)) {
            scope_freeze(x->job, true);
            moves |= !scope_stands(x->job);
        }
    if (procfs_status(e->tgid, &st) == 0)
        moves |= stop(e, e->tgid, st.state);
    const struct procfs_child *all = list(e, &n);
    for (size_t i = 0; i < n; i++)
        if (all[i].pid != e->tgid)
            moves |= stop(e, all[i].pid, all[i].state);
    return moves;
}

/* ---- going on ---- */

static void cont(pid_t pid)
{
    for (unsigned i = 0; i < resting_count; i++)
        if (resting[i] == pid) {
            resting[i] = resting[--resting_count];
            return;
        }
    (void)kill(pid, SIGCONT);
}

static void let_go(const struct exec *e)
{
    size_t n;
    if (is_covered(e))
        return;
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->state == EXEC_RUNNING && x->scoped && is_below(x, e) && !x->frozen && !is_covered(x))
            scope_freeze(x->job, false);
    const struct procfs_child *all = list(e, &n);
    for (size_t i = n; i-- > 0;)
        if (all[i].pid != e->tgid && !finders_is(all[i].pid) && !frozen_above(all[i].pid, e))
            cont(all[i].pid);
    cont(e->tgid);
}

void still_set(struct exec *e, bool on)
{
    if (on == e->frozen)
        return;
    e->frozen = on;
    e->calm = false;
    e->looks = 0;
    if (on)
        due = clock_ms();
    else
        let_go(e);
}

void still_leave(struct exec *e)
{
    still_set(e, false);
}

bool still_any(void)
{
    for (const struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->frozen)
            return true;
    return false;
}

void still_lost(void)
{
    for (struct exec *x = execs_next(NULL); x; x = execs_next(x))
        still_set(x, false);
}

/* ---- whether it does ---- */

static void tell(const struct exec *e)
{
    size_t size;
    uint8_t *body = talk_body(&size);
    struct pack_writer w = {.p = body, .size = size};
    pack_put_u64(&w, e->job);
    (void)talk_send_late(GATEWIRE_FROZEN, w.len);
}

/* Twice nothing that moves: what a look misses, because it was just being born, the next one sees.
 * True: to be looked at again. */
static bool look(struct exec *e)
{
    bool moves = stop_all(e);
    bool still = !moves && e->calm;
    e->calm = !moves;
    e->looks = still ? LOOKS_MAX : e->looks + 1;
    if (still)
        tell(e);
    return e->looks < LOOKS_MAX;
}

void still_tick(uint64_t now)
{
    if (now < due)
        return;
    bool again = false;
    for (struct exec *x = execs_next(NULL); x; x = execs_next(x))
        if (x->frozen && x->looks < LOOKS_MAX)
            again |= look(x);
    due = again ? now + LOOK_MS : UINT64_MAX;
}

uint64_t still_next(void)
{
    return due;
}
