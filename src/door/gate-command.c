/* SPDX-License-Identifier: MIT */
/* One program of a governed tree between the gate and the warden: its facts, its verdict, its end.
 * As the executors 'inplace' and 'redirect' it starts nothing: what it lets go stands there
 * already. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/str.h"
#include "core/binding.h"
#include "door/gate-room.h"
#include "door/kernel.h"

static const char *request_key(const struct request *r, char out[32])
{
    (void)snprintf(out, 32, "%p", (const void *)r);
    return out;
}

static const char *job_key(uint64_t job, char out[32])
{
    (void)snprintf(out, 32, "%" PRIx64, job);
    return out;
}

static const char *pid_key(pid_t pid, char out[32])
{
    (void)snprintf(out, 32, "%d", (int)pid);
    return out;
}

struct gate_command *gate_command_find(const struct gate *g, uint64_t job)
{
    char key[32];
    return map_get(g->jobs, job_key(job, key));
}

static struct gate_command *of_request(const struct gate_door *d, const struct request *r)
{
    char key[32];
    return map_get(d->by_request, request_key(r, key));
}

/* ---- a command ---- */

static void unused(struct gate_command *c)
{
    char key[32];
    if (c->r)
        return;
    if (c->gate) {
        (void)map_remove(c->gate->jobs, job_key(c->job, key));
        if (map_get(c->gate->by_pid, pid_key(c->pid, key)) == c)
            (void)map_remove(c->gate->by_pid, key);
        c->gate->bytes -= c->bytes;
    }
    gate_ask_free(c->ask);
    free(c);
}

static void command_waiting(struct caller *caller, const struct request *r)
{
    struct gate_command *c = container_of(caller, struct gate_command, caller);
    struct gatewire_waiting m = {.job = c->job};
    struct peer_stat leader;
    const struct peer *p = &r->peer;
    if (!c->gate)
        return;
    if (!c->waiting && p->sid > 0 && p->sid != p->pid && p->sid != p->ppid &&
        peer_stat_read(p->sid, &leader) == 0)
        c->leader_start = leader.start_time;
    c->waiting = true;
    memcpy(m.id, r->id, sizeof(m.id));
    GATE_POST(c->gate, GATEWIRE_WAITING, gatewire_waiting_encode, &m);
}

static void command_refused(struct caller *caller, const struct request *r, int code,
                            const char *text)
{
    struct gate_command *c = container_of(caller, struct gate_command, caller);
    (void)r;
    c->waiting = false;
    if (c->gate && !c->ended)
        gate_door_deny(c->gate, c->job, code, text);
}

static const struct caller_ops ops = {.waiting = command_waiting, .refused = command_refused};

void gate_command_new(struct gate *g, struct request *r, struct gate_ask *a, size_t bytes)
{
    struct gate_command *c = mem_new(struct gate_command);
    char key[32];
    *c = (struct gate_command){
        .caller = {.ops = &ops}, .gate = g, .job = a->m.job, .r = r, .ask = a, .bytes = bytes};
    gate_ask_fill(a, r, !(g->flags & GATEWIRE_WALL_MEMORY));
    r->ask.tree = g->tree;
    r->ask.debuggers = (g->flags & GATEWIRE_DEBUGGERS) != 0;
    r->ask.scoped = (g->flags & GATEWIRE_SCOPE_CGROUP) != 0;
    r->caller = &c->caller;
    g->bytes += bytes;
    (void)map_put(g->jobs, job_key(c->job, key), c);
    (void)map_put(g->door->by_request, request_key(r, key), c);
}

void gate_command_done(struct gate_door *d, const struct request *r)
{
    char key[32];
    struct gate_command *c = map_remove(d->by_request, request_key(r, key));
    if (!c)
        return;
    c->r = NULL;
    c->waiting = false;
    unused(c);
}

