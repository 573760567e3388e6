/* SPDX-License-Identifier: MIT */
#include "exec/resolve.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/company.h"
#include "base/list.h"
#include "base/mem.h"
#include "policy/policy.h"

#define FLIGHT_MAX 32         /* lookups at the helper at once */
#define FLIGHT_MAX_PER_USER 8 /* of one user */
#define FLIGHT_MAX_BESIDE 2   /* of one user, while others look up too: they stand behind these */
#define OTHERS_WITHIN CLOCK_NS_PER_SEC
#define ARG_BYTES_MAX 4096 /* of an argument that may be a script's name */
#define SEARCH_MAX 64

struct resolve {
    struct resolver port;
    struct mirror *mirror; /* borrowed */
    struct warden *warden; /* borrowed */
    struct mirror_listener listener;
    struct list users; /* with lookups; who may send next first */
    struct list flying;
    unsigned flying_count;
    bool by_engine; /* commands of containers are */
    struct company company;
};

struct user {
    struct list link;
    uint64_t who;
    struct list waiting;
    unsigned flying;
};

struct lookup {
    struct list link;  /* in user->waiting or flying */
    struct user *user; /* borrowed */
    struct request *r;
    uint64_t job; /* 0: not sent yet */
    size_t paths[HELPER_PATHS_MAX];
    size_t paths_count;
};

/* ---- users ---- */

/* A uid, in each container apart. */
static uint64_t who_is(const struct peer *p)
{
    return (uint64_t)(p->in ? (uint32_t)p->in->init : 0) << 32 | p->uid;
}

static struct user *user_of(struct resolve *x, uint64_t who)
{
    list_foreach(it, &x->users)
    {
        struct user *u = list_item(it, struct user, link);
        if (u->who == who)
            return u;
    }
    struct user *u = mem_new(struct user);
    u->who = who;
    list_init(&u->waiting);
    list_append(&x->users, &u->link);
    return u;
}

/* Takes `l` out of all and frees it; a user without any is forgotten. */
static void drop(struct resolve *x, struct lookup *l)
{
    struct user *u = l->user;
    list_remove(&l->link);
    if (l->job) {
        x->flying_count--;
        u->flying--;
    }
    l->r->lookup = NULL;
    free(l);
    if (u->flying > 0 || !list_empty(&u->waiting))
        return;
    list_remove(&u->link);
    free(u);
}

static void answer(struct resolve *x, struct lookup *l, int error, const char *words)
{
    struct request *r = l->r;
    uint64_t job = l->job;
    drop(x, l);
    mirror_offer(x->mirror, job, r);
    warden_resolved(x->warden, r, error, words);
    mirror_withdraw(x->mirror, job);
}

/* ---- asking ---- */

static uint32_t count_strings(const char *const *list)
{
    uint32_t n = 0;
    while (list[n])
        n++;
    return n;
}

/* Which operands are paths, and their texts. Too many: none, which is outside of everything. */
static uint32_t choose_paths(struct lookup *l, const char **texts)
{
    const struct request *r = l->r;
    size_t n = policy_path_operands(r->policy, r->ask.name, r->ask.argv, r->ask.argc, l->paths,
                                    HELPER_PATHS_MAX);
    l->paths_count = n > HELPER_PATHS_MAX ? 0 : n;
    for (size_t i = 0; i < l->paths_count; i++) {
        const char *text = l->paths[i] < r->ask.argc ? r->ask.argv[l->paths[i]] : "";
        texts[i] = strlen(text) < ARG_BYTES_MAX ? text : "";
    }
    return (uint32_t)l->paths_count;
}

