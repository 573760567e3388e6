/* SPDX-License-Identifier: MIT */
/* What a gate says, and what follows. It is held to an order: what was not allowed did not start,
 * what is not under way has no end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "door/gate-room.h"

#define COMMANDS_MAX 16384
#define SETTLE_MS 8000        /* for the engine to know a container that it has just started */
#define BYTES_MAX (96u << 20) /* of requests that a gate holds */

void gate_says_nonsense(struct gate *g, const char *words)
{
    metrics_count_error(warden_metrics(g->door->warden), METRICS_ERROR_PROTOCOL);
    gate_door_lose(g, words);
}

void gate_says_refused(struct gate *g, const char *words)
{
    metrics_count_error(warden_metrics(g->door->warden), METRICS_ERROR_IDENTITY);
    log_warn(NULL, "gate of pid %d: refused: %s", (int)g->wire.who.pid, words);
    gate_door_post(g, GATEWIRE_REFUSED, words, strlen(words));
    gate_door_lose(g, NULL);
}

static void container_told(void *arg);

static void settle(struct gate *g)
{
    g->settled = true;
    log_info(
        NULL,
        "gate of pid %d uid %u%s%s: all programs of its tree are judged; a time limit ends %s%s",
        (int)g->pid, (unsigned)g->wire.who.uid, g->container ? " in container " : "",
        g->container ? g->container : "",
        g->flags & GATEWIRE_SCOPE_CGROUP ? "a cgroup"
                                         : "a process tree, as far as ancestry can be seen",
        g->flags & GATEWIRE_DEBUGGERS ? "; debuggers may change what was allowed once it runs"
                                      : "");
    gate_door_welcome(g);
}

/* The first time the agent waits for it; later it goes on without what is newly covered. */
static void fitted(void *arg, int below, const char *words)
{
    struct gate *g = arg;
    g->fitting = false;
    if (below < 0 && !g->settled) {
        gate_says_refused(g, words);
        return;
    }
    if (below < 0)
        log_error(NULL, "gate of pid %d: its covers cannot be looked at: %s", (int)g->pid, words);
    else if (gate_link_put_fd(&g->wire, GATEWIRE_COVERS, below) < 0)
        gate_door_lose(g, "the gate does not read what it is told");
    else if (g->settled)
        gate_door_flush(g);
    if (!g->settled && !g->closed)
        settle(g);
}

/* -EINPROGRESS: it will be; 0: nothing is covered there. */
static int fit(struct gate *g, struct err *err)
{
    struct gate_door *d = g->door;
    int r = d->fitter && g->in ? d->fitter->fit(d->fitter, g->in, fitted, g, err) : 0;
    g->fitting = r == -EINPROGRESS;
    if (r != -EINPROGRESS || (g->flags & GATEWIRE_TAKES_COVERS))
        return r;
    d->fitter->forget(d->fitter, g);
    g->fitting = false;
    return err_set(err, -EPROTO,
                   "tools are covered here (mode hardened), which its gate is too old for: put the "
                   "clawrden-gate of this version into the image");
}

void gate_says_refit(struct gate *g)
{
    struct err err = {""};
    if (fit(g, &err) < 0 && !g->fitting)
        log_error(NULL, "gate of pid %d: its covers cannot be looked at: %s", (int)g->pid,
                  err.text);
}

/* Of which container it is, and so its tree; the agent starts once that is known. An entry point
 * runs a moment before its engine says that the container does. */
static void find_container(struct gate *g, void (*told)(void *arg))
{
    struct peer p = {.pid = g->pid, .pidfd = g->wire.who.pidfd, .uid = g->wire.who.uid};
    struct err err = {""};
    if (g->settled || g->fitting || g->closed)
        return; /* it was asked twice */
    int r = g->census ? g->census->find(g->census, &p, g->bond, told, g, &err) : 0;
    if (r == -EINPROGRESS)
        return;
    if (r < 0 && uv_now(g->door->loop) < g->settle_until) {
        gate_door_soon(g);
        return;
    }
    if (r < 0) {
        gate_says_refused(g, err.text);
        return;
    }
    g->in = p.in;
    g->container = p.container;
    r = fit(g, &err);
    if (r == 0)
        settle(g);
    else if (r != -EINPROGRESS)
        gate_says_refused(g, err.text);
}

