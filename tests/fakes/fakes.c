/* SPDX-License-Identifier: MIT */
/* The world of the core, made of counters. */
#include "fakes/fakes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

/* ---- clock ---- */

static uint64_t clock_mono(struct clock_port *c)
{
    return container_of(c, struct fake_clock, port)->mono;
}

static uint64_t clock_real(struct clock_port *c)
{
    return container_of(c, struct fake_clock, port)->real;
}

void fake_clock_init(struct fake_clock *c)
{
    *c = (struct fake_clock){
        .port = {clock_mono, clock_real}, .mono = 1000 * SEC, .real = FAKE_START_REALTIME};
}

void fake_clock_advance(struct fake_clock *c, uint64_t ns)
{
    c->mono += ns;
    c->real += ns;
}

/* ---- resolver ---- */

static void fill_facts(struct fake_resolver *x, struct request *r)
{
    struct facts *f = &r->facts;
    f->known = true;
    f->cwd = mem_strdup(x->cwd);
    f->cwd_dev = f->cwd_ino = 7;
    f->program.trust = x->trust;
    if (x->trust != PROGRAM_NOT_FOUND) {
        const char **names = facts_keep(f, mem_zalloc(sizeof(char *)));
        names[0] = facts_keep(f, mem_strdup(r->ask.name));
        f->exec_path = mem_printf("/usr/bin/%s", r->ask.name);
        f->program.path = facts_keep(f, mem_strdup(f->exec_path));
        f->program.dev = 1;
        f->program.ino = x->ino;
        f->program.names = names;
        f->program.names_count = x->trust == PROGRAM_TRUSTED;
    }
    if (x->no_exec_path) {
        free(f->exec_path);
        f->exec_path = NULL;
    }
    if (x->path_operand) {
        f->paths = facts_keep(f, mem_zalloc(sizeof(struct policy_path)));
        f->paths[0] = (struct policy_path){1, facts_keep(f, mem_strdup(x->path_operand))};
        f->paths_count = 1;
    }
}

bool fake_resolver_has(const struct fake_resolver *x, const struct request *r)
{
    for (size_t i = 0; i < x->pending_count; i++)
        if (x->pending[i] == r)
            return true;
    return false;
}

static void drop_pending(struct fake_resolver *x, const struct request *r)
{
    for (size_t i = 0; i < x->pending_count; i++)
        if (x->pending[i] == r) {
            x->pending[i] = x->pending[--x->pending_count];
            return;
        }
    fail_msg("the resolver was not asked about this request");
}

void fake_resolver_answer(struct fake_resolver *x, struct request *r)
{
    drop_pending(x, r);
    if (x->fail == 0)
        fill_facts(x, r);
    warden_resolved(x->w, r, x->fail, x->fail ? "the helper did not answer in time" : NULL);
}

static int resolver_resolve(struct resolver *port, struct request *r, struct err *err)
{
    struct fake_resolver *x = container_of(port, struct fake_resolver, port);
    assert_false(fake_resolver_has(x, r));
    assert_false(r->facts.known);
    assert_null(r->facts.cwd);
    assert_non_null(r->policy);
    x->resolved++;
    if (x->refuse)
        return err_set(err, x->refuse, "there is no helper");
    assert_true(x->pending_count < ARRAY_LEN(x->pending));
    x->pending[x->pending_count++] = r;
    if (!x->hold)
        fake_resolver_answer(x, r);
    return 0;
}

static void resolver_cancel(struct resolver *port, struct request *r)
{
    struct fake_resolver *x = container_of(port, struct fake_resolver, port);
    drop_pending(x, r);
    x->cancelled++;
}

void fake_resolver_init(struct fake_resolver *x)
{
    *x = (struct fake_resolver){.port = {resolver_resolve, resolver_cancel},
                                .trust = PROGRAM_TRUSTED,
                                .ino = 42,
                                .cwd = "/app"};
}

/* ---- audit log ---- */

static void index_read(struct fake_index *x, const char *members);

