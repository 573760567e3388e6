/* SPDX-License-Identifier: MIT */
/* A gate gains nothing by lying about programs of its tree: it may speak for what descends from it
 * only, uid and cgroup are asked of the kernel, and what it is allowed is what runs there already.
 * A record says who reported its arguments. */
#include "door/gate-door.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/binding.h"
#include "door/disposer.h"
#include "door/gate-ask.h"
#include "door/gate-link.h"
#include "door/kernel.h"

#define GATES_MAX 256
#define COMMANDS_MAX 16384
#define BYTES_MAX (96u << 20) /* of requests that a gate holds */
#define HELLO_MS 5000
#define WATCH_MS 2000 /* between two looks at what waits */
#define EXIT_CANNOT 125

struct gate_door {
    uv_loop_t *loop;
    struct warden *warden;
    struct resolver resolver;
    struct resolver *next; /* borrowed */
    struct executor executor;
    struct disposer *disposer;
    struct list gates;
    size_t count;
    bool exclusive; /* one was inherited: no others */
    bool closing;
    uint64_t last_tree;
    struct map *by_request; /* address of the request -> struct gate_command */
};

struct gate {
    struct list link;
    struct gate_door *door;
    struct gate_link wire;
    uv_poll_t poll;
    uv_timer_t timer;
    int handles; /* not closed yet */
    bool greeted, closed, magic;
    uint32_t flags;
    pid_t pid;
    uint64_t tree;        /* its number */
    struct map *jobs;     /* number -> struct gate_command */
    struct map *programs; /* "DEV:INO" -> name (owned) of what was trusted */
    size_t bytes;
    char *search; /* owned: the search path that it was told, to see a change */
};

enum command_state { COMMAND_ASKED, COMMAND_LOOKING, COMMAND_RELEASED, COMMAND_RUNNING };

struct gate_command {
    struct caller caller;
    struct gate *gate; /* NULL once it is gone */
    uint64_t job;
    struct request *r; /* borrowed until it has ended */
    enum command_state state;
    struct gate_ask *ask; /* owned: what the gate found, until it was judged */
    size_t bytes;
    bool waiting;
    uint64_t leader_start; /* as in door/watch.c; 0 none */
    bool ended;            /* the gate said so; END is on its way through the warden */
};

static void gate_lose(struct gate *g, const char *why);

/* ---- keys ---- */

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

static struct gate_command *find_job(const struct gate *g, uint64_t job)
{
    char key[32];
    return map_get(g->jobs, job_key(job, key));
}

static struct gate_command *find_request(const struct gate_door *d, const struct request *r)
{
    char key[32];
    return map_get(d->by_request, request_key(r, key));
}

/* ---- bytes out ---- */

static void ready(uv_poll_t *poll, int status, int events);

static void arm(struct gate *g)
{
    if (g->closed)
        return;
    int events = UV_READABLE | (g->wire.out.len > 0 ? UV_WRITABLE : 0);
    (void)uv_poll_start(&g->poll, events, ready);
}

/* `n` is what an encoder returned. Loses the gate when that is not possible. */
static void post(struct gate *g, enum gatewire_type type, const void *body, size_t n)
{
    if (g->closed)
        return;
    if (n == 0 || gate_link_put(&g->wire, type, body, n) < 0 || gate_link_flush(&g->wire) < 0) {
        gate_lose(g, "the gate does not read what it is told");
        return;
    }
    arm(g);
}

/* Encodes into memory of its own: `encode` is one of wire/gatewire's. */
#define POST(g, type, encode, message)                                                             \
    do {                                                                                           \
        size_t n_ = encode(message, NULL, 0);                                                      \
        _cleanup_free_ uint8_t *body_ = mem_zalloc(n_ + 1);                                        \
        (void)encode(message, body_, n_);                                                          \
        post(g, type, body_, n_);                                                                  \
    } while (0)

static void post_deny(struct gate *g, uint64_t job, int code, const char *text)
{
    const struct gatewire_deny m = {.job = job, .code = (uint32_t)code, .text = text};
    POST(g, GATEWIRE_DENY, gatewire_deny_encode, &m);
}

/* ---- a command ---- */

