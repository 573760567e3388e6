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
#include "exec/docker/docker.h"
#include "exec/docker/dockexec.h"
#include "exec/farewell.h"
#include "exec/freezer.h"

struct local {
    struct executor port;
    bool inside;           /* for callers in containers, or for those of this host */
    struct mirror *mirror; /* borrowed */
    struct warden *warden; /* borrowed */
    uv_loop_t *loop;       /* borrowed, with an engine */
    struct docker *engine; /* borrowed: it starts the commands; NULL: the helper does */
    struct mirror_listener listener;
    struct list jobs;
};

struct local_job {
    struct list link;
    struct request *r;
    uint64_t id;
    char *cgroup; /* owned; where its processes are, or NULL */
    bool ended;
    /* with an engine: */
    struct local *x;
    struct dockexec *exec; /* owned */
    char *env;             /* owned */
    size_t env_len;
    bool started;      /* the helper has it */
    struct end end;    /* while the engine is asked for the exit code */
    char refusal[400]; /* why the engine did not start it, or "" */
};

static void forget(struct local_job *j)
{
    j->r->job = NULL;
    dockexec_leave(j->exec, !j->started);
    free(j->env);
    list_remove(&j->link);
    free(j->cgroup);
    free(j);
}

/* ---- orders ---- */

static void describe(const struct request *r, bool by_engine, const char *env, size_t env_len,
                     size_t envc, struct helper_start *ret)
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
        .flags =
            (r->ask.door == DOOR_SHIM_V1 ? HELPER_PEER_V1 : 0) | (by_engine ? HELPER_BY_ENGINE : 0),
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

/* The engine goes by names: nothing keeps it to the directory or the file that was judged. */
static void specify(const struct request *r, const char *env, size_t env_len,
                    struct dockexec_spec *ret)
{
    *ret = (struct dockexec_spec){.container = r->peer.in ? r->peer.in->id : "",
                                  .path = r->facts.exec_path,
                                  .argv = (char *const *)r->ask.argv,
                                  .argc = r->ask.argc,
                                  .env = env,
                                  .env_len = env_len,
                                  .cwd = r->facts.cwd ? r->facts.cwd : "/"};
}

