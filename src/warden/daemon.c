/* SPDX-License-Identifier: MIT */
/* The parts stand in one table in the order of their opening. A part that cannot be opened ends the
 * start with words, and what was opened before it is closed in reverse. */
#include "warden/daemon.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/priority.h"
#include "base/str.h"
#include "core/halt.h"
#include "core/warden.h"
#include "door/door.h"
#include "door/gate-door.h"
#include "exec/census.h"
#include "exec/docker/docker.h"
#include "exec/fitting.h"
#include "exec/jailer.h"
#include "exec/local.h"
#include "exec/mirror.h"
#include "exec/resolve.h"
#include "store/jsonl.h"
#include "store/queue-rows.h"
#include "store/sqlite.h"
#include "warden/apiside.h"
#include "warden/bonds.h"
#include "warden/entrance.h"
#include "warden/footing.h"
#include "warden/jailside.h"
#include "warden/pauses.h"
#include "warden/reload.h"
#include "warden/sdnotify.h"

#define DRAIN_LOOK_MS 20
#define HELLO_MS 10000
#define FDS_RESERVED 512 /* for all that is no caller */

struct daemon {
    const struct config *config; /* borrowed */
    unsigned long fds_max;
    uv_loop_t loop;
    struct clock_port clock;
    int state_lock; /* owned */
    struct policy *policy;
    struct jsonl *audit;
    struct sqlite *index;
    struct mirror *mirror;
    struct fitting *fitting;
    struct resolver *resolver;
    struct executor *local, *inside;
    struct gate_door *gates;
    struct census *census;
    struct docker *engine;
    const char *entrance; /* entrance_name() */
    char entrance_words[1024];
    struct jailer *jailer;
    struct bond *jails; /* owned; those of `bonds`, one behind the other */
    char **door_dirs;   /* owned, and its strings: of all sockets, as the kernel knows them */
    size_t door_dirs_count;
    struct jailside *jailside; /* NULL: there are no jails, for no_jails */
    struct err no_jails;
    struct census_listener jail_news;
    struct pauses *pauses;
    struct bonds bonds; /* of the doors below; the first may be of the main door */
    struct warden *warden;
    struct reload *reload;
    struct door *door;
    struct door **doors; /* of prisoners; owned, doors_count of them */
    size_t doors_count;
    struct apiside *api;
    struct sdnotify manager;
    size_t opened; /* parts */
    bool handles;  /* those below are initialised */
    uv_timer_t tick, drain, alive;
    uv_signal_t term, interrupt, hangup;
    bool draining, killed, hello_late;
    uint64_t drain_until, kill_until; /* monotonic ns */
};

/* ---- time ---- */

static uint64_t now_monotonic(struct clock_port *c)
{
    (void)c;
    return clock_monotonic();
}

static uint64_t now_realtime(struct clock_port *c)
{
    (void)c;
    return clock_realtime();
}

static void on_tick(uv_timer_t *t)
{
    struct daemon *d = t->data;
    uint64_t next = warden_tick(d->warden), now = clock_monotonic();
    if (next == UINT64_MAX)
        return;
    uint64_t ms = next > now ? (next - now + CLOCK_NS_PER_MS - 1) / CLOCK_NS_PER_MS : 1;
    uv_update_time(&d->loop);
    (void)uv_timer_start(t, on_tick, ms, 0);
}

static void rearm(void *arg)
{
    struct daemon *d = arg;
    (void)uv_timer_start(&d->tick, on_tick, 0, 0);
}

/* ---- signals ---- */

static void on_drain(uv_timer_t *t)
{
    struct daemon *d = t->data;
    uint64_t now = clock_monotonic();
    if (warden_idle(d->warden) || (d->killed && now >= d->kill_until)) {
        uv_stop(&d->loop);
        return;
    }
    if (!d->killed && now >= d->drain_until) {
        log_warn(NULL, "killing what still runs");
        d->killed = true;
        d->kill_until = now + d->config->kill_grace + CLOCK_NS_PER_SEC;
        warden_kill_all(d->warden, "the warden is stopping");
    }
}

static void shut_doors(struct daemon *d)
{
    door_shut(d->door);
    for (size_t i = 0; i < d->doors_count; i++)
        door_shut(d->doors[i]);
}