void gate_command_runs(struct gate_command *c)
{
    char key[32];
    c->state = COMMAND_RUNNING;
    c->pid = c->r->peer.pid;
    (void)map_put(c->gate->by_pid, pid_key(c->pid, key), c);
}

/* The number was the parent's when `p` was described. What runs was there before and is there now,
 * so the number was its own in between. Who descended from the gate once does so until it ends. */
bool gate_command_is_parent(const struct gate *g, struct peer *p)
{
    char key[32];
    const struct gate_command *c = map_get(g->by_pid, pid_key(p->ppid, key));
    if (!c || !c->r || c->ended || c->r->peer.pidfd < 0 || !peer_is_alive(c->r->peer.pidfd))
        return false;
    (void)snprintf(p->parent, sizeof(p->parent), "%.15s", c->r->ask.name);
    return true;
}

/* ---- the executors ---- */

/* Lets it go as what it is, or with `shim` in its place. `envc`: so many variables pass. */
static int let_go(struct gate_command *c, const char *shim, size_t envc, struct err *err)
{
    struct binding_env e = {.dropped = BUF_INIT(0)};
    if (!c || !c->gate || c->gate->closed)
        return err_set(err, -EPIPE, "its gate is gone");
    struct request *r = c->r;
    const char *tool = request_tool(r);
    c->waiting = false;
    /* What does not pass is dropped: mostly nothing. */
    int error = envc == r->ask.envc ? 0 : binding_env(r, &e, err);
    struct gatewire_allow m = {.job = c->job,
                               .flags = r->judged.own_timeout ? GATEWIRE_ALLOW_LIMITED : 0,
                               .scrub = {.packed = buf_str(&e.dropped), .size = e.dropped.len},
                               .shim = shim,
                               .command = !shim  ? NULL
                                          : tool ? tool
                                                 : r->ask.name,
                               .skip = shim ? (uint32_t)r->facts.argv_skip : 0};
    for (size_t i = 0; i < e.dropped.len; i++)
        m.scrub.count += e.dropped.data[i] == '\0';
    if (error == 0 && m.scrub.count > GATEWIRE_SCRUB_MAX)
        error = err_set(err, -E2BIG, "too many variables would have to go");
    if (error == 0) {
        c->state = COMMAND_RELEASED;
        GATE_POST(c->gate, shim ? GATEWIRE_REDIRECT : GATEWIRE_ALLOW, gatewire_allow_encode, &m);
    } else {
        gate_door_deny(c->gate, c->job, GATE_EXIT_CANNOT, "clawrden: not started\n");
    }
    binding_env_done(&e);
    return error;
}

static int start(struct executor *x, struct request *r, int conn, const char *env, size_t env_len,
                 size_t envc, struct err *err)
{
    (void)conn, (void)env, (void)env_len;
    return let_go(of_request(container_of(x, struct gate_door, inplace), r), NULL, envc, err);
}

static int start_shim(struct executor *x, struct request *r, int conn, const char *env,
                      size_t env_len, size_t envc, struct err *err)
{
    struct gate_door *d = container_of(x, struct gate_door, redirect);
    (void)conn, (void)env, (void)env_len;
    return let_go(of_request(d, r), d->shim, envc, err);
}

static void kill_job(struct gate_command *c, int signo)
{
    uint8_t body[GATEWIRE_KILL_SIZE];
    struct pack_writer w = {.p = body, .size = sizeof(body)};
    if (!c || !c->gate)
        return;
    pack_put_u64(&w, c->job);
    pack_put_u32(&w, (uint32_t)signo);
    gate_door_post(c->gate, GATEWIRE_KILL, body, w.len);
}

static void kill_command(struct executor *x, struct request *r, int signo)
{
    kill_job(of_request(container_of(x, struct gate_door, inplace), r), signo);
}

static void kill_shim(struct executor *x, struct request *r, int signo)
{
    kill_job(of_request(container_of(x, struct gate_door, redirect), r), signo);
}