static int audit_append(struct audit_log *port, const char *members, size_t len,
                        void (*done)(void *arg, int result), void *arg, struct err *err)
{
    struct fake_audit *a = container_of(port, struct fake_audit, port);
    assert_null(memchr(members, '\n', len));
    if (a->refuse)
        return err_set(err, a->refuse, "no space left on the device of the log");
    if (a->count == a->size) {
        a->size = a->size ? a->size * 2 : 16;
        a->records = mem_realloc_array(a->records, a->size, sizeof(*a->records));
    }
    size_t i = a->count++;
    a->records[i] =
        (struct fake_record){.members = mem_strndup(members, len), .done = done, .arg = arg};
    if (a->index)
        index_read(a->index, members);
    if (!a->hold) {
        a->records[i].finished = true;
        a->records[i].result = a->result;
        done(arg, a->result);
    }
    return 0;
}

void fake_audit_init(struct fake_audit *a)
{
    *a = (struct fake_audit){.port = {audit_append}};
}

void fake_audit_done(struct fake_audit *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->records[i].members);
    free(a->records);
    *a = (struct fake_audit){0};
}

bool fake_audit_finish(struct fake_audit *a, int result)
{
    for (size_t i = 0; i < a->count; i++)
        if (!a->records[i].finished) {
            a->records[i].finished = true;
            a->records[i].result = result;
            a->records[i].done(a->records[i].arg, result);
            return true;
        }
    return false;
}

static struct json *parse_record(const struct fake_record *r)
{
    _cleanup_free_ char *text = mem_printf("{%s}", r->members);
    struct json *root = NULL;
    struct err err = {0};
    if (json_parse(text, strlen(text), 1000000, &root, &err) < 0)
        fail_msg("a record is not JSON: %s: %s", err.text, text);
    return root;
}

static bool record_names(const struct fake_record *r, const char *id, const char *event)
{
    /* Cheap and enough: both are members of ours, in this form. */
    _cleanup_free_ char *id_member = mem_printf("\"id\":\"%s\"", id ? id : "");
    _cleanup_free_ char *event_member = mem_printf("\"event\":\"%s\"", event ? event : "");
    return (!id || strstr(r->members, id_member)) && (!event || strstr(r->members, event_member));
}

bool fake_audit_has_decision(const struct fake_audit *a, const char *id)
{
    for (size_t i = 0; i < a->count; i++)
        if (record_names(&a->records[i], id, "decision"))
            return true;
    return false;
}

static bool record_is(const struct fake_record *r, const char *id, const char *event)
{
    return r->finished && r->result == 0 && record_names(r, id, event);
}

size_t fake_audit_count(const struct fake_audit *a, const char *id, const char *event)
{
    size_t n = 0;
    for (size_t i = 0; i < a->count; i++)
        n += record_is(&a->records[i], id, event);
    return n;
}

struct json *fake_audit_get(const struct fake_audit *a, const char *id, const char *event)
{
    for (size_t i = a->count; i-- > 0;)
        if (record_is(&a->records[i], id, event))
            return parse_record(&a->records[i]);
    fail_msg("no record of %s with event %s", id ? id : "(any)", event ? event : "(any)");
    return NULL;
}

bool fake_audit_is(const struct fake_audit *a, const char *id, const char *event, const char *key,
                   const char *value)
{
    _cleanup_(json_freep) struct json *root = fake_audit_get(a, id, event);
    const struct json *j = json_get(root, key);
    if (!j)
        return false;
    if (json_is_string(j))
        return strcmp(json_string(j, NULL), value) == 0;
    if (json_is_null(j))
        return strcmp(value, "null") == 0;
    if (json_is_bool(j))
        return strcmp(value, json_bool(j, false) ? "true" : "false") == 0;
    _cleanup_free_ char *number = mem_printf("%lld", (long long)json_integer(j, -999));
    return strcmp(value, number) == 0;
}

/* ---- index ---- */

