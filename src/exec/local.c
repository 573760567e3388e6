/* SPDX-License-Identifier: MIT */
#include "exec/local.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/list.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/farewell.h"

struct local {
    struct executor port;
    bool inside;           /* for callers in containers, or for those of this host */
    struct mirror *mirror; /* borrowed */
    struct warden *warden; /* borrowed */
    struct mirror_listener listener;
    struct list jobs;
};

struct local_job {
    struct list link;
    struct request *r;
    uint64_t id;
    char *cgroup; /* owned; where its processes are, or NULL */
    bool ended;
};

static void forget(struct local_job *j)
{
    j->r->job = NULL;
    list_remove(&j->link);
    free(j->cgroup);
    free(j);
}

/* ---- orders ---- */

static void describe(const struct request *r, const char *env, size_t env_len, size_t envc,
                     struct helper_start *ret)
{
    const struct policy_program *p = &r->facts.program;
    bool trusted =
        p->trust == PROGRAM_TRUSTED && (!p->script || p->script_trust == PROGRAM_TRUSTED);
    *ret = (struct helper_start){
        .init = r->peer.in ? (uint32_t)r->peer.in->init : 0,
        .peer = {.pid = (uint32_t)r->peer.pid,
                 .uid = r->peer.uid,
                 .gid = r->peer.gid,
                 .groups_count = (uint32_t)r->peer.groups_count,
                 .groups = r->peer.groups},
        .flags = r->ask.door == DOOR_SHIM_V1 ? HELPER_PEER_V1 : 0,
        .umask = r->ask.umask & 0777,
        .exec_dev = p->dev,
        .exec_ino = p->ino,
        .cwd_dev = r->facts.cwd_dev,
        .cwd_ino = r->facts.cwd_ino,
        .cwd_mnt = r->facts.cwd_mnt,
        .trust = trusted ? HELPER_TRUST_TRUSTED : HELPER_TRUST_UNKNOWN,
        .name = r->ask.name,
        .exec_path = r->facts.exec_path,
        .cwd = r->facts.cwd,
        .script = trusted ? NULL : p->script,
        /* What nobody but root can change needs no second look at its content. */
        .digest = trusted ? NULL : p->digest,
        .argv = {.list = r->ask.argv, .count = (uint32_t)r->ask.argc},
        .env = {.packed = env, .size = env_len, .count = (uint32_t)envc},
    };
    memcpy(ret->id, r->id, sizeof(ret->id));
}

static int send_start(struct local *x, struct request *r, int conn, uint64_t job, const char *env,
                      size_t env_len, size_t envc, struct err *err)
{
    struct helper_start m;
    int fds[3] = {conn, r->peer.pidfd, r->peer.in ? r->peer.in->initfd : -1};
    if (!x->inside && r->peer.in)
        return err_set(err, -EPERM,
                       "the executor 'local' would run it outside of its container; use 'mirror'");
    if (x->inside && !r->peer.in)
        return err_set(err, -EPERM, "the executor 'mirror' is for callers in a container");
    if (x->inside && mirror_outside(x->mirror)[0])
        return err_set(err, -EPERM, "containers cannot be entered here: %s",
                       mirror_outside(x->mirror));
    if (!r->facts.exec_path || r->peer.pidfd < 0)
        return err_set(err, -EINVAL, "it is not known what to run, or for whom");
    if (r->ask.door == DOOR_SHIM_V1 && !r->facts.cwd)
        return err_set(err, -EINVAL, "its working directory is not known");
    describe(r, env, env_len, envc, &m);
    size_t n = helper_start_encode(&m, NULL, 0);
    if (n == 0)
        return err_set(err, -E2BIG, "its arguments and environment are too long");
    _cleanup_free_ uint8_t *body = mem_zalloc(n);
    (void)helper_start_encode(&m, body, n);
    return mirror_send(x->mirror, HELPER_START, job, body, n, fds, r->peer.in ? 3 : 2, err);
}

static int start(struct executor *port, struct request *r, int conn, const char *env,
                 size_t env_len, size_t envc, struct err *err)
{
    struct local *x = container_of(port, struct local, port);
    uint64_t id = mirror_job(x->mirror);
    int error = send_start(x, r, conn, id, env, env_len, envc, err);
    if (error < 0) {
        farewell(conn, r->ask.door == DOOR_SHIM_V1, r->ask.name, err ? err->text : "");
        return error;
    }
    close(conn); /* the helper has it: this is not the last close */
    struct local_job *j = mem_new(struct local_job);
    j->r = r;
    j->id = id;
    r->job = j;
    list_append(&x->jobs, &j->link);
    return 0;
}

static void kill_job(struct executor *port, struct request *r, int signo)
{
    struct local *x = container_of(port, struct local, port);
    const struct local_job *j = r->job;
    uint8_t body[HELPER_KILL_SIZE];
    if (!j || j->ended || signo < 1 || signo > 64)
        return;
    helper_kill_encode((uint32_t)signo, body);
    /* When it cannot be told, it is gone, and what ran with it. */
    (void)mirror_send(x->mirror, HELPER_KILL, j->id, body, sizeof(body), NULL, 0, NULL);
}