/* The second one does not wait for what runs. */
static void on_stop(uv_signal_t *s, int signo)
{
    struct daemon *d = s->data;
    if (d->draining) {
        d->drain_until = 0;
        return;
    }
    log_info(NULL, "stopping (signal %d): no new callers, %zu commands under way", signo,
             warden_count(d->warden, REQUEST_RUNNING) + warden_count(d->warden, REQUEST_STARTING));
    d->draining = true;
    sdnotify_stopping(&d->manager);
    d->drain_until = clock_monotonic() + d->config->drain_timeout;
    shut_doors(d);
    warden_drain(d->warden);
    (void)uv_timer_start(&d->drain, on_drain, 0, DRAIN_LOOK_MS);
}

/* A loop that does not turn gives no sign of life. */
static void on_alive(uv_timer_t *t)
{
    const struct daemon *d = t->data;
    sdnotify_alive(&d->manager);
}

static void tell_ready(const struct daemon *d, const char *words)
{
    char status[128];
    (void)snprintf(status, sizeof(status), "%s%zu rules in force", words,
                   policy_rules_count(warden_policy(d->warden)));
    sdnotify_ready(&d->manager, status);
}

static void on_hangup(uv_signal_t *s, int signo)
{
    struct daemon *d = s->data;
    struct err err;
    (void)signo;
    sdnotify_reloading(&d->manager);
    int r = reload_now(d->reload, "SIGHUP", &err); /* it says and records why, if not */
    if (d->api)
        apiside_reload(d->api);
    tell_ready(d, r < 0 ? "the new policy was refused: " : "");
}

/* ---- the parts ---- */

static int open_state(struct daemon *d, struct err *err)
{
    return footing_take_state(d->config->state, &d->state_lock, err);
}

static void close_state(struct daemon *d)
{
    close(TAKE_FD(d->state_lock));
}

static int open_policy(struct daemon *d, struct err *err)
{
    int r = reload_read(d->config->policy, &d->policy, err);
    return r < 0 ? err_prefix(err, -EINVAL, "cannot start without a policy") : 0;
}

static void close_policy(struct daemon *d)
{
    d->policy = policy_unref(d->policy);
}

static int open_audit(struct daemon *d, struct err *err)
{
    const struct config *c = d->config;
    _cleanup_free_ char *head = path_join(c->state, "audit.head");
    struct jsonl_config j;
    int r = footing_check_file(c->audit, err);
    if (r < 0)
        return err_prefix(err, r, "audit");
    jsonl_config_default(&j);
    j.path = c->audit;
    j.head_path = head;
    j.key_path = c->audit_key[0] ? c->audit_key : NULL;
    j.sync = str_eq(c->audit_sync, "always") ? JSONL_SYNC_ALWAYS : JSONL_SYNC_WRITE;
    j.rotate_size = c->audit_rotate_size;
    j.rotate_age = c->audit_rotate_age;
    j.keep_count = (unsigned)c->audit_keep_files;
    j.keep_age = c->audit_keep_age;
    j.clock = &d->clock;
    return jsonl_open(&j, &d->loop, &d->audit, err);
}

static void close_audit(struct daemon *d)
{
    jsonl_close(d->audit);
    d->audit = NULL;
}

static void close_helper(struct daemon *d)
{
    d->local = local_free(d->local);
    d->inside = local_free(d->inside);
    d->resolver = resolve_free(d->resolver);
    d->fitting = fitting_free(d->fitting);
    mirror_close(d->mirror);
    d->mirror = NULL;
}

static int open_index(struct daemon *d, struct err *err)
{
    _cleanup_free_ char *path = path_join(d->config->state, "index.db");
    const struct sqlite_config c = {
        .path = path, .log_path = d->config->audit, .keep = d->config->history_keep};
    int r = sqlite_open(&c, &d->loop, &d->index, err);
    if (r < 0)
        return err_prefix(err, r, "index");
    jsonl_listen(d->audit, sqlite_line, d->index);
    return 0;
}

static void close_index(struct daemon *d)
{
    jsonl_listen(d->audit, NULL, NULL);
    sqlite_close(d->index);
    d->index = NULL;
}