static struct queue_row *find_row(struct fake_index *x, const uint8_t id[16])
{
    for (size_t i = 0; i < x->count; i++)
        if (memcmp(x->rows[i].id, id, 16) == 0)
            return &x->rows[i];
    return NULL;
}

const struct queue_row *fake_index_find(const struct fake_index *x, const uint8_t id[16])
{
    return find_row((struct fake_index *)x, id);
}

static void index_put(struct index *port, const struct queue_row *row)
{
    struct fake_index *x = container_of(port, struct fake_index, port);
    struct queue_row *mine = find_row(x, row->id);
    if (!mine) {
        x->rows = mem_realloc_array(x->rows, x->count + 1, sizeof(*x->rows));
        mine = &x->rows[x->count++];
        mine->summary = NULL;
    }
    free(mine->summary);
    *mine = *row;
    mine->summary = mem_strdup(row->summary);
    x->puts++;
    if (!x->hold)
        port->kept(port->kept_arg, row->id);
}

void fake_index_keep(struct fake_index *x)
{
    for (size_t i = 0; i < x->count; i++)
        x->port.kept(x->port.kept_arg, x->rows[i].id);
}

static void index_read(struct fake_index *x, const char *members)
{
    const char *id_member = strstr(members, "\"id\":\"");
    char text[UUID_TEXT_SIZE] = "";
    uint8_t id[16];
    if (!strstr(members, "\"event\":\"decision\"") || !id_member)
        return;
    memcpy(text, id_member + 6, sizeof(text) - 1);
    assert_int_equal(uuid_parse(text, id), 0);
    struct queue_row *mine = find_row(x, id);
    if (!mine)
        return;
    free(mine->summary);
    *mine = x->rows[--x->count];
}

void fake_index_init(struct fake_index *x)
{
    *x = (struct fake_index){.port = {.queue_put = index_put}};
}

void fake_index_done(struct fake_index *x)
{
    for (size_t i = 0; i < x->count; i++)
        free(x->rows[i].summary);
    free(x->rows);
    *x = (struct fake_index){0};
}

/* ---- caller ---- */

static struct fake_caller *open_caller(struct caller *port, const struct request *r)
{
    struct fake_caller *c = container_of(port, struct fake_caller, caller);
    assert_int_equal(c->refused, 0); /* nothing after the end */
    assert_int_equal(c->taken, 0);
    if (r)
        memcpy(c->id, r->id_text, sizeof(c->id));
    return c;
}

static void caller_waiting(struct caller *port, const struct request *r)
{
    assert_int_equal(r->state, REQUEST_WAITING);
    open_caller(port, r)->waiting++;
}

static void caller_refused(struct caller *port, const struct request *r, int exit_code,
                           const char *text)
{
    struct fake_caller *c = open_caller(port, r);
    assert_true(strlen(text) < sizeof(c->text));
    assert_true(str_starts(text, "clawrden:"));
    assert_true(str_ends(text, "\n"));
    assert_true((exit_code >= 125 && exit_code <= 127) || /* or killed before it started */
                (exit_code > 128 && exit_code <= 128 + 64));
    c->refused++;
    c->exit_code = exit_code;
    (void)snprintf(c->text, sizeof(c->text), "%s", text);
}

static int caller_take(struct caller *port)
{
    struct fake_caller *c = open_caller(port, NULL);
    c->taken++;
    return c->take_fails ? c->take_fails : 1000;
}

static const struct caller_ops caller_ops = {caller_waiting, caller_refused, caller_take};

void fake_caller_init(struct fake_caller *c)
{
    *c = (struct fake_caller){.caller = {&caller_ops}};
}

/* ---- executor ---- */

static struct fake_job *find_job(struct fake_executor *x, const struct request *r)
{
    for (size_t i = 0; i < x->count; i++)
        if (x->jobs[i].r == r && !x->jobs[i].released)
            return &x->jobs[i];
    return NULL;
}

bool fake_executor_has(const struct fake_executor *x, const struct request *r)
{
    return find_job((struct fake_executor *)x, r) != NULL;
}