static void container_told(void *arg)
{
    find_container(arg, NULL);
}

void gate_says_again(struct gate *g)
{
    find_container(g, container_told);
}

static void take_hello(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_hello m;
    struct gate_door *d = g->door;
    if (g->greeted || gatewire_hello_decode(body, n, &m) < 0) {
        gate_says_nonsense(g, "its first message makes no sense");
        return;
    }
    if (m.version != GATEWIRE_VERSION) {
        gate_says_refused(g, "it speaks another version of the protocol");
        return;
    }
    g->pid = g->wire.who.pid;
    list_foreach(it, &d->gates)
    {
        const struct gate *other = list_item(it, struct gate, link);
        int below = other != g && other->greeted ? peer_descends(g->pid, other->pid) : 0;
        if (below != 0) {
            gate_says_refused(
                g, below > 0 ? "it stands below another gate, which judges all that starts here"
                             : "nobody can tell whether it stands below another gate");
            return;
        }
    }
    g->greeted = true;
    g->flags = m.flags;
    if (m.words[0])
        log_info(NULL, "gate of pid %d: nothing can be held for a person there", (int)g->pid);
    g->settle_until = uv_now(g->door->loop) + SETTLE_MS;
    find_container(g, container_told);
}

/* The process, from the kernel. 0, or negative with words. */
static int describe_peer(struct gate *g, int pidfd, struct peer *ret, struct err *err)
{
    int r = peer_pinned(pidfd, ret, err);
    if (r < 0)
        return r;
    if (gate_command_is_parent(g, ret))
        return 0;
    /* From its parent on, which is known already. */
    r = ret->pid != g->pid ? peer_parent_descends(ret, g->pid) : 0;
    if (r > 0)
        return 0;
    return err_set(err, -EPERM, "process %d does not descend from the gate that speaks for it",
                   (int)ret->pid);
}

/* Answers what never became a request. */
static void turn_down(struct gate *g, uint64_t job, int pidfd, const char *words)
{
    char text[ERR_TEXT_MAX + 64];
    metrics_count_error(warden_metrics(g->door->warden), METRICS_ERROR_IDENTITY);
    log_warn(NULL, "gate of pid %d: %s", (int)g->pid, words);
    (void)snprintf(text, sizeof(text), "clawrden: not run: %s\n", words);
    if (pidfd >= 0)
        disposer_put(g->door->disposer, pidfd);
    gate_door_deny(g, job, GATE_EXIT_CANNOT, text);
}

static void take_request(struct gate *g, const uint8_t *body, size_t n)
{
    struct gate_door *d = g->door;
    struct err err;
    int pidfd = gate_link_take_fd(&g->wire);
    _cleanup_(gate_ask_freep) struct gate_ask *a = NULL;
    if (gate_ask_new(body, n, &a) < 0 || gate_command_find(g, a->m.job) || pidfd < 0) {
        if (pidfd >= 0)
            disposer_put(d->disposer, pidfd);
        gate_says_nonsense(g, "a request makes no sense");
        return;
    }
    struct request *r = request_new();
    if (describe_peer(g, pidfd, &r->peer, &err) < 0) {
        bool ours = r->peer.pidfd == pidfd; /* the request frees it */
        request_free(r);
        turn_down(g, a->m.job, ours ? -1 : pidfd, err.text);
        return;
    }
    if (map_count(g->jobs) >= COMMANDS_MAX || g->bytes + n > BYTES_MAX) {
        metrics_count_error(warden_metrics(d->warden), METRICS_ERROR_LIMIT);
        uint64_t job = a->m.job;
        request_free(r);
        turn_down(g, job, -1, "too many programs, or too many bytes of theirs, in this tree");
        return;
    }
    r->peer.in = g->in ? container_ref(g->in) : NULL;
    r->peer.container = g->container ? mem_strdup(g->container) : NULL;
    gate_command_new(g, r, TAKE_PTR(a), n);
    warden_submit(d->warden, r);
}

static void take_found(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_found m;
    if (gatewire_found_decode(body, n, &m) < 0) {
        gate_says_nonsense(g, "its facts make no sense");
        return;
    }
    struct gate_command *c = gate_command_find(g, m.job);
    if (!c || c->state != COMMAND_LOOKING || !c->r)
        return; /* it was withdrawn or decided meanwhile */
    c->state = COMMAND_ASKED;
    gate_ask_again(c->ask, body, n);
    gate_command_judge(c);
}