static void command_unused(struct gate_command *c)
{
    char key[32];
    if (c->r)
        return;
    if (c->gate) {
        (void)map_remove(c->gate->jobs, job_key(c->job, key));
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
    POST(c->gate, GATEWIRE_WAITING, gatewire_waiting_encode, &m);
}

static void command_refused(struct caller *caller, const struct request *r, int code,
                            const char *text)
{
    struct gate_command *c = container_of(caller, struct gate_command, caller);
    (void)r;
    c->waiting = false;
    if (c->gate && !c->ended)
        post_deny(c->gate, c->job, code, text);
}

static const struct caller_ops command_ops = {.waiting = command_waiting,
                                              .refused = command_refused};

/* ---- the executor 'inplace' ---- */

static int start(struct executor *x, struct request *r, int conn, const char *env, size_t env_len,
                 size_t envc, struct err *err)
{
    struct gate_door *d = container_of(x, struct gate_door, executor);
    struct gate_command *c = find_request(d, r);
    struct binding_env e;
    (void)conn, (void)env, (void)env_len, (void)envc;
    if (!c || !c->gate || c->gate->closed)
        return err_set(err, -EPIPE, "its gate is gone");
    c->waiting = false;
    int error = binding_env(r, &e, err);
    struct gatewire_allow m = {.job = c->job,
                               .scrub = {.packed = buf_str(&e.dropped), .size = e.dropped.len}};
    for (size_t i = 0; i < e.dropped.len; i++)
        m.scrub.count += e.dropped.data[i] == '\0';
    if (error == 0 && m.scrub.count > GATEWIRE_SCRUB_MAX)
        error = err_set(err, -E2BIG, "too many variables would have to go");
    if (error == 0) {
        c->state = COMMAND_RELEASED;
        POST(c->gate, GATEWIRE_ALLOW, gatewire_allow_encode, &m);
    } else {
        post_deny(c->gate, c->job, EXIT_CANNOT, "clawrden: not started\n");
    }
    binding_env_done(&e);
    return error;
}

static void kill_command(struct executor *x, struct request *r, int signo)
{
    struct gate_command *c = find_request(container_of(x, struct gate_door, executor), r);
    uint8_t body[GATEWIRE_KILL_SIZE];
    struct pack_writer w = {.p = body, .size = sizeof(body)};
    if (!c || !c->gate)
        return;
    pack_put_u64(&w, c->job);
    pack_put_u32(&w, (uint32_t)signo);
    post(c->gate, GATEWIRE_KILL, body, w.len);
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
    POST(c->gate, GATEWIRE_LOOK, gatewire_look_encode, &m);
    return 1;
}

/* What the gate found becomes the facts; programs that can be trusted are known by their inode. */
static void use_facts(struct gate_command *c)
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
    struct gate_command *c = find_request(d, r);
    if (!c || !c->gate)
        return err_set(err, -EPIPE, "its gate is gone");
    int sent = send_look(c, err);
    if (sent == 0)
        use_facts(c);
    return sent < 0 ? sent : 0;
}

static void cancel(struct resolver *x, struct request *r)
{
    struct gate_door *d = container_of(x, struct gate_door, resolver);
    if (r->ask.door != DOOR_GATE) {
        d->next->cancel(d->next, r);
        return;
    }
    struct gate_command *c = find_request(d, r);
    if (c && c->state == COMMAND_LOOKING)
        c->state = COMMAND_ASKED; /* what comes is not expected any more */
}

/* ---- what the gate says ---- */

static void protocol_error(struct gate *g, const char *words)
{
    metrics_count_error(warden_metrics(g->door->warden), METRICS_ERROR_PROTOCOL);
    gate_lose(g, words);
}

static void refuse_gate(struct gate *g, const char *words)
{
    metrics_count_error(warden_metrics(g->door->warden), METRICS_ERROR_IDENTITY);
    log_warn(NULL, "gate of pid %d: refused: %s", (int)g->wire.who.pid, words);
    post(g, GATEWIRE_REFUSED, words, strlen(words));
    gate_lose(g, NULL);
}

static void welcome(struct gate *g)
{
    struct gatewire_welcome m = {
        .version = GATEWIRE_VERSION,
        .search = {.list = policy_search_path(warden_policy(g->door->warden))}};
    _cleanup_buf_ struct buf path = BUF_INIT(1u << 20);
    while (m.search.list[m.search.count])
        (void)buf_printf(&path, "%s:", m.search.list[m.search.count++]);
    if (g->search && str_eq(g->search, buf_str(&path)))
        return;
    free(g->search);
    g->search = buf_steal(&path);
    if (m.search.count > GATEWIRE_SEARCH_MAX)
        m.search.count = GATEWIRE_SEARCH_MAX;
    POST(g, GATEWIRE_WELCOME, gatewire_welcome_encode, &m);
}