static int executor_start(struct executor *port, struct request *r, int conn, const char *env,
                          size_t env_len, size_t envc, struct err *err)
{
    struct fake_executor *x = container_of(port, struct fake_executor, port);
    assert_int_equal(conn, r->ask.door == DOOR_GATE ? -1 : 1000); /* a gate gives nothing up */
    assert_int_equal(r->state, REQUEST_STARTING);
    assert_non_null(r->facts.exec_path);
    assert_null(find_job(x, r));
    x->last_env_len = env_len;
    x->last_envc = envc;
    size_t strings = 0;
    for (size_t i = 0; i < env_len; i++)
        strings += env[i] == '\0';
    assert_int_equal(strings, envc);
    if (x->refuse)
        return err_set(err, x->refuse, "the helper is gone");
    x->starts++;
    if (x->count == x->size) {
        x->size = x->size ? x->size * 2 : 16;
        x->jobs = mem_realloc_array(x->jobs, x->size, sizeof(*x->jobs));
    }
    x->jobs[x->count++] = (struct fake_job){.r = r, .started = x->at_once};
    if (x->at_once)
        warden_started(x->w, r, 4321);
    if (x->end_at_once) {
        struct end e = {.kind = END_EXIT};
        warden_ended(x->w, r, &e);
    }
    return 0;
}

static void executor_kill(struct executor *port, struct request *r, int signo)
{
    struct fake_executor *x = container_of(port, struct fake_executor, port);
    assert_non_null(find_job(x, r));
    x->kills++;
    x->last_signal = signo;
}

static int executor_freeze(struct executor *port, struct request *r, bool on, struct err *err)
{
    struct fake_executor *x = container_of(port, struct fake_executor, port);
    struct fake_job *j = find_job(x, r);
    assert_non_null(j);
    x->freezes += on;
    x->thaws += !on;
    if (on && x->cannot_freeze)
        return err_set(err, -EIO, "it is too hot");
    j->frozen = on;
    return 0;
}

static bool executor_stands(struct executor *port, const struct request *r)
{
    struct fake_executor *x = container_of(port, struct fake_executor, port);
    const struct fake_job *j = find_job(x, r);
    assert_non_null(j);
    return j->frozen && !x->restless;
}

static void executor_release(struct executor *port, struct request *r)
{
    struct fake_executor *x = container_of(port, struct fake_executor, port);
    struct fake_job *j = find_job(x, r);
    assert_non_null(j);
    j->released = true;
    x->releases++;
    x->released_end = r->end;
}

void fake_executor_init(struct fake_executor *x, const char *name)
{
    *x = (struct fake_executor){.port = {.name = name,
                                         .start = executor_start,
                                         .kill = executor_kill,
                                         .freeze = executor_freeze,
                                         .stands = executor_stands,
                                         .release = executor_release},
                                .at_once = true};
}

void fake_executor_done(struct fake_executor *x)
{
    free(x->jobs);
    *x = (struct fake_executor){0};
}

/* ---- containers and pauses ---- */

static int jailer_find(struct jailer *port, const char *name, char ret_key[CONTAINER_KEY_SIZE],
                       char **ret_name, struct err *err)
{
    const struct fake_jailer *x = container_of(port, const struct fake_jailer, port);
    for (size_t i = 0; i < x->count; i++) {
        const struct fake_jail *j = &x->jails[i];
        if (strcmp(j->name, name) != 0 && strcmp(j->key, name) != 0)
            continue;
        (void)snprintf(ret_key, CONTAINER_KEY_SIZE, "%s", j->key);
        *ret_name = strdup(j->name);
        return 0;
    }
    return err_set(err, -ENOENT, "no governed container '%s' runs", name);
}

static void jailer_each(struct jailer *port, void (*fn)(void *arg, const struct jail *j), void *arg)
{
    const struct fake_jailer *x = container_of(port, const struct fake_jailer, port);
    for (size_t i = 0; i < x->count; i++)
        fn(arg, &(struct jail){x->jails[i].key, x->jails[i].name});
}