static void take_withdraw(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_withdraw m;
    if (gatewire_withdraw_decode(body, n, &m) < 0) {
        gate_says_nonsense(g, "a withdrawal makes no sense");
        return;
    }
    struct gate_command *c = gate_command_find(g, m.job);
    if (!c || !c->r)
        return;
    c->ended = true;
    if (c->state == COMMAND_RELEASED) {
        /* Our yes came too late: it never ran. */
        struct end end = {.kind = END_FAILED, .value = GATE_EXIT_CANNOT, .caller_gone = true};
        (void)snprintf(end.text, sizeof(end.text), "clawrden: not started: %s\n", m.why);
        warden_ended(g->door->warden, c->r, &end);
        return;
    }
    char why[512];
    (void)snprintf(why, sizeof(why), "%s", m.why);
    warden_withdraw(g->door->warden, c->r, why);
}

static void take_started(struct gate *g, const uint8_t *body, size_t n)
{
    uint64_t job;
    if (gatewire_started_decode(body, n, &job) < 0) {
        gate_says_nonsense(g, "a start makes no sense");
        return;
    }
    struct gate_command *c = gate_command_find(g, job);
    if (!c || c->state != COMMAND_RELEASED || !c->r) {
        gate_says_nonsense(g, "it says that something started which was not allowed");
        return;
    }
    gate_command_runs(c);
    warden_started(g->door->warden, c->r, c->r->peer.pid);
}

static void take_frozen(struct gate *g, const uint8_t *body, size_t n)
{
    uint64_t job;
    if (gatewire_started_decode(body, n, &job) < 0) {
        gate_says_nonsense(g, "what it says of a pause makes no sense");
        return;
    }
    struct gate_command *c = gate_command_find(g, job);
    if (c)
        c->still = true; /* asked for by the core, when it wants to know */
}

static enum end_kind end_kind_of(uint32_t kind)
{
    switch ((enum gatewire_end_kind)kind) {
    case GATEWIRE_EXITED:
        return END_EXIT;
    case GATEWIRE_SIGNALED:
        return END_SIGNAL;
    case GATEWIRE_REPLACED:
        return END_REPLACED;
    case GATEWIRE_GONE:
        return END_UNSEEN;
    case GATEWIRE_FAILED:
        return END_FAILED;
    }
    return END_UNSEEN;
}

static void take_end(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_end m;
    if (gatewire_end_decode(body, n, &m) < 0) {
        gate_says_nonsense(g, "an end makes no sense");
        return;
    }
    struct gate_command *c = gate_command_find(g, m.job);
    if (!c || !c->r || c->state == COMMAND_ASKED || c->state == COMMAND_LOOKING)
        return;
    struct end end = {.kind = end_kind_of(m.kind), .value = (int)m.value};
    if (end.kind == END_FAILED) {
        end.value = GATE_EXIT_CANNOT;
        (void)snprintf(end.text, sizeof(end.text), "clawrden: not started: %s\n", m.text);
    }
    c->ended = true;
    warden_ended(g->door->warden, c->r, &end);
}

void gate_says(struct gate *g, const struct gatewire_head *h, const uint8_t *body)
{
    if (!g->settled && h->type != GATEWIRE_HELLO) {
        gate_says_nonsense(g, "it did not say hello, or did not wait for the answer");
        return;
    }
    switch (h->type) {
    case GATEWIRE_HELLO:
        take_hello(g, body, h->len);
        return;
    case GATEWIRE_REQUEST:
        take_request(g, body, h->len);
        return;
    case GATEWIRE_FACTS:
        take_found(g, body, h->len);
        return;
    case GATEWIRE_WITHDRAW:
        take_withdraw(g, body, h->len);
        return;
    case GATEWIRE_STARTED:
        take_started(g, body, h->len);
        return;
    case GATEWIRE_FROZEN:
        take_frozen(g, body, h->len);
        return;
    case GATEWIRE_END:
        take_end(g, body, h->len);
        return;
    default:
        gate_says_nonsense(g, "it sent a message of an unknown kind");
        return;
    }
}
