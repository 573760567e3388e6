/* SPDX-License-Identifier: MIT */
/* An executor named 'ghost' that makes no container: the program that CLAWRDEN_TEST_GHOST names
 * (start.py) starts the command on this host. It is in clawrden-warden-ghost alone, which is not
 * installed, and shows what leads to such an executor. The linker puts it around two functions of
 * the door for gates (--wrap), so that the warden itself knows nothing of it. */
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "core/ports.h"
#include "door/gate-door.h"

struct ghost {
    struct executor port;
    struct resolver resolver, *next; /* `next` is borrowed */
    uv_loop_t *loop;
    struct warden *warden;
};

struct job {
    uv_process_t process;
    struct ghost *ghost;
    struct request *r;
};

static void on_closed(uv_handle_t *h)
{
    free(h->data);
}

static void on_exit_(uv_process_t *p, int64_t code, int signal)
{
    struct job *j = p->data;
    struct end e = {.kind = signal ? END_SIGNAL : END_EXIT, .value = signal ? signal : (int)code};
    warden_ended(j->ghost->warden, j->r, &e);
}

/* PROGRAM CONN NAME ARGV...: it sends V2_GO and the rest (tests/ghost/start.py). */
static int start(struct executor *x, struct request *r, int conn, const char *env, size_t env_len,
                 size_t envc, struct err *err)
{
    struct ghost *g = container_of(x, struct ghost, port);
    struct job *j = mem_new(struct job);
    _cleanup_free_ char **argv = mem_new_array(char *, r->ask.argc + 4);
    const char *program = getenv("CLAWRDEN_TEST_GHOST");
    size_t n = 0;
    (void)env, (void)env_len, (void)envc;
    argv[n++] = mem_strdup(program ? program : "/nowhere");
    argv[n++] = mem_strdup("3");
    argv[n++] = mem_strdup(r->ask.name);
    for (size_t i = 0; i < r->ask.argc; i++)
        argv[n++] = mem_strdup(r->ask.argv[i]);
    uv_stdio_container_t stdio[] = {{.flags = UV_IGNORE},
                                    {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                    {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
                                    {.flags = UV_INHERIT_FD, .data.fd = conn}};
    uv_process_options_t o = {
        .file = argv[0], .args = argv, .exit_cb = on_exit_, .stdio = stdio, .stdio_count = 4};
    *j = (struct job){.ghost = g, .r = r, .process.data = j};
    r->job = j;
    int error = uv_spawn(g->loop, &j->process, &o);
    close(conn);
    for (size_t i = 0; i < n; i++)
        free(argv[i]);
    if (error < 0) {
        uv_close((uv_handle_t *)&j->process, on_closed);
        return err_set(err, error, "the tests' ghost cannot be started");
    }
    warden_started(g->warden, r, j->process.pid);
    return 0;
}

static void kill_job(struct executor *x, struct request *r, int signo)
{
    struct job *j = r->job;
    (void)x;
    (void)uv_process_kill(&j->process, signo);
}

static void release(struct executor *x, struct request *r)
{
    struct job *j = r->job;
    (void)x;
    uv_close((uv_handle_t *)&j->process, on_closed);
}

/* A ghost runs what its image has: where the caller stands does not matter, so that its root and
 * its filter are not looked at. */
static int resolve(struct resolver *x, struct request *r, struct err *err)
{
    struct ghost *g = container_of(x, struct ghost, resolver);
    struct facts *f = &r->facts;
    if (r->ask.door != DOOR_SHIM_V2)
        return g->next->resolve(g->next, r, err);
    const char **names = facts_keep(f, mem_new_array(const char *, 2));
    char *path = facts_keep(f, mem_printf("/usr/bin/%s", r->ask.name));
    names[0] = facts_keep(f, mem_strdup(r->ask.name));
    f->known = true;
    f->cwd = mem_strdup(r->ask.cwd);
    f->exec_path = mem_strdup(path);
    f->program = (struct policy_program){
        .trust = PROGRAM_TRUSTED, .path = path, .names = names, .names_count = 1};
    warden_resolved(g->warden, r, 0, "");
    return 0;
}

static void cancel(struct resolver *x, struct request *r)
{
    struct ghost *g = container_of(x, struct ghost, resolver);
    if (r->ask.door != DOOR_SHIM_V2)
        g->next->cancel(g->next, r);
}

static struct ghost ghost = {
    .port = {.name = EXECUTOR_GHOST, .start = start, .kill = kill_job, .release = release},
    .resolver = {.resolve = resolve, .cancel = cancel}};

/* ---- what the linker puts in the place of the door's ---- */

struct gate_door *__real_gate_door_new(uv_loop_t *loop, struct resolver *next);
struct gate_door *__wrap_gate_door_new(uv_loop_t *loop, struct resolver *next);
void __real_gate_door_set_warden(struct gate_door *d, struct warden *w);
void __wrap_gate_door_set_warden(struct gate_door *d, struct warden *w);

struct gate_door *__wrap_gate_door_new(uv_loop_t *loop, struct resolver *next)
{
    ghost.loop = loop;
    ghost.next = next;
    return __real_gate_door_new(loop, &ghost.resolver);
}

void __wrap_gate_door_set_warden(struct gate_door *d, struct warden *w)
{
    ghost.warden = w;
    warden_add_executor(w, &ghost.port);
    __real_gate_door_set_warden(d, w);
}