static int freeze_job(struct gate_command *c, bool on, struct err *err)
{
    uint8_t body[GATEWIRE_FREEZE_SIZE];
    struct pack_writer w = {.p = body, .size = sizeof(body)};
    if (!c || !c->gate || c->ended)
        return 0;
    if (!(c->gate->flags & GATEWIRE_FREEZES))
        return err_set(err, -EOPNOTSUPP,
                       "its gate is of an older version: it can be killed, not paused");
    c->still = false;
    pack_put_u64(&w, c->job);
    pack_put_u32(&w, on);
    gate_door_post(c->gate, GATEWIRE_FREEZE, body, w.len);
    return 0;
}

static bool job_stands(const struct gate_command *c)
{
    return !c || !c->gate || c->ended || c->still;
}

static int freeze_command(struct executor *x, struct request *r, bool on, struct err *err)
{
    return freeze_job(of_request(container_of(x, struct gate_door, inplace), r), on, err);
}

static int freeze_shim(struct executor *x, struct request *r, bool on, struct err *err)
{
    return freeze_job(of_request(container_of(x, struct gate_door, redirect), r), on, err);
}

static bool command_stands(struct executor *x, const struct request *r)
{
    return job_stands(of_request(container_of(x, struct gate_door, inplace), r));
}

static bool shim_stands(struct executor *x, const struct request *r)
{
    return job_stands(of_request(container_of(x, struct gate_door, redirect), r));
}

/* Nobody waits for words: the process has ended by itself. */
static void release(struct executor *x, struct request *r)
{
    (void)x, (void)r;
}

/* ---- the resolver ---- */

static int send_look(struct gate_command *c, struct err *err)
{
    struct request *r = c->r;
    size_t at[GATEWIRE_OPERANDS_MAX];
    const char *texts[GATEWIRE_OPERANDS_MAX];
    size_t skip = c->ask->facts.script_arg < r->ask.argc ? c->ask->facts.script_arg : 0;
    const char *const *argv = r->ask.argv + skip;
    size_t n = policy_path_operands(r->policy, r->ask.name, argv, r->ask.argc - skip, at,
                                    GATEWIRE_OPERANDS_MAX);
    if (n > GATEWIRE_OPERANDS_MAX)
        n = 0;
    for (size_t i = 0; i < n; i++) {
        const char *text = at[i] < r->ask.argc - skip ? argv[at[i]] : "";
        texts[i] = strlen(text) < GATEWIRE_PATH_MAX ? text : "";
    }
    gate_ask_expect(c->ask, at, n);
    if (n == 0 && c->ask->fresh)
        return 0;
    const struct gatewire_look m = {.job = c->job,
                                    .operands = {.list = texts, .count = (uint32_t)n}};
    if (!c->gate || c->gate->closed)
        return err_set(err, -EPIPE, "its gate is gone");
    c->state = COMMAND_LOOKING;
    GATE_POST(c->gate, GATEWIRE_LOOK, gatewire_look_encode, &m);
    return 1;
}

void gate_command_judge(struct gate_command *c)
{
    struct request *r = c->r;
    struct gate *g = c->gate;
    char words[GATEWIRE_TEXT_MAX + 64];
    c->ask->fresh = false;
    int error = gate_ask_facts(c->ask, g->programs, &r->facts, words, sizeof(words));
    warden_resolved(g->door->warden, r, error, words);
}

static int resolve(struct resolver *x, struct request *r, struct err *err)
{
    struct gate_door *d = container_of(x, struct gate_door, resolver);
    if (r->ask.door != DOOR_GATE)
        return d->next->resolve(d->next, r, err);
    struct gate_command *c = of_request(d, r);
    if (!c || !c->gate)
        return err_set(err, -EPIPE, "its gate is gone");
    int sent = send_look(c, err);
    if (sent == 0)
        gate_command_judge(c);
    return sent < 0 ? sent : 0;
}