static int send_lookup(struct resolve *x, struct lookup *l, struct err *err)
{
    const struct request *r = l->r;
    const char *paths[HELPER_PATHS_MAX];
    const char *args[HELPER_ARGS_MAX];
    struct helper_resolve m = {
        .init = r->peer.in ? (uint32_t)r->peer.in->init : 0,
        .peer = {.pid = (uint32_t)r->peer.pid,
                 .uid = r->peer.uid,
                 .gid = r->peer.gid,
                 .groups_count = (uint32_t)r->peer.groups_count,
                 .groups = r->peer.groups},
        .flags = (r->ask.door == DOOR_SHIM_V1 ? HELPER_PEER_V1 : 0) |
                 (x->by_engine && r->peer.in ? HELPER_BY_ENGINE : 0),
        .name = r->ask.name,
        .cwd = r->ask.door == DOOR_SHIM_V1 ? r->ask.cwd : "",
    };
    m.search.list = policy_search_path(r->policy);
    m.search.count = count_strings(m.search.list);
    if (m.search.count > SEARCH_MAX)
        return err_set(err, -E2BIG, "the policy's search path has more than %d entries",
                       SEARCH_MAX);
    m.args.list = args;
    while (m.args.count < r->ask.argc && m.args.count < HELPER_ARGS_MAX &&
           strlen(r->ask.argv[m.args.count]) < ARG_BYTES_MAX) {
        args[m.args.count] = r->ask.argv[m.args.count];
        m.args.count++;
    }
    if (m.args.count < r->ask.argc)
        m.flags |= HELPER_ARGS_CUT;
    m.paths.list = paths;
    m.paths.count = choose_paths(l, paths);
    size_t n = helper_resolve_encode(&m, NULL, 0);
    if (n == 0)
        return err_set(err, -E2BIG, "the request is too long to look up");
    _cleanup_free_ uint8_t *body = mem_zalloc(n);
    (void)helper_resolve_encode(&m, body, n);
    uint64_t job = mirror_job(x->mirror);
    if (m.init && !(m.flags & (HELPER_PEER_V1 | HELPER_BY_ENGINE)))
        (void)mirror_claim(x->mirror, (pid_t)m.init, job);
    int fds[2] = {r->peer.pidfd, r->peer.in ? r->peer.in->initfd : -1};
    int error = fds[0] < 0 ? err_set(err, -ESRCH, "the caller is not pinned")
                           : mirror_send(x->mirror, HELPER_RESOLVE, job, body, n, fds,
                                         r->peer.in ? 2 : 1, err);
    if (error < 0) {
        mirror_withdraw(x->mirror, job);
        return error;
    }
    l->job = job;
    list_remove(&l->link);
    list_append(&x->flying, &l->link);
    x->flying_count++;
    l->user->flying++;
    return 0;
}

static bool may_fly(const struct resolve *x, const struct user *u)
{
    bool others = company_others(&x->company, u->who, clock_monotonic(), OTHERS_WITHIN);
    return x->flying_count < FLIGHT_MAX &&
           u->flying < (others ? FLIGHT_MAX_BESIDE : FLIGHT_MAX_PER_USER);
}

/* The next lookup that may be sent, or NULL. Its user is the last to be looked at again. */
static struct lookup *next_to_fly(struct resolve *x)
{
    list_foreach(it, &x->users)
    {
        struct user *u = list_item(it, struct user, link);
        if (list_empty(&u->waiting) || !may_fly(x, u))
            continue;
        list_remove(&u->link);
        list_append(&x->users, &u->link);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() took out what is freed
        return list_item(u->waiting.next, struct lookup, link);
    }
    return NULL;
}

/* After one has landed. A failure to send is an answer, which may free and start others. */
static void launch_waiting(struct resolve *x)
{
    struct lookup *l;
    while ((l = next_to_fly(x))) {
        struct err err = {0};
        int r = send_lookup(x, l, &err);
        if (r < 0)
            answer(x, l, r, err.text);
    }
}

static int resolve(struct resolver *port, struct request *r, struct err *err)
{
    struct resolve *x = container_of(port, struct resolve, port);
    struct lookup *l = mem_new(struct lookup);
    struct user *u = user_of(x, who_is(&r->peer));
    l->r = r;
    l->user = u;
    r->lookup = l;
    bool first = list_empty(&u->waiting);
    list_append(&u->waiting, &l->link);
    company_note(&x->company, u->who, clock_monotonic());
    if (!first || !may_fly(x, u))
        return 0;
    int error = send_lookup(x, l, err);
    if (error < 0)
        drop(x, l);
    return error;
}

static void cancel(struct resolver *port, struct request *r)
{
    struct resolve *x = container_of(port, struct resolve, port);
    struct lookup *l = r->lookup;
    if (!l)
        return;
    /* A worker that was lent for it is busy until it answers: others would wait behind it. */
    if (l->job)
        (void)mirror_send(x->mirror, HELPER_CANCEL, l->job, NULL, 0, NULL, 0, NULL);
    drop(x, l);
    launch_waiting(x);
}

/* ---- hearing ---- */

static const char *keep(struct facts *f, const char *s)
{
    return s[0] ? facts_keep(f, mem_strdup(s)) : NULL;
}

static enum program_trust trust_of(uint32_t t)
{
    if (t == HELPER_TRUST_TRUSTED)
        return PROGRAM_TRUSTED;
    return t == HELPER_TRUST_NOT_FOUND ? PROGRAM_NOT_FOUND : PROGRAM_UNKNOWN;
}