static void release(struct executor *port, struct request *r)
{
    struct local *x = container_of(port, struct local, port);
    struct local_job *j = r->job;
    uint8_t body[sizeof(r->end.text) + 64];
    if (!j)
        return;
    struct helper_end m = {.kind = r->end.kind == END_EXIT     ? HELPER_END_EXIT
                                   : r->end.kind == END_SIGNAL ? HELPER_END_SIGNAL
                                                               : HELPER_END_FAILED,
                           .value = (uint32_t)r->end.value & 255,
                           .text = r->end.text};
    size_t n = helper_end_encode(&m, body, sizeof(body));
    (void)mirror_send(x->mirror, HELPER_RELEASE, j->id, body, n, NULL, 0, NULL);
    forget(j);
}

/* ---- news ---- */

static struct local_job *find(struct local *x, uint64_t id)
{
    list_foreach(it, &x->jobs)
    {
        struct local_job *j = list_item(it, struct local_job, link);
        if (j->id == id)
            return j;
    }
    return NULL;
}

static void on_ended(struct local *x, struct local_job *j, const struct helper_end *m)
{
    struct end end = {.kind = m->kind == HELPER_END_EXIT     ? END_EXIT
                              : m->kind == HELPER_END_SIGNAL ? END_SIGNAL
                                                             : END_FAILED,
                      .value = (int)m->value,
                      .caller_gone = m->flags & HELPER_END_CALLER_GONE};
    (void)snprintf(end.text, sizeof(end.text), "%s", m->text);
    j->ended = true;
    warden_ended(x->warden, j->r, &end);
}

static bool on_message(void *arg, const struct helper_head *h, const uint8_t *body)
{
    struct local *x = arg;
    struct helper_started started;
    struct helper_end end;
    if (h->type != HELPER_STARTED && h->type != HELPER_ENDED)
        return false;
    struct local_job *j = find(x, h->job);
    if (!j)
        return false; /* the other executor's, or forgotten */
    if (j->ended)
        return true;
    if (h->type == HELPER_STARTED) {
        if (helper_started_decode(body, h->len, &started) == 0) {
            if (started.cgroup[0] && !j->cgroup)
                j->cgroup = mem_strdup(started.cgroup);
            warden_started(x->warden, j->r, (pid_t)started.pid);
        }
    } else {
        if (helper_end_decode(body, h->len, &end) < 0)
            end = (struct helper_end){.kind = HELPER_END_FAILED,
                                      .value = 125,
                                      .text = "clawrden: the helper's report makes no sense\n"};
        on_ended(x, j, &end);
    }
    return true;
}

/* The helper is gone: what it ran must not go on unwatched. Its workers kill what they can; this
 * does not depend on them. */
static void kill_cgroup(const struct local *x, const struct local_job *j)
{
    if (!j->cgroup || !mirror_cgroup(x->mirror)[0] || !str_starts(j->cgroup, "/sys/fs/cgroup/"))
        return;
    _cleanup_free_ char *path = mem_printf("%s/cgroup.kill", j->cgroup);
    _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        (void)!write(fd, "1", 1);
}

static void on_lost(void *arg, const char *words)
{
    struct local *x = arg;
    struct list gone = LIST_INIT(gone);
    while (!list_empty(&x->jobs)) {
        struct list *it = x->jobs.next;
        kill_cgroup(x, list_item(it, struct local_job, link));
        list_remove(it);
        list_append(&gone, it);
    }
    /* Each report may release its job, and others. */
    while (!list_empty(&gone)) {
        struct local_job *j = list_item(gone.next, struct local_job, link);
        struct helper_end end = {.kind = HELPER_END_FAILED, .value = 125};
        _cleanup_free_ char *text = mem_printf("clawrden: %s, and the command with it\n", words);
        end.text = text;
        list_remove(&j->link);
        list_append(&x->jobs, &j->link);
        if (!j->ended)
            on_ended(x, j, &end);
        else
            forget(j);
    }
}

/* ---- */

struct executor *local_new(struct mirror *m, bool inside)
{
    struct local *x = mem_new(struct local);
    x->port = (struct executor){
        .name = inside ? "mirror" : "local", .start = start, .kill = kill_job, .release = release};
    x->inside = inside;
    x->mirror = m;
    x->listener = (struct mirror_listener){.message = on_message, .lost = on_lost, .arg = x};
    list_init(&x->jobs);
    mirror_listen(m, &x->listener);
    return &x->port;
}

void local_set_warden(struct executor *port, struct warden *w)
{
    container_of(port, struct local, port)->warden = w;
}

struct executor *local_free(struct executor *port)
{
    if (!port)
        return NULL;
    struct local *x = container_of(port, struct local, port);
    list_remove(&x->listener.link);
    while (!list_empty(&x->jobs))
        // NOLINTNEXTLINE(clang-analyzer-unix.Malloc): list_remove() took it out
        forget(list_item(x->jobs.next, struct local_job, link));
    free(x);
    return NULL;
}

const char *local_describe(const struct executor *port, char *out, size_t size)
{
    const struct local *x = container_of(port, struct local, port);
    bool root = mirror_is_root(x->mirror);
    const char *words = mirror_words(x->mirror), *outside = mirror_outside(x->mirror);
    if (x->inside) {
        (void)snprintf(out, size, "executor 'mirror' %s%s",
                       outside[0] ? "cannot run commands in their containers: "
                                  : "runs commands inside the containers of their callers",
                       outside);
        return out;
    }
    (void)snprintf(out, size,
                   "executor 'local' runs commands on this host without a sandbox, %s%s%s",
                   root ? "with the ids of their callers"
                        : "for callers of the warden's own user only, because it is not root",
                   words[0] ? "; " : "", words);
    return out;
}