static int check_for_engine(const struct request *r, const char *env, size_t env_len,
                            struct err *err)
{
    struct dockexec_spec s;
    const struct policy_program *p = &r->facts.program;
    bool trusted =
        p->trust == PROGRAM_TRUSTED && (!p->script || p->script_trust == PROGRAM_TRUSTED);
    if (!trusted && r->answer.approver[0])
        return err_set(err, -EPERM,
                       "a person approved this very content, and the engine cannot be held to it; "
                       "use --mirror=native, or a program that the agent cannot write");
    if (!r->facts.cwd || !r->facts.exec_path)
        return err_set(err, -EINVAL, "it is not known what to run, or where");
    specify(r, env, env_len, &s);
    return dockexec_check(&s, err);
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
    if (x->engine) {
        int error = check_for_engine(r, env, env_len, err);
        if (error < 0)
            return error;
    }
    if (x->inside && !x->engine && mirror_outside(x->mirror)[0])
        return err_set(err, -EPERM, "containers cannot be entered here: %s",
                       mirror_outside(x->mirror));
    if (!r->facts.exec_path || r->peer.pidfd < 0)
        return err_set(err, -EINVAL, "it is not known what to run, or for whom");
    if (r->ask.door == DOOR_SHIM_V1 && !r->facts.cwd)
        return err_set(err, -EINVAL, "its working directory is not known");
    describe(r, x->engine != NULL, env, env_len, envc, &m);
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
    if (r->ask.door != DOOR_SHIM_V1)
        mirror_accept(x->mirror, r, id);
    int error = send_start(x, r, conn, id, env, env_len, envc, err);
    if (error < 0) {
        mirror_withdraw(x->mirror, id);
        farewell(conn, r->ask.door == DOOR_SHIM_V1, r->ask.name, err ? err->text : "");
        return error;
    }
    close(conn); /* the helper has it: this is not the last close */
    struct local_job *j = mem_new(struct local_job);
    j->r = r;
    j->x = x;
    j->id = id;
    if (x->engine) {
        j->env = env_len ? mem_dup(env, env_len) : NULL;
        j->env_len = env_len;
    }
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

static int freeze_job(struct executor *port, struct request *r, bool on, struct err *err)
{
    struct local *x = container_of(port, struct local, port);
    const struct local_job *j = r->job;
    uint8_t body[HELPER_FREEZE_SIZE];
    if (!j || j->ended)
        return 0;
    /* Where there are some, this one may still have none: then the helper would do nothing. */
    if (!mirror_cgroup(x->mirror)[0] || (j->started && !j->cgroup))
        return err_set(err, -EOPNOTSUPP,
                       "it has no cgroup of its own: it can be killed, not paused");
    helper_freeze_encode(on, body);
    return mirror_send(x->mirror, HELPER_FREEZE, j->id, body, sizeof(body), NULL, 0, err);
}

static bool job_stands(struct executor *port, const struct request *r)
{
    const struct local_job *j = r->job;
    (void)port;
    return !j || j->ended || (j->cgroup && freezer_is(&(const struct freezer){.v2 = j->cgroup}));
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
    if (m->kind == HELPER_END_FAILED && j->refusal[0])
        (void)snprintf(end.text, sizeof(end.text), "clawrden: %s: %s\n", j->r->ask.name,
                       j->refusal);
    if ((m->flags & HELPER_END_ASK_ENGINE) && j->exec) {
        j->end = end;
        dockexec_ask_code(j->exec); /* exec_code() follows */
        return;
    }
    warden_ended(x->warden, j->r, &end);
}

/* ---- the engine's commands ---- */

static void exec_stream(void *arg, int fd)
{
    const struct local_job *j = arg;
    (void)mirror_send(j->x->mirror, HELPER_STREAM, j->id, NULL, 0, &fd, 1, NULL);
    close(fd);
}

static void exec_started(void *arg, pid_t pid)
{
    struct local_job *j = arg;
    uint8_t body[4 * HELPER_NUMBERS_MAX];
    uint32_t v[ADOPT_COUNT] = {[ADOPT_PID] = (uint32_t)pid};
    /* One that the helper does not take charge of is killed when the job is forgotten. */
    (void)mirror_send(j->x->mirror, HELPER_ADOPT, j->id, body,
                      helper_numbers_encode(v, ADOPT_COUNT, body), NULL, 0, NULL);
}

static void exec_failed(void *arg, const char *words)
{
    struct local_job *j = arg;
    (void)snprintf(j->refusal, sizeof(j->refusal), "%s", words);
    exec_started(j, 0);
}

static void exec_code(void *arg, int code, const char *words)
{
    struct local_job *j = arg;
    if (code >= 0)
        j->end.value = code;
    else {
        j->end.kind = END_FAILED;
        j->end.value = 125;
        (void)snprintf(j->end.text, sizeof(j->end.text), "clawrden: %s\n", words);
    }
    warden_ended(j->x->warden, j->r, &j->end);
}

static const struct dockexec_ops exec_ops = {
    .stream = exec_stream, .started = exec_started, .code = exec_code, .failed = exec_failed};

static void on_ready(struct local *x, struct local_job *j, const uint8_t *body, size_t len)
{
    uint32_t v[READY_COUNT];
    struct dockexec_spec s;
    if (!x->engine || j->exec || helper_numbers_decode(body, len, READY_COUNT, v) < 0)
        return;
    specify(j->r, j->env, j->env_len, &s);
    s.uid = v[READY_UID];
    s.gid = v[READY_GID];
    s.groups = v[READY_GROUPS];
    s.tty = v[READY_TTY];
    s.rows = v[READY_ROWS];
    s.columns = v[READY_COLUMNS];
    j->exec = dockexec_new(x->loop, x->engine, &s, &exec_ops, j);
}

static void on_resized(struct local_job *j, const uint8_t *body, size_t len)
{
    uint32_t v[RESIZED_COUNT];
    if (j->exec && helper_numbers_decode(body, len, RESIZED_COUNT, v) == 0)
        dockexec_resize(j->exec, v[RESIZED_ROWS], v[RESIZED_COLUMNS]);
}

static bool on_message(void *arg, const struct helper_head *h, const uint8_t *body)
{
    struct local *x = arg;
    struct helper_started started;
    struct helper_end end;
    if (h->type != HELPER_STARTED && h->type != HELPER_ENDED && h->type != HELPER_READY &&
        h->type != HELPER_RESIZED)
        return false;
    struct local_job *j = find(x, h->job);
    if (!j)
        return false; /* the other executor's, or forgotten */
    if (j->ended)
        return true;
    if (h->type == HELPER_READY) {
        on_ready(x, j, body, h->len);
    } else if (h->type == HELPER_RESIZED) {
        on_resized(j, body, h->len);
    } else if (h->type == HELPER_STARTED) {
        if (helper_started_decode(body, h->len, &started) == 0) {
            j->started = true;
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

/* The process that was lent for it. */
static bool on_line_lost(void *arg, uint64_t job)
{
    struct local *x = arg;
    struct local_job *j = find(x, job);
    const struct helper_end end = {.kind = HELPER_END_FAILED,
                                   .value = 125,
                                   .text = "clawrden: the process that ran this command died\n"};
    if (!j)
        return false;
    kill_cgroup(x, j);
    if (!j->ended)
        on_ended(x, j, &end);
    return true;
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
    x->port = (struct executor){.name = inside ? "mirror" : "local",
                                .start = start,
                                .kill = kill_job,
                                .freeze = freeze_job,
                                .stands = job_stands,
                                .release = release};
    x->inside = inside;
    x->mirror = m;
    x->listener = (struct mirror_listener){
        .message = on_message, .lost = on_lost, .line_lost = on_line_lost, .arg = x};
    list_init(&x->jobs);
    mirror_listen(m, &x->listener);
    return &x->port;
}

void local_set_engine(struct executor *port, uv_loop_t *loop, struct docker *engine)
{
    struct local *x = container_of(port, struct local, port);
    x->loop = loop;
    x->engine = engine;
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
    if (x->inside && x->engine) {
        (void)snprintf(out, size,
                       "executor 'mirror' lets the engine run commands in the "
                       "containers of their callers");
        return out;
    }
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