static void fill_program(struct facts *f, const struct helper_resolved *m)
{
    struct policy_program *p = &f->program;
    const char **names = facts_keep(f, mem_new_array(const char *, m->names.count + 1));
    const char *s = m->names.packed;
    for (uint32_t i = 0; i < m->names.count; i++, s = helper_next(s))
        names[i] = keep(f, s);
    *p = (struct policy_program){
        .trust = trust_of(m->trust),
        .path = keep(f, m->path),
        .dev = m->dev,
        .ino = m->ino,
        .names = names,
        .names_count = m->names.count,
        .script = keep(f, m->script),
        .script_trust = trust_of(m->script_trust),
        .interpreter = keep(f, m->interpreter),
        .digest = keep(f, m->digest),
        .why_unknown = keep(f, m->why_unknown),
    };
}

static void fill_paths(struct facts *f, const struct lookup *l, const struct helper_resolved *m)
{
    struct policy_path *paths =
        facts_keep(f, mem_new_array(struct policy_path, l->paths_count + 1));
    const char *s = m->paths.packed;
    for (size_t i = 0; i < l->paths_count; i++) {
        paths[i].arg = l->paths[i];
        if (i < m->paths.count) {
            paths[i].resolved = keep(f, s);
            s = helper_next(s);
        }
    }
    f->paths = paths;
    f->paths_count = l->paths_count;
}

static void fill(struct request *r, const struct lookup *l, const struct helper_resolved *m)
{
    struct facts *f = &r->facts;
    facts_done(f);
    f->cwd = m->cwd[0] ? mem_strdup(m->cwd) : NULL;
    f->cwd_dev = m->cwd_dev;
    f->cwd_ino = m->cwd_ino;
    f->cwd_mnt = m->cwd_mnt;
    f->exec_path = m->exec_path[0] ? mem_strdup(m->exec_path) : NULL;
    fill_program(f, m);
    fill_paths(f, l, m);
    f->known = true;
}

static struct lookup *find(struct resolve *x, uint64_t job)
{
    list_foreach(it, &x->flying)
    {
        struct lookup *l = list_item(it, struct lookup, link);
        if (l->job == job)
            return l;
    }
    return NULL;
}

static bool on_message(void *arg, const struct helper_head *h, const uint8_t *body)
{
    struct resolve *x = arg;
    struct helper_resolved m;
    if (h->type != HELPER_RESOLVED)
        return false;
    struct lookup *l = find(x, h->job);
    if (!l) { /* it was cancelled */
        mirror_withdraw(x->mirror, h->job);
        return true;
    }
    char words[HELPER_TEXT_MAX] = "";
    int error = helper_resolved_decode(body, h->len, &m);
    if (error < 0) {
        (void)snprintf(words, sizeof(words), "the helper's answer makes no sense");
    } else if (m.error) {
        error = -(int)m.error;
        (void)snprintf(words, sizeof(words), "%s", m.words);
    } else {
        fill(l->r, l, &m);
    }
    answer(x, l, error, words);
    launch_waiting(x);
    return true;
}

/* Its worker gave up its seat just then, or died: others can look. */
static bool on_line_lost(void *arg, uint64_t job)
{
    struct resolve *x = arg;
    struct err err = {0};
    struct lookup *l = find(x, job);
    if (!l)
        return false;
    list_remove(&l->link);
    list_append(&l->user->waiting, &l->link);
    l->user->flying--;
    x->flying_count--;
    l->job = 0;
    int r = send_lookup(x, l, &err);
    if (r < 0)
        answer(x, l, r, err.text);
    return true;
}

static void on_lost(void *arg, const char *words)
{
    struct resolve *x = arg;
    while (!list_empty(&x->flying))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took out what is freed
        answer(x, list_item(x->flying.next, struct lookup, link), -EIO, words);
    launch_waiting(x);
}

/* ---- */

struct resolver *resolve_new(struct mirror *m)
{
    struct resolve *x = mem_new(struct resolve);
    x->port = (struct resolver){.resolve = resolve, .cancel = cancel};
    x->mirror = m;
    x->listener = (struct mirror_listener){
        .message = on_message, .lost = on_lost, .line_lost = on_line_lost, .arg = x};
    list_init(&x->users);
    list_init(&x->flying);
    mirror_listen(m, &x->listener);
    return &x->port;
}

void resolve_by_engine(struct resolver *port)
{
    container_of(port, struct resolve, port)->by_engine = true;
}

void resolve_set_warden(struct resolver *port, struct warden *w)
{
    container_of(port, struct resolve, port)->warden = w;
}

struct resolver *resolve_free(struct resolver *port)
{
    if (!port)
        return NULL;
    struct resolve *x = container_of(port, struct resolve, port);
    list_remove(&x->listener.link);
    while (!list_empty(&x->flying))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() took out what is freed
        drop(x, list_item(x->flying.next, struct lookup, link));
    while (!list_empty(&x->users)) {
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): drop() took out what is freed
        struct user *u = list_item(x->users.next, struct user, link);
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the same
        drop(x, list_item(u->waiting.next, struct lookup, link));
    }
    free(x);
    return NULL;
}