/* The one named, or where an installation or a build (`built`) has it. */
static char *find_program(const char *named, const char *name, const char *built)
{
    const char *const places[] = {"", "/../libexec/clawrden", built};
    char self[4096];
    if (named[0])
        return mem_strdup(named);
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    if (n <= 0)
        return NULL;
    self[n] = '\0';
    _cleanup_free_ char *dir = path_dirname(self);
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        _cleanup_free_ char *path = mem_printf("%s%s/%s", dir, places[i], name);
        if (access(path, X_OK) == 0)
            return TAKE_PTR(path);
    }
    return NULL;
}

static void hello_is_late(uv_timer_t *t)
{
    struct daemon *d = t->data;
    d->hello_late = true;
}

/* Nothing else is on the loop yet that anybody could reach. */
static int wait_for_hello(struct daemon *d, struct err *err)
{
    (void)uv_timer_start(&d->drain, hello_is_late, HELLO_MS, 0);
    while (!mirror_ready(d->mirror) && !d->hello_late)
        (void)uv_run(&d->loop, UV_RUN_ONCE);
    (void)uv_timer_stop(&d->drain);
    return mirror_ready(d->mirror)
               ? 0
               : err_set(err, -ETIMEDOUT, "the helper did not say hello within %d s",
                         HELLO_MS / 1000);
}

/* Agents that burn the processor keep neither the loop nor the helper from it. The threads of the
 * log and the index are there already and stay as they are. */
static int open_priority(struct daemon *d, struct err *err)
{
    if (d->config->priority)
        priority_raise((unsigned)d->config->priority);
    return 0;
}

static void close_priority(struct daemon *d)
{
}

static int open_helper(struct daemon *d, struct err *err)
{
    char words[512];
    _cleanup_free_ char *binary =
        find_program(d->config->mirror_binary, "clawrden-mirror", "/../../../static/src/mirror");
    if (!binary)
        return err_set(err, -ENOENT,
                       "clawrden-mirror is not where this program lies; name it with "
                       "--mirror-binary");
    int r = mirror_new(&d->loop, binary, &d->mirror, err);
    if (r < 0)
        return err_prefix(err, r, "helper '%s'", binary);
    d->fitting = fitting_new(d->mirror);
    d->resolver = resolve_new(d->mirror);
    d->local = local_new(d->mirror, false);
    d->inside = local_new(d->mirror, true);
    r = wait_for_hello(d, err);
    if (r < 0) {
        close_helper(d);
        return r;
    }
    log_info(NULL, "%s", local_describe(d->local, words, sizeof(words)));
    return 0;
}

/* ---- containers ---- */

/* NULL: there is none, or none is wanted. */
static const char *find_engine(const struct config *c)
{
    static const char *const usual[] = {"/var/run/docker.sock", "/run/podman/podman.sock"};
    if (!str_eq(c->engine, "auto"))
        return str_eq(c->engine, "none") || !c->engine[0] ? NULL : c->engine;
    for (size_t i = 0; i < ARRAY_LEN(usual); i++)
        if (geteuid() == 0 && access(usual[i], R_OK | W_OK) == 0)
            return usual[i];
    return NULL;
}

/* Who starts the commands of containers, and why. */
static int choose_entrance(struct daemon *d, struct err *err)
{
    enum entrance e;
    struct err why = {0};
    char words[512];
    int r = entrance_choose(d->config->mirror, mirror_outside(d->mirror), d->engine != NULL,
                            mirror_is_root(d->mirror), &e, &why);
    if (r < 0)
        return err_set(err, r, "%s", why.text);
    if (e == ENTRANCE_DOCKER) {
        local_set_engine(d->inside, &d->loop, d->engine);
        resolve_by_engine(d->resolver);
    }
    d->entrance = entrance_name(e);
    (void)snprintf(d->entrance_words, sizeof(d->entrance_words), "%.400s (mirror %s: %.400s)",
                   local_describe(d->inside, words, sizeof(words)), d->entrance, why.text);
    return 0;
}

static void add_door_dir(struct daemon *d, const char *dir)
{
    char real[PATH_MAX];
    d->door_dirs = mem_realloc_array(d->door_dirs, d->door_dirs_count + 2, sizeof(char *));
    d->door_dirs[d->door_dirs_count++] = mem_strdup(dir);
    if (realpath(dir, real) && !str_eq(real, dir))
        d->door_dirs[d->door_dirs_count++] = mem_strdup(real);
}

static void arrived(void *arg, const char *key)
{
    struct daemon *d = arg;
    if (d->warden)
        halt_arrived(d->warden, key);
}