static struct fake_jail *jail_of(struct fake_jailer *x, const char *key)
{
    for (size_t i = 0; i < x->count; i++)
        if (strcmp(x->jails[i].key, key) == 0)
            return &x->jails[i];
    return NULL;
}

static void do_freeze(struct fake_jailer *x, const struct fake_freeze *f)
{
    struct fake_jail *j = jail_of(x, f->key);
    int r = !j ? -ENOENT : x->fail ? x->fail : j->frozen == f->on ? -EALREADY : 0;
    if (r == 0)
        j->frozen = f->on;
    f->done(f->arg, r, r ? "the fake says no" : "");
}

static void jailer_freeze(struct jailer *port, const char *key, bool on,
                          void (*done)(void *arg, int result, const char *words), void *arg)
{
    struct fake_jailer *x = container_of(port, struct fake_jailer, port);
    const struct fake_jail *j = jail_of(x, key);
    struct fake_freeze f = {j ? j->key : "", on, done, arg};
    x->calls++;
    if (!x->hold && x->pending_count == 0) { /* in the order of the questions */
        do_freeze(x, &f);
        return;
    }
    assert_true(x->pending_count < ARRAY_LEN(x->pending));
    x->pending[x->pending_count++] = f;
}

bool fake_jailer_answer(struct fake_jailer *x)
{
    if (x->pending_count == 0)
        return false;
    struct fake_freeze f = x->pending[0];
    memmove(x->pending, x->pending + 1, --x->pending_count * sizeof(f));
    do_freeze(x, &f);
    return true;
}

static void jailer_kill(struct jailer *port, const char *key, int signo, uint64_t grace,
                        void (*done)(void *arg, int result, const char *words), void *arg)
{
    struct fake_jailer *x = container_of(port, struct fake_jailer, port);
    struct fake_jail *j = jail_of(x, key);
    x->calls++;
    if (j && !x->fail)
        j->signo = signo;
    done(arg, j ? x->fail : -ENOENT, "the fake says no");
}

void fake_jailer_init(struct fake_jailer *x)
{
    *x = (struct fake_jailer){
        .port = {jailer_find, jailer_each, jailer_freeze, jailer_kill},
        .jails = {{.key = "1111111111111111", .name = "one"}, {.key = "door:two", .name = "two"}},
        .count = 2};
}

static int keeper_keep(struct keeper *port, const char *text, size_t len, struct err *err)
{
    struct fake_keeper *k = container_of(port, struct fake_keeper, port);
    assert_true(len < sizeof(k->text));
    if (k->fail)
        return err_set(err, k->fail, "full");
    memcpy(k->text, text, len + 1);
    k->keeps++;
    return 0;
}

void fake_keeper_init(struct fake_keeper *k)
{
    *k = (struct fake_keeper){.port = {keeper_keep}};
}

/* Lives until the answer is there and nobody waits for it. */
struct fake_wish {
    struct halt_report report;
    bool answered, forgotten;
};

static void answer_wish(void *arg, const struct halt_report *r)
{
    struct fake_wish *x = arg;
    assert_false(x->answered);
    x->report = *r;
    x->answered = true;
    if (x->forgotten)
        free(x);
}

static int take_wish(struct fake_wish *x, struct err *err)
{
    int r = x->answered ? x->report.error : 1;
    if (err && r < 0)
        *err = x->report.err;
    if (x->answered)
        free(x);
    else
        x->forgotten = true;
    return r;
}

int fake_kill(struct warden *w, const char *id, int signo, const char *who, const char *why,
              struct err *err)
{
    struct fake_wish *x = mem_new(struct fake_wish);
    const struct halt_order o = {
        .scope = HOLD_REQUEST, .target = id, .who = who, .why = why, .signo = signo};
    halt_kill(w, &o, answer_wish, x);
    return take_wish(x, err);
}