static void take_hello(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_hello m;
    struct gate_door *d = g->door;
    if (g->greeted || gatewire_hello_decode(body, n, &m) < 0) {
        protocol_error(g, "its first message makes no sense");
        return;
    }
    if (m.version != GATEWIRE_VERSION) {
        refuse_gate(g, "it speaks another version of the protocol");
        return;
    }
    g->pid = g->wire.who.pid;
    list_foreach(it, &d->gates)
    {
        const struct gate *other = list_item(it, struct gate, link);
        if (other != g && other->greeted && peer_descends(g->pid, other->pid) != 0) {
            refuse_gate(g, "it stands below another gate, which judges all that starts here");
            return;
        }
    }
    g->greeted = true;
    g->flags = m.flags;
    log_info(NULL, "gate of pid %d uid %u: all programs of its tree are judged%s%s", (int)g->pid,
             (unsigned)g->wire.who.uid, m.words[0] ? "; " : "",
             m.words[0] ? "nothing can be held for a person there" : "");
    welcome(g);
}

/* The process, from the kernel. 0, or negative with words. */
static int describe_peer(struct gate *g, int pidfd, struct peer *ret, struct err *err)
{
    int r = peer_pinned(pidfd, ret, err);
    if (r < 0)
        return r;
    r = peer_descends(ret->pid, g->pid);
    if (r > 0 && ret->pid != g->pid)
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
    post_deny(g, job, EXIT_CANNOT, text);
}

static void take_request(struct gate *g, const uint8_t *body, size_t n)
{
    struct gate_door *d = g->door;
    struct err err;
    int pidfd = gate_link_take_fd(&g->wire);
    _cleanup_(gate_ask_freep) struct gate_ask *a = NULL;
    if (gate_ask_new(body, n, &a) < 0 || find_job(g, a->m.job) || pidfd < 0) {
        if (pidfd >= 0)
            disposer_put(d->disposer, pidfd);
        protocol_error(g, "a request makes no sense");
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
    struct gate_command *c = mem_new(struct gate_command);
    char key[32];
    *c = (struct gate_command){
        .caller = {.ops = &command_ops}, .gate = g, .job = a->m.job, .r = r, .bytes = n};
    gate_ask_fill(a, r, !(g->flags & GATEWIRE_WALL_MEMORY));
    r->ask.tree = g->tree;
    r->caller = &c->caller;
    c->ask = TAKE_PTR(a);
    g->bytes += n;
    (void)map_put(g->jobs, job_key(c->job, key), c);
    (void)map_put(d->by_request, request_key(r, key), c);
    warden_submit(d->warden, r);
}

static void take_found(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_found m;
    if (gatewire_found_decode(body, n, &m) < 0) {
        protocol_error(g, "its facts make no sense");
        return;
    }
    struct gate_command *c = find_job(g, m.job);
    if (!c || c->state != COMMAND_LOOKING || !c->r)
        return; /* it was withdrawn or decided meanwhile */
    c->state = COMMAND_ASKED;
    gate_ask_again(c->ask, body, n);
    use_facts(c);
}

static void take_withdraw(struct gate *g, const uint8_t *body, size_t n)
{
    struct gatewire_withdraw m;
    if (gatewire_withdraw_decode(body, n, &m) < 0) {
        protocol_error(g, "a withdrawal makes no sense");
        return;
    }
    struct gate_command *c = find_job(g, m.job);
    if (!c || !c->r)
        return;
    c->ended = true;
    if (c->state == COMMAND_RELEASED) {
        /* Our yes came too late: it never ran. */
        struct end end = {.kind = END_FAILED, .value = EXIT_CANNOT, .caller_gone = true};
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
        protocol_error(g, "a start makes no sense");
        return;
    }
    struct gate_command *c = find_job(g, job);
    if (!c || c->state != COMMAND_RELEASED || !c->r) {
        protocol_error(g, "it says that something started which was not allowed");
        return;
    }
    c->state = COMMAND_RUNNING;
    warden_started(g->door->warden, c->r, c->r->peer.pid);
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
        protocol_error(g, "an end makes no sense");
        return;
    }
    struct gate_command *c = find_job(g, m.job);
    if (!c || !c->r || c->state == COMMAND_ASKED || c->state == COMMAND_LOOKING)
        return;
    struct end end = {.kind = end_kind_of(m.kind), .value = (int)m.value};
    if (end.kind == END_FAILED) {
        end.value = EXIT_CANNOT;
        (void)snprintf(end.text, sizeof(end.text), "clawrden: not started: %s\n", m.text);
    }
    c->ended = true;
    warden_ended(g->door->warden, c->r, &end);
}