static void removed(void *arg, const char *key)
{
    struct daemon *d = arg;
    if (d->warden)
        halt_removed(d->warden, key);
}

/* Whom the kill switch reaches. */
static void open_jailer(struct daemon *d)
{
    _cleanup_free_ char *main_dir = path_dirname(d->config->socket);
    struct jailer_config c = {.loop = &d->loop,
                              .census = d->census,
                              .engine = d->engine,
                              .count = d->bonds.count,
                              .arrived = arrived,
                              .removed = removed,
                              .arg = d};
    d->jails = mem_new_array(struct bond, d->bonds.count + 1);
    add_door_dir(d, main_dir);
    for (size_t i = 0; i < d->bonds.count; i++) {
        d->jails[i] = d->bonds.at[i].bond;
        if (d->bonds.at[i].dir)
            add_door_dir(d, d->bonds.at[i].dir);
    }
    c.bonds = d->jails;
    if (d->engine)
        docker_set_doors(d->engine, (const char *const *)d->door_dirs, d->door_dirs_count);
    d->jailer = jailer_new(&c);
}

static int open_census(struct daemon *d, struct err *err)
{
    const char *socket = find_engine(d->config);
    int r = bonds_add_prisoner(&d->bonds, d->config->prisoner, err);
    if (r == 0)
        r = bonds_add_doors(&d->bonds, d->config->doors, err);
    d->census = census_new(&d->loop);
    if (r == 0 && socket && str_starts(socket, "unix:"))
        socket += strlen("unix:");
    if (r == 0 && socket && socket[0] != '/')
        r = err_set(err, -EINVAL, "engine: '%s' is no path of a socket", socket);
    if (r == 0 && socket)
        r = docker_new(&d->loop, socket, d->census, &d->engine, err);
    if (r < 0) {
        bonds_done(&d->bonds);
        census_close(d->census);
        return r;
    }
    open_jailer(d);
    if (socket)
        log_info(NULL, "containers are named by the engine at %s", socket);
    r = choose_entrance(d, err);
    if (r < 0) {
        bonds_done(&d->bonds);
        docker_close(d->engine);
        census_close(d->census);
        return r;
    }
    if (socket || d->bonds.count)
        log_info(NULL, "%s", d->entrance_words);
    return 0;
}

static void close_census(struct daemon *d)
{
    jailer_close(d->jailer);
    docker_close(d->engine);
    census_close(d->census);
}

static void restore_queue(struct daemon *d)
{
    struct queue_row *rows = NULL;
    size_t n = 0;
    sqlite_take_rows(d->index, &rows, &n);
    if (n > 0)
        log_info(NULL, "%zu commands waited for a person when the last warden stopped", n);
    warden_restore(d->warden, rows, n);
    queue_rows_free(rows, n);
}

static int open_warden(struct daemon *d, struct err *err)
{
    const struct config *c = d->config;
    struct warden_config w;
    struct holds *held = NULL;
    d->pauses = pauses_new(c->state);
    int r = pauses_load(d->pauses, &held, err);
    if (r < 0) {
        d->pauses = pauses_free(d->pauses);
        return r;
    }
    warden_config_default(&w);
    w.clock = &d->clock;
    w.audit = jsonl_log(d->audit);
    d->gates = gate_door_new(&d->loop, d->resolver);
    w.resolver = gate_door_resolver(d->gates);
    w.index = sqlite_index(d->index);
    w.jailer = d->jailer;
    w.keeper = pauses_keeper(d->pauses);
    w.kill_grace = c->kill_grace;
    w.claim_grace = c->claim_grace;
    w.waiting_max = (unsigned)c->waiting_max;
    w.waiting_max_per_peer = (unsigned)c->waiting_max_per_caller;
    w.flight_max_per_peer = (unsigned)c->flight_max_per_caller;
    w.asks_per_minute = (unsigned)c->asks_per_minute;
    w.record_bytes_per_minute = c->record_bytes_per_minute;
    d->warden = warden_new(&w, d->policy);
    /* The tree of the one gate stands behind walls: nothing for it runs out here. */
    if (!c->gate_fd[0]) {
        warden_add_executor(d->warden, d->local);
        warden_add_executor(d->warden, d->inside);
        warden_add_executor(d->warden, gate_door_redirect(d->gates, c->gate_shim));
        warden_set_default_executor(d->warden, DOOR_SHIM_V1, d->local->name);
        warden_set_default_executor(d->warden, DOOR_SHIM_V2, d->local->name);
    }
    warden_add_executor(d->warden, gate_door_inplace(d->gates));
    warden_set_default_executor(d->warden, DOOR_GATE, EXECUTOR_INPLACE);
    gate_door_set_warden(d->gates, d->warden);
    resolve_set_warden(d->resolver, d->warden);
    local_set_warden(d->local, d->warden);
    local_set_warden(d->inside, d->warden);
    restore_queue(d);
    if (holds_count(held) > 0)
        log_warn(NULL, "%zu pauses are in force since before this start: see 'clawrden status'",
                 holds_count(held));
    halt_restore(d->warden, held);
    warden_on_rearm(d->warden, rearm, d);
    rearm(d);
    return 0;
}