int fake_pause(struct warden *w, enum hold_scope scope, const char *target, uint64_t resume_after,
               struct err *err)
{
    struct fake_wish *x = mem_new(struct fake_wish);
    const struct halt_order o = {.scope = scope,
                                 .target = target,
                                 .who = "ana",
                                 .why = "lunch",
                                 .resume_after = resume_after};
    halt_pause(w, &o, answer_wish, x);
    return take_wish(x, err);
}

int fake_resume(struct warden *w, enum hold_scope scope, const char *target, struct err *err)
{
    struct fake_wish *x = mem_new(struct fake_wish);
    const struct halt_order o = {.scope = scope, .target = target, .who = "ana", .why = "back"};
    halt_resume(w, &o, answer_wish, x);
    return take_wish(x, err);
}

/* ---- requests ---- */

static const char *const fake_env[] = {"HOME=/root", "LANG=C", "LD_PRELOAD=/tmp/evil.so", NULL};

struct request *fake_request(struct fake_caller *c, enum door_kind door, const char *line)
{
    struct request *r = request_new();
    struct ask *a = &r->ask;
    a->door = door;
    a->blob = mem_strdup(line);
    a->argv = mem_new_array(const char *, strlen(line) / 2 + 2);
    char *rest = a->blob, *word;
    while ((word = strsep(&rest, " ")))
        if (*word)
            a->argv[a->argc++] = word;
    a->name = a->argv[0];
    a->cwd = "/app";
    a->env = mem_dup(fake_env, sizeof(fake_env));
    a->envc = ARRAY_LEN(fake_env) - 1;
    a->umask = 022;
    r->peer = (struct peer){.pid = 500,
                            .ppid = 400,
                            .sid = 300,
                            .pidfd = -1,
                            .start_time = 99,
                            .uid = 1000,
                            .gid = 1000,
                            .parent = "bash"};
    r->caller = c ? &c->caller : NULL;
    return r;
}

/* ---- world ---- */

struct policy *fake_policy(const char *text)
{
    struct policy *p = NULL;
    struct err err = {0};
    if (policy_parse(text, strlen(text), "policy.yaml", &p, &err) < 0)
        fail_msg("the test's policy: %s", err.text);
    return p;
}

static void rearm(void *arg)
{
    ((struct world *)arg)->rearmed++;
}

void world_start(struct world *f)
{
    f->w = warden_new(&f->config, f->policy);
    f->resolver.w = f->executor.w = f->w;
    warden_add_executor(f->w, &f->executor.port);
    warden_set_default_executor(f->w, DOOR_SHIM_V1, "local");
    warden_set_default_executor(f->w, DOOR_SHIM_V2, "local");
    warden_on_rearm(f->w, rearm, f);
}

void world_init(struct world *f, const char *text)
{
    *f = (struct world){0};
    fake_clock_init(&f->clock);
    fake_resolver_init(&f->resolver);
    fake_jailer_init(&f->jailer);
    fake_keeper_init(&f->keeper);
    fake_audit_init(&f->audit);
    fake_index_init(&f->index);
    fake_executor_init(&f->executor, "local");
    warden_config_default(&f->config);
    f->config.clock = &f->clock.port;
    f->config.jailer = &f->jailer.port;
    f->config.keeper = &f->keeper.port;
    f->config.resolver = &f->resolver.port;
    f->config.audit = &f->audit.port;
    f->config.index = &f->index.port;
    f->audit.index = &f->index;
    f->policy = fake_policy(text);
    world_start(f);
}

void world_stop(struct world *f)
{
    f->w = warden_free(f->w);
}

void world_done(struct world *f)
{
    world_stop(f);
    while (fake_jailer_answer(&f->jailer))
        ; /* as the real one, which forgets nobody who waits for it */
    while (fake_audit_finish(&f->audit, 0))
        ; /* a log calls back whatever became of the one who asked */
    fake_executor_done(&f->executor);
    fake_index_done(&f->index);
    fake_audit_done(&f->audit);
    policy_unref(f->policy);
}

void world_advance(struct world *f, uint64_t ns)
{
    fake_clock_advance(&f->clock, ns);
    (void)warden_tick(f->w);
}