static void take(struct gate *g, const struct gatewire_head *h, const uint8_t *body)
{
    if (!g->greeted && h->type != GATEWIRE_HELLO) {
        protocol_error(g, "it did not say hello");
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
    case GATEWIRE_END:
        take_end(g, body, h->len);
        return;
    default:
        protocol_error(g, "it sent a message of an unknown kind");
        return;
    }
}

/* An inherited connection begins with the magic too. */
static int take_magic(struct gate *g)
{
    if (g->magic)
        return 1;
    if (g->wire.in.len < GATEWIRE_MAGIC_SIZE)
        return 0;
    if (memcmp(g->wire.in.data, GATEWIRE_MAGIC, GATEWIRE_MAGIC_SIZE) != 0)
        return -EBADMSG;
    buf_consume(&g->wire.in, GATEWIRE_MAGIC_SIZE);
    g->magic = true;
    return 1;
}

static void take_all(struct gate *g)
{
    struct gatewire_head h;
    const uint8_t *body;
    int r = take_magic(g);
    while (r > 0 && !g->closed && (r = gate_link_peek(&g->wire, &h, &body)) > 0) {
        take(g, &h, body);
        if (!g->closed)
            gate_link_pop(&g->wire, &h);
    }
    if (r < 0 && !g->closed)
        protocol_error(g, "it does not speak the gate's protocol");
}

static void ready(uv_poll_t *poll, int status, int events)
{
    struct gate *g = poll->data;
    struct err err = {.text = ""};
    if (status < 0) {
        gate_lose(g, "the connection broke");
        return;
    }
    if ((events & UV_WRITABLE) && gate_link_flush(&g->wire) < 0) {
        gate_lose(g, "the connection broke");
        return;
    }
    if (events & UV_READABLE) {
        int r = gate_link_read(&g->wire, &err);
        if (r < 0) {
            gate_lose(g, err.text);
            return;
        }
        take_all(g);
    }
    arm(g);
}

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
    post_deny(g, job, EXIT_CANNOT, text);
    if (g->closed)
        return; /* it was lost on the way, and `c` ended with it */
    c->ended = true;
    if (c->r)
        warden_withdraw(g->door->warden, c->r, why);
}

static void tick(uv_timer_t *t)
{
    struct gate *g = t->data;
    size_t n = 0;
    if (!g->greeted) {
        protocol_error(g, "it did not say hello in time");
        return;
    }
    welcome(g); /* after a reload */
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

/* ---- life of one ---- */

static void gate_unused(struct gate *g)
{
    const char *key;
    void *value;
    if (!g->closed || g->handles > 0)
        return;
    for (size_t i = 0; map_next(g->programs, &i, &key, &value);)
        free(value);
    map_free(g->programs);
    map_free(g->jobs);
    free(g->search);
    free(g);
}

static void handle_closed(uv_handle_t *h)
{
    struct gate *g = h->data;
    g->handles--;
    gate_unused(g);
}

/* The gate's death kills what it held; what it let go cannot start anything any more and is ended
 * here. */
static void end_command(struct gate_command *c, const char *why)
{
    struct gate_door *d = c->gate->door;
    struct request *r = c->r;
    bool ran = c->state == COMMAND_RELEASED || c->state == COMMAND_RUNNING;
    c->gate = NULL;
    c->ended = true;
    if (!r)
        return;
    if (ran && r->peer.pidfd >= 0)
        (void)syscall(SYS_pidfd_send_signal, r->peer.pidfd, SIGKILL, NULL, 0);
    if (d->closing)
        return; /* the warden is gone */
    if (ran) {
        struct end end = {.kind = c->state == COMMAND_RUNNING ? END_UNSEEN : END_FAILED,
                          .value = EXIT_CANNOT,
                          .caller_gone = true};
        (void)snprintf(end.text, sizeof(end.text), "clawrden: %s\n", why);
        warden_ended(d->warden, r, &end);
    } else {
        warden_withdraw(d->warden, r, why);
    }
}

static void gate_lose(struct gate *g, const char *why)
{
    struct gate_door *d = g->door;
    if (g->closed)
        return;
    g->closed = true;
    if (why)
        log_warn(NULL, "gate of pid %d: lost: %s", (int)g->pid, why);
    list_remove(&g->link);
    d->count--;
    int unheard = gate_link_flush(&g->wire); /* last words */
    (void)unheard;
    uv_close((uv_handle_t *)&g->poll, handle_closed);
    uv_close((uv_handle_t *)&g->timer, handle_closed);
    const char *key;
    void *value;
    struct map *jobs = g->jobs;
    g->jobs = map_new();
    for (size_t i = 0; map_next(jobs, &i, &key, &value);) {
        struct gate_command *c = value;
        end_command(c, why ? why : "its gate is gone");
    }
    if (!d->closing)
        warden_forget_tree(d->warden, g->tree);
    map_free(jobs);
    gate_link_done(&g->wire);
}

static struct gate *gate_new(struct gate_door *d, int fd)
{
    int one = 1;
    struct gate *g = mem_new(struct gate);
    g->door = d;
    g->pid = -1;
    g->tree = ++d->last_tree;
    gate_link_init(&g->wire, fd, d->disposer);
    g->jobs = map_new();
    g->programs = map_new();
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
    (void)setsockopt(fd, SOL_SOCKET, SO_PASSRIGHTS, &one, sizeof(one));
    g->poll.data = g->timer.data = g;
    if (uv_poll_init(d->loop, &g->poll, fd) < 0)
        abort(); /* only for a descriptor that is no socket or already polled: ours is fresh */
    (void)uv_timer_init(d->loop, &g->timer);
    g->handles = 2;
    (void)uv_timer_start(&g->timer, tick, HELLO_MS, WATCH_MS);
    list_append(&d->gates, &g->link);
    d->count++;
    return g;
}

void gate_door_accept(struct gate_door *d, int fd, struct peer_creds *who, const void *p, size_t n)
{
    struct gate *g = gate_new(d, fd);
    g->wire.who = *who;
    who->pidfd = -1;
    g->magic = true;
    if (d->exclusive || d->closing || d->count > GATES_MAX) {
        refuse_gate(g, d->exclusive ? "this warden serves the one gate that it was started with"
                                    : "too many gates");
        return;
    }
    (void)buf_append(&g->wire.in, p, n);
    take_all(g);
    arm(g);
}

int gate_door_inherit(struct gate_door *d, int fd, struct err *err)
{
    int type = 0, domain = 0;
    socklen_t n = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 || type != SOCK_STREAM ||
        domain != AF_UNIX)
        return err_set(err, -EINVAL, "gate-fd: %d is not a unix stream socket", fd);
    int r = fd_set_nonblock(fd);
    if (r < 0)
        return err_errno(err, r, "gate-fd");
    d->exclusive = true;
    struct gate *g = gate_new(d, fd);
    /* The agent's start may take its time: the warden's own does too. */
    (void)uv_timer_start(&g->timer, tick, 12 * HELLO_MS, WATCH_MS);
    arm(g);
    return 0;
}