static void close_warden(struct daemon *d)
{
    d->warden = warden_free(d->warden); /* has last words for some callers */
    gate_door_close(d->gates);
    if (d->door)
        door_close(d->door);
    for (size_t i = 0; i < d->doors_count; i++)
        door_close(d->doors[i]);
}

static int open_reload(struct daemon *d, struct err *err)
{
    (void)err;
    d->reload = reload_new(&d->loop, d->warden, d->config->policy);
    return 0;
}

static void close_reload(struct daemon *d)
{
    reload_close(d->reload);
}

static int find_group(const char *name, gid_t *ret, struct err *err)
{
    uint64_t number;
    *ret = (gid_t)-1;
    if (name[0] == '\0')
        return 0;
    if (str_parse_u64(name, UINT32_MAX - 1, &number) == 0) {
        *ret = (gid_t)number;
        return 0;
    }
    const struct group *g = getgrnam(name);
    if (!g)
        return err_set(err, -EINVAL, "socket-group: there is no group '%s'", name);
    *ret = g->gr_gid;
    return 0;
}

/* A caller takes a descriptor for its connection and one that pins its process. */
static unsigned connections_max(const struct daemon *d)
{
    unsigned long most = d->fds_max > 2 * FDS_RESERVED ? (d->fds_max - FDS_RESERVED) / 2 : 256;
    if (d->config->connections_max <= most)
        return (unsigned)d->config->connections_max;
    log_info(NULL, "connections-max is %lu instead of %lu: only %lu descriptors are allowed here",
             most, (unsigned long)d->config->connections_max, d->fds_max);
    return (unsigned)most;
}

static void fill_door(const struct daemon *d, struct door_config *x)
{
    const struct config *c = d->config;
    door_config_default(x);
    x->request_deadline = c->request_deadline;
    x->connections_max = connections_max(d);
    x->connections_max_peer = (unsigned)c->connections_max_per_uid;
    x->bytes_max = c->request_bytes_max;
    x->bytes_max_peer = c->request_bytes_max_per_uid;
    /* Without engine and bonds everybody is of this host, and nobody needs to look. */
    x->census = d->engine || d->bonds.count ? d->census : NULL;
    x->gates = d->gates;
}

/* Anybody in the container may knock there; who it is, the kernel says. */
static int open_prisoner_door(struct daemon *d, const struct bonds_door *b, struct err *err)
{
    struct door_config x;
    fill_door(d, &x);
    _cleanup_free_ char *path = path_join(b->dir, "warden.sock");
    x.path = path;
    x.mode = 0666;
    x.bond = &b->bond;
    int r = door_new(&d->loop, d->warden, &x, &d->doors[d->doors_count], err);
    d->doors_count += r == 0;
    return r;
}

/* Its messages lie in the socket until the loop runs. */
static int open_gate(struct daemon *d, struct err *err)
{
    uint64_t fd;
    if (!d->config->gate_fd[0])
        return 0;
    if (str_parse_u64(d->config->gate_fd, INT32_MAX, &fd) < 0)
        return err_set(err, -EINVAL, "gate-fd must be the number of an open descriptor");
    return gate_door_inherit(d->gates, (int)fd, err);
}

static void close_gate(struct daemon *d)
{
    (void)d; /* with the warden, which has words for it */
}

static void close_door(struct daemon *d)
{
    shut_doors(d);
}

/* ---- jails ---- */

static void look_again(void *arg, const char *id)
{
    docker_look(((struct daemon *)arg)->engine, id);
}