static void cancel(struct resolver *x, struct request *r)
{
    struct gate_door *d = container_of(x, struct gate_door, resolver);
    if (r->ask.door != DOOR_GATE) {
        d->next->cancel(d->next, r);
        return;
    }
    struct gate_command *c = of_request(d, r);
    if (c && c->state == COMMAND_LOOKING)
        c->state = COMMAND_ASKED; /* what comes is not expected any more */
}

const struct executor gate_command_inplace = {.name = EXECUTOR_INPLACE,
                                              .outlives = true,
                                              .start = start,
                                              .kill = kill_command,
                                              .freeze = freeze_command,
                                              .stands = command_stands,
                                              .release = release};
const struct executor gate_command_redirect = {.name = EXECUTOR_REDIRECT,
                                               .outlives = true,
                                               .start = start_shim,
                                               .kill = kill_shim,
                                               .freeze = freeze_shim,
                                               .stands = shim_stands,
                                               .release = release};
const struct resolver gate_command_resolver = {.resolve = resolve, .cancel = cancel};

/* ---- time ---- */

/* What agents do that gave up: the same as door/watch.c sees of shims. */
static const char *gave_up(const struct gate_command *c)
{
    const struct peer *p = &c->r->peer;
    struct peer_stat now, leader;
    if (peer_stat_read(p->pid, &now) < 0 || now.start_time != p->start_time)
        return "the process that asked is gone";
    if (now.ppid != p->ppid)
        return "the parent of the process that asked is gone";
    if (c->leader_start &&
        (peer_stat_read(p->sid, &leader) < 0 || leader.start_time != c->leader_start))
        return "the session that asked has ended";
    return NULL;
}

static void withdraw(struct gate_command *c, const char *why)
{
    char text[256];
    struct gate *g = c->gate;
    uint64_t job = c->job;
    (void)snprintf(text, sizeof(text), "clawrden: withdrawn: %s\n", why);
    gate_door_deny(g, job, GATE_EXIT_CANNOT, text);
    if (g->closed)
        return; /* it was lost on the way, and `c` ended with it */
    c->ended = true;
    if (c->r)
        warden_withdraw(g->door->warden, c->r, why);
}

void gate_command_look_after(struct gate *g)
{
    size_t n = 0;
    struct gate_command **all = mem_new_array(struct gate_command *, map_count(g->jobs) + 1);
    const char *key;
    void *value;
    for (size_t i = 0; map_next(g->jobs, &i, &key, &value);)
        if (((struct gate_command *)value)->waiting)
            all[n++] = value;
    /* Each is ended by an answer at most once, and only by us here: the others stay valid. */
    for (size_t i = 0; i < n && !g->closed; i++) {
        const char *why = all[i]->r && all[i]->waiting ? gave_up(all[i]) : NULL;
        if (why)
            withdraw(all[i], why);
    }
    free(all);
}

/* The gate's death kills what it held; what it let go cannot start anything any more and is ended
 * here. */
void gate_command_end(struct gate_command *c, const char *why)
{
    struct gate_door *d = c->gate->door;
    struct request *r = c->r;
    bool ran = c->state == COMMAND_RELEASED || c->state == COMMAND_RUNNING;
    c->gate = NULL;
    c->ended = true;
    if (!r || d->closing)
        return; /* when it is the warden that goes, the gate sees to its tree */
    if (ran && r->peer.pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, r->peer.pidfd, SIGKILL, NULL, 0);
    if (ran) {
        struct end end = {.kind = c->state == COMMAND_RUNNING ? END_UNSEEN : END_FAILED,
                          .value = GATE_EXIT_CANNOT,
                          .caller_gone = true};
        (void)snprintf(end.text, sizeof(end.text), "clawrden: %s\n", why);
        warden_ended(d->warden, r, &end);
    } else {
        warden_withdraw(d->warden, r, why);
    }
}