/* ---- the door ---- */

static void on_event(void *arg, const struct event *e)
{
    struct gate_door *d = arg;
    char key[32];
    if (e->kind != EVENT_ENDED || !e->r)
        return;
    struct gate_command *c = map_remove(d->by_request, request_key(e->r, key));
    if (!c)
        return;
    c->r = NULL;
    c->waiting = false;
    command_unused(c);
}

struct gate_door *gate_door_new(uv_loop_t *loop, struct resolver *next)
{
    struct gate_door *d = mem_new(struct gate_door);
    d->loop = loop;
    d->next = next;
    d->resolver = (struct resolver){.resolve = resolve, .cancel = cancel};
    d->executor = (struct executor){
        .name = EXECUTOR_INPLACE, .start = start, .kill = kill_command, .release = release};
    d->disposer = disposer_new();
    d->by_request = map_new();
    list_init(&d->gates);
    return d;
}

void gate_door_set_warden(struct gate_door *d, struct warden *w)
{
    d->warden = w;
    events_subscribe(warden_events(w), on_event, d);
}

struct resolver *gate_door_resolver(struct gate_door *d)
{
    return &d->resolver;
}

struct executor *gate_door_executor(struct gate_door *d)
{
    return &d->executor;
}

bool gate_door_governs(const struct gate_door *d, pid_t pid)
{
    for (const struct list *it = d->gates.next; it != &d->gates; it = it->next) {
        const struct gate *g = list_item(it, struct gate, link);
        if (g->pid > 0 && peer_descends(pid, g->pid) != 0)
            return true;
    }
    return false;
}

void gate_door_close(struct gate_door *d)
{
    d->closing = true;
    list_foreach(it, &d->gates) gate_lose(list_item(it, struct gate, link), NULL);
}

struct gate_door *gate_door_free(struct gate_door *d)
{
    if (!d)
        return NULL;
    const char *key;
    void *value;
    for (size_t i = 0; map_next(d->by_request, &i, &key, &value);) {
        struct gate_command *c = value;
        gate_ask_free(c->ask);
        free(c);
    }
    map_free(d->by_request);
    disposer_free(d->disposer);
    free(d);
    return NULL;
}