/* Of those that were removed while nobody listened, the engine says so when it is asked. */
static void engine_returned(void *arg)
{
    struct daemon *d = arg;
    if (d->jailside)
        jailside_each(d->jailside, look_again, d);
}

static void jail_arrived(void *arg, struct container *c)
{
    const struct daemon *d = arg;
    jailside_arrived(d->jailside, c);
}

static void jail_removed(void *arg, const char *id)
{
    const struct daemon *d = arg;
    jailside_removed(d->jailside, id);
}

static void policy_changed(void *arg, const struct policy *p)
{
    jailside_set_policy(arg, p);
}

static void covers_changed(void *arg, const char *id)
{
    const struct daemon *d = arg;
    gate_door_refit(d->gates, id);
}

static int open_jails(struct daemon *d, struct err *err)
{
    _cleanup_free_ char *shim =
        find_program(d->config->shim_binary, "clawrden-shim", "/../../../static/src/shim");
    bool native = str_eq(d->entrance, entrance_name(ENTRANCE_NATIVE));
    const struct jailside_parts p = {.warden = d->warden,
                                     .clock = &d->clock,
                                     .state = d->config->state,
                                     .dir = d->config->jails,
                                     .shim = shim,
                                     .census = d->census,
                                     .fitting = native ? d->fitting : NULL,
                                     .no_fitting = "the helper cannot enter containers here, so no "
                                                   "tool of theirs can be covered",
                                     .covered = covers_changed,
                                     .arg = d};
    if (d->config->gate_fd[0]) {
        (void)err_set(&d->no_jails, 0, "this warden serves one gate");
        return 0;
    }
    int r = jailside_open(&p, &d->jailside, &d->no_jails);
    if (r < 0)
        return err_set(err, r, "%s", d->no_jails.text);
    if (!d->jailside) {
        gate_door_set_fitter(d->gates, jailside_none(d->no_jails.text));
        return 0;
    }
    reload_listen(d->reload, policy_changed, d->jailside);
    gate_door_set_fitter(d->gates, jailside_fitter(d->jailside));
    d->jail_news = (struct census_listener){
        .arrived = jail_arrived, .removed = jail_removed, .returned = engine_returned, .arg = d};
    census_listen(d->census, &d->jail_news);
    return 0;
}

static void close_jails(struct daemon *d)
{
    census_unlisten(&d->jail_news);
    gate_door_set_fitter(d->gates, NULL);
    fitting_forget(d->fitting);
    reload_listen(d->reload, NULL, NULL);
    d->jailside = jailside_free(d->jailside);
}

static int open_door(struct daemon *d, struct err *err)
{
    const struct config *c = d->config;
    struct door_config x;
    fill_door(d, &x);
    x.path = c->socket;
    x.mode = c->socket_mode;
    if (d->bonds.count && !d->bonds.at[0].dir)
        x.bond = &d->bonds.at[0].bond;
    d->doors = mem_new_array(struct door *, d->bonds.count + 1);
    int r = find_group(c->socket_group, &x.group, err);
    if (r == 0)
        r = door_new(&d->loop, d->warden, &x, &d->door, err);
    if (r < 0)
        return r;
    for (size_t i = 0; r == 0 && i < d->bonds.count; i++)
        if (d->bonds.at[i].dir)
            r = open_prisoner_door(d, &d->bonds.at[i], err);
    if (r < 0)
        shut_doors(d);
    return r;
}

static int open_api(struct daemon *d, struct err *err)
{
    const struct apiside_parts p = {.loop = &d->loop,
                                    .config = d->config,
                                    .warden = d->warden,
                                    .clock = &d->clock,
                                    .reload = d->reload,
                                    .mirror = d->mirror,
                                    .entrance = d->entrance,
                                    .entrance_words = d->entrance_words,
                                    .gates = d->gates,
                                    .jails = d->jailside,
                                    .jails_why = d->no_jails.text,
                                    .audit = d->audit,
                                    .index = d->index};
    return apiside_open(&p, &d->api, err);
}

static void close_api(struct daemon *d)
{
    apiside_close(d->api);
}

static const struct part {
    int (*open)(struct daemon *d, struct err *err);
    void (*close)(struct daemon *d);
} parts[] = {
    {open_state, close_state},   {open_policy, close_policy},     {open_audit, close_audit},
    {open_index, close_index},   {open_priority, close_priority}, {open_helper, close_helper},
    {open_census, close_census}, {open_warden, close_warden},     {open_reload, close_reload},
    {open_jails, close_jails},   {open_door, close_door},         {open_gate, close_gate},
    {open_api, close_api},
};

/* ---- life ---- */

static void open_handles(struct daemon *d)
{
    (void)uv_timer_init(&d->loop, &d->tick);
    (void)uv_timer_init(&d->loop, &d->drain);
    (void)uv_timer_init(&d->loop, &d->alive);
    (void)uv_signal_init(&d->loop, &d->term);
    (void)uv_signal_init(&d->loop, &d->interrupt);
    (void)uv_signal_init(&d->loop, &d->hangup);
    d->tick.data = d->drain.data = d->alive.data = d->term.data = d->interrupt.data =
        d->hangup.data = d;
}

static void close_handles(struct daemon *d)
{
    uv_close((uv_handle_t *)&d->tick, NULL);
    uv_close((uv_handle_t *)&d->drain, NULL);
    uv_close((uv_handle_t *)&d->alive, NULL);
    uv_close((uv_handle_t *)&d->term, NULL);
    uv_close((uv_handle_t *)&d->interrupt, NULL);
    uv_close((uv_handle_t *)&d->hangup, NULL);
}

static void say_ready(const struct daemon *d)
{
    log_info(NULL,
             "clawrden-warden: ready: version %s, socket %s, policy %s (%.12s, %zu rules), "
             "audit %s, state %s",
             CLAWRDEN_VERSION, d->config->socket, d->config->policy, policy_digest(d->policy),
             policy_rules_count(d->policy), d->config->audit, d->config->state);
}

int daemon_open(const struct config *c, unsigned long fds_max, struct daemon **ret, struct err *err)
{
    _cleanup_(daemon_freep) struct daemon *d = mem_new(struct daemon);
    d->config = c;
    d->fds_max = fds_max;
    d->state_lock = -1;
    d->clock = (struct clock_port){now_monotonic, now_realtime};
    sdnotify_init(&d->manager);
    if (uv_loop_init(&d->loop) < 0)
        return err_set(err, -ENOMEM, "cannot make an event loop");
    open_handles(d);
    for (; d->opened < ARRAY_LEN(parts); d->opened++) {
        int r = parts[d->opened].open(d, err);
        if (r < 0)
            return r;
    }
    *ret = TAKE_PTR(d);
    return 0;
}

void daemon_run(struct daemon *d)
{
    footing_shed(); /* what reading the policy and opening the index left */
    (void)uv_signal_start(&d->term, on_stop, SIGTERM);
    (void)uv_signal_start(&d->interrupt, on_stop, SIGINT);
    (void)uv_signal_start(&d->hangup, on_hangup, SIGHUP);
    door_start(d->door);
    for (size_t i = 0; i < d->doors_count; i++)
        door_start(d->doors[i]);
    say_ready(d);
    tell_ready(d, "");
    uint64_t alive_ms = d->manager.watchdog / 3 / CLOCK_NS_PER_MS;
    if (d->manager.watchdog)
        (void)uv_timer_start(&d->alive, on_alive, 0, alive_ms ? alive_ms : 1);
    (void)uv_run(&d->loop, UV_RUN_DEFAULT);
    log_info(NULL, "stopped");
}

struct daemon *daemon_free(struct daemon *d)
{
    if (!d)
        return NULL;
    while (d->opened > 0)
        parts[--d->opened].close(d);
    close_handles(d);
    while (uv_run(&d->loop, UV_RUN_DEFAULT) != 0)
        ;
    d->door = door_free(d->door);
    d->gates = gate_door_free(d->gates);
    for (size_t i = 0; i < d->doors_count; i++)
        door_free(d->doors[i]);
    free(d->doors);
    d->jailer = jailer_free(d->jailer);
    d->census = census_free(d->census);
    d->pauses = pauses_free(d->pauses);
    for (size_t i = 0; i < d->door_dirs_count; i++)
        free(d->door_dirs[i]);
    free(d->door_dirs);
    free(d->jails);
    bonds_done(&d->bonds);
    d->reload = reload_free(d->reload);
    d->api = apiside_free(d->api);
    sdnotify_done(&d->manager);
    if (uv_loop_close(&d->loop) < 0)
        log_warn(NULL, "something was left open on the loop");
    free(d);
    return NULL;
}
