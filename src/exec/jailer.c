/* SPDX-License-Identifier: MIT */
#include "exec/jailer.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "exec/freezer.h"

#define LOOK_MS 10
#define FREEZE_MS 3000 /* for everything in a cgroup to stand still */
#define DIE_MS 5000
#define SETTLE_MS 1000
#define SETTLE_LOOKS 10 /* that agree */
#define DOOR "door:"

struct jailer_own {
    struct jailer port;
    struct jailer_config c;
    struct list ops;
    struct map *by_cgroup; /* keys of an engine's containers that their cgroup has stopped */
    bool closing;
    struct census_listener news;
};

typedef void op_done(void *arg, int result, const char *words);

/* One thing that is being done to one container. */
struct op {
    struct list link;
    struct jailer_own *j;
    uv_timer_t timer;
    char *key;             /* owned */
    bool freezes, on;      /* or lets go on */
    bool waits;            /* for another that freezes this one, or lets it go on */
    bool again;            /* the engine is asked for the second time */
    bool settles;          /* looks whether the engine does late what was given up on */
    unsigned agreed;       /* looks in a row that found nothing of the kind */
    int signo;             /* of a kill */
    uint64_t grace, until; /* ms */
    struct freezer f;
    bool was_frozen;
    int64_t userns; /* owner; -1: none */
    op_done *done;  /* NULL: has been told */
    void *arg;
};

static struct jailer_own *own(struct jailer *x)
{
    return container_of(x, struct jailer_own, port);
}

/* ---- which ---- */

static const struct bond *bond_of(const struct jailer_own *j, const char *key)
{
    for (size_t i = 0; str_starts(key, DOOR) && i < j->c.count; i++) {
        const struct bond *b = &j->c.bonds[i];
        if ((b->cgroup || b->userns_owner >= 0) && str_eq(b->name, key + strlen(DOOR)))
            return b;
    }
    return NULL;
}

static bool is_governed(const struct jailer_own *j, const struct container *c)
{
    if (str_starts(c->id, DOOR))
        return false; /* its door is listed, once */
    for (size_t i = 0; i < j->c.count; i++)
        if (census_belongs(&j->c.bonds[i], c))
            return true;
    return c->governed;
}

struct walk {
    struct jailer_own *j;
    void (*fn)(void *arg, const struct jail *x);
    void *arg;
};

static void each_container(void *arg, struct container *c)
{
    const struct walk *w = arg;
    if (is_governed(w->j, c))
        w->fn(w->arg, &(struct jail){c->id, c->name});
}

static void each(struct jailer *port, void (*fn)(void *arg, const struct jail *x), void *arg)
{
    struct jailer_own *j = own(port);
    struct walk w = {j, fn, arg};
    for (size_t i = 0; i < j->c.count; i++) {
        const struct bond *b = &j->c.bonds[i];
        char key[CONTAINER_KEY_SIZE];
        (void)snprintf(key, sizeof(key), DOOR "%s", b->name);
        if (bond_of(j, key) == b)
            fn(arg, &(struct jail){key, b->name});
    }
    census_each(j->c.census, each_container, &w);
}

struct search {
    const char *name;
    char *key, *found; /* owned */
    unsigned count;
    bool exact;
};

static void look_at(void *arg, const struct jail *x)
{
    struct search *s = arg;
    bool exact = str_eq(x->key, s->name) || str_eq(x->name, s->name);
    if (!exact && !(strlen(s->name) >= 12 && str_starts(x->key, s->name)))
        return;
    if (s->exact && !exact)
        return;
    s->count = exact == s->exact ? s->count + 1 : 1;
    s->exact = exact;
    free(s->key);
    free(s->found);
    s->key = mem_strdup(x->key);
    s->found = mem_strdup(x->name);
}

static int find(struct jailer *port, const char *name, char ret_key[CONTAINER_KEY_SIZE],
                char **ret_name, struct err *err)
{
    struct search s = {.name = name};
    int r = 0;
    each(port, look_at, &s);
    if (s.count == 0)
        r = err_set(err, -ENOENT, "no governed container '%s' runs", name);
    else if (s.count > 1)
        r = err_set(err, -ENOTUNIQ, "several containers are called '%s': say its id", name);
    else
        (void)snprintf(ret_key, CONTAINER_KEY_SIZE, "%s", s.key);
    free(s.key);
    if (r == 0)
        *ret_name = s.found;
    else
        free(s.found);
    return r;
}

/* ---- life of an op ---- */

static void op_closed(uv_handle_t *h)
{
    struct op *o = h->data;
    freezer_done(&o->f);
    free(o->key);
    free(o);
}

static struct op *op_new(struct jailer_own *j, const char *key, op_done *done, void *arg)
{
    struct op *o = mem_new(struct op);
    *o = (struct op){.j = j, .key = mem_strdup(key), .done = done, .arg = arg, .userns = -1};
    (void)uv_timer_init(j->c.loop, &o->timer);
    o->timer.data = o;
    list_append(&j->ops, &o->link);
    return o;
}

static void tell(struct op *o, int result, const char *words)
{
    op_done *done = o->done;
    o->done = NULL;
    if (done)
        done(o->arg, result, words);
    else if (result < 0 && result != -ENOENT && result != -EALREADY && !o->settles)
        log_warn(NULL, "container %.20s: %s", o->key, words);
}

static void freeze_next(struct jailer_own *j, const char *key);
static void settle_as(struct jailer_own *j, const char *key, bool on);

static void op_end(struct op *o, int result, const char *words)
{
    list_remove(&o->link);
    uv_close((uv_handle_t *)&o->timer, op_closed);
    if (o->freezes && (result == 0 || result == -EALREADY))
        settle_as(o->j, o->key, o->on);
    tell(o, result, words);
    if (o->freezes && !o->j->closing)
        freeze_next(o->j, o->key);
}

/* Its cgroup, or the answer that there is none. */
static bool find_cgroup(struct op *o)
{
    struct err err = {0};
    const struct bond *b = bond_of(o->j, o->key);
    const char *text = b ? NULL : census_cgroups(o->j->c.census, o->key);
    int r = -ENOENT;
    freezer_done(&o->f);
    if (b && b->cgroup)
        r = freezer_at_path(&o->f, NULL, b->cgroup, &err);
    else if (text)
        r = freezer_of_text(&o->f, NULL, text, &err);
    else if (b)
        r = err_set(&err, -EOPNOTSUPP,
                    "a user namespace cannot be stopped as a whole: bind its door to a cgroup");
    else
        (void)err_set(&err, -ENOENT, "no such container runs");
    if (r < 0)
        op_end(o, r, err.text);
    return r == 0;
}

/* ---- freezing by cgroup ---- */

static void on_freezing(uv_timer_t *t)
{
    struct op *o = t->data;
    if (freezer_is(&o->f) == o->on)
        op_end(o, 0, "");
    else if (uv_now(o->j->c.loop) >= o->until)
        op_end(o, -ETIMEDOUT,
               o->on ? "something in it does not stand still" : "something keeps it frozen");
    else
        (void)uv_timer_start(t, on_freezing, LOOK_MS, 0);
}

static void freeze_cgroup(struct op *o)
{
    struct err err = {0};
    if (!find_cgroup(o))
        return;
    bool same = freezer_wanted(&o->f) == o->on;
    int r = freezer_set(&o->f, o->on, &err);
    if (r < 0 || same) {
        op_end(o, r < 0 ? r : -EALREADY, err.text);
        return;
    }
    uv_update_time(o->j->c.loop);
    o->until = uv_now(o->j->c.loop) + FREEZE_MS;
    on_freezing(&o->timer);
}

/* What the engine does not know of: its cgroup was stopped while the engine was away. */
static void thaw_rest(struct op *o, int result)
{
    const char *text = census_cgroups(o->j->c.census, o->key);
    struct err err = {0};
    (void)map_remove(o->j->by_cgroup, o->key);
    freezer_done(&o->f);
    if (text && freezer_of_text(&o->f, NULL, text, &err) == 0 && freezer_wanted(&o->f) &&
        freezer_set(&o->f, false, &err) == 0)
        result = 0;
    op_end(o, result, "");
}

/* ---- an engine that is late ---- */

static void freeze(struct jailer *port, const char *key, bool on, op_done *done, void *arg);
static void on_settling(uv_timer_t *t);

static struct op *find_settling(const struct jailer_own *j, const char *key)
{
    list_foreach(it, &j->ops)
    {
        struct op *o = list_item(it, struct op, link);
        if (o->settles && str_eq(o->key, key))
            return o;
    }
    return NULL;
}

static bool is_ordered(const struct jailer_own *j, const char *key)
{
    list_foreach(it, &j->ops)
    {
        const struct op *o = list_item(it, struct op, link);
        if (o->freezes && str_eq(o->key, key))
            return true;
    }
    return false;
}

/* The last order is the one that counts. */
static void settle_as(struct jailer_own *j, const char *key, bool on)
{
    struct op *o = find_settling(j, key);
    if (!o)
        return;
    o->on = on;
    o->agreed = 0;
}

static void settle_later(struct op *o)
{
    (void)uv_timer_start(&o->timer, on_settling, SETTLE_MS, 0);
}

static void settled(void *arg, int result, const char *words)
{
    struct op *o = arg;
    (void)words;
    if (o->j->closing)
        return;
    o->agreed = result == -EALREADY ? o->agreed + 1 : 0;
    if (result == -ENOENT || o->agreed == SETTLE_LOOKS) {
        op_end(o, 0, "");
        return;
    }
    if (result == -EIO && !is_ordered(o->j, o->key)) {
        log_warn(NULL, "container %.12s: the engine did late what was given up on: it is %s again",
                 o->key, o->on ? "paused" : "let go on");
        freeze(&o->j->port, o->key, o->on, NULL, NULL);
    }
    settle_later(o);
}

static void on_settling(uv_timer_t *t)
{
    struct op *o = t->data;
    if (is_ordered(o->j, o->key))
        settle_later(o);
    else
        docker_check(o->j->c.engine, o->key, o->on, settled, o);
}

/* An engine that has not answered in time may carry out all that it was asked once it wakes, and in
 * another order. So it is looked after for a while. */
static void settle(struct jailer_own *j, const char *key, bool on)
{
    if (find_settling(j, key)) {
        settle_as(j, key, on);
        return;
    }
    struct op *o = op_new(j, key, NULL, NULL);
    o->settles = true;
    o->on = on;
    settle_later(o);
}

/* ---- by the engine ---- */

static void engine_froze(void *arg, int result, const char *words);

static void on_refreezing(uv_timer_t *t)
{
    struct op *o = t->data;
    if (!freezer_is(&o->f) && uv_now(o->j->c.loop) < o->until)
        (void)uv_timer_start(t, on_refreezing, LOOK_MS, 0);
    else
        docker_pause(o->j->c.engine, o->key, false, engine_froze, o);
}

/* An engine that had not answered may have stopped it after all, when its cgroup had been let go on
 * already: it says "paused" from then on, and refuses to unpause what is not frozen. */
static bool unpause_again(struct op *o)
{
    const char *text = census_cgroups(o->j->c.census, o->key);
    struct err err = {0};
    if (o->again || !text || freezer_of_text(&o->f, NULL, text, &err) < 0 ||
        freezer_wanted(&o->f) || freezer_set(&o->f, true, &err) < 0)
        return false;
    o->again = true;
    uv_update_time(o->j->c.loop);
    o->until = uv_now(o->j->c.loop) + FREEZE_MS;
    on_refreezing(&o->timer);
    return true;
}

static void engine_froze(void *arg, int result, const char *words)
{
    struct op *o = arg;
    if (o->j->closing)
        return; /* it has been answered */
    if (!o->on && result == -EIO && unpause_again(o))
        return;
    if (!o->on && o->again && result < 0 && result != -EALREADY)
        (void)freezer_set(&o->f, false, NULL); /* as it was */
    if (result != -EAGAIN) {
        if (!o->on && (result == 0 || result == -EALREADY))
            thaw_rest(o, result);
        else
            op_end(o, result, words);
        return;
    }
    if (!o->on && !map_get(o->j->by_cgroup, o->key)) {
        settle(o->j, o->key, true);
        op_end(o, result, words); /* the engine has stopped it, and would go on thinking so */
        return;
    }
    if (o->on)
        (void)map_put(o->j->by_cgroup, o->key, o->j);
    else
        (void)map_remove(o->j->by_cgroup, o->key);
    log_warn(NULL, "container %.12s: %s: its cgroup is %s instead", o->key, words,
             o->on ? "frozen" : "let go on");
    settle(o->j, o->key, o->on);
    freeze_cgroup(o);
}

static void freeze_begin(struct op *o)
{
    o->waits = false;
    if (str_starts(o->key, DOOR))
        freeze_cgroup(o);
    else if (o->j->c.engine)
        docker_pause(o->j->c.engine, o->key, o->on, engine_froze, o);
    else
        op_end(o, -ENOENT, "no such container runs");
}

/* The first of them, unless it is being done. */
static void freeze_next(struct jailer_own *j, const char *key)
{
    list_foreach(it, &j->ops)
    {
        struct op *o = list_item(it, struct op, link);
        if (!o->freezes || !str_eq(o->key, key))
            continue;
        if (o->waits)
            freeze_begin(o);
        return;
    }
}

/* One behind the other: two questions to the engine come back in any order, and the last one
 * counts. */
static void freeze(struct jailer *port, const char *key, bool on, op_done *done, void *arg)
{
    struct jailer_own *j = own(port);
    struct op *o = op_new(j, key, done, arg);
    o->freezes = o->waits = true;
    o->on = on;
    freeze_next(j, key);
}

/* ---- killing ---- */

static size_t signal_all(struct op *o, int signo)
{
    return o->userns >= 0 ? freezer_signal_userns((uid_t)o->userns, signo)
                          : freezer_signal(&o->f, signo);
}

/* Stopped first, so that nothing outruns it; version 1 lets nobody die while it stands still. */
static void on_killing(uv_timer_t *t)
{
    struct op *o = t->data;
    (void)freezer_set(&o->f, true, NULL);
    (void)signal_all(o, SIGKILL);
    (void)freezer_set(&o->f, false, NULL);
    bool empty = signal_all(o, 0) == 0;
    bool late = uv_now(o->j->c.loop) >= o->until;
    if (!empty && !late) {
        (void)uv_timer_start(t, on_killing, LOOK_MS, 0);
        return;
    }
    if (o->was_frozen)
        (void)freezer_set(&o->f, true, NULL); /* whoever comes next stands still too */
    op_end(o, empty ? 0 : -ETIMEDOUT, empty ? "" : "something in it does not die");
}

static void kill_now(struct op *o)
{
    uv_update_time(o->j->c.loop);
    o->until = uv_now(o->j->c.loop) + DIE_MS;
    on_killing(&o->timer);
}

static void on_grace(uv_timer_t *t)
{
    kill_now(t->data);
}

static void kill_cgroup(struct op *o)
{
    const struct bond *b = bond_of(o->j, o->key);
    if (b && !b->cgroup)
        o->userns = b->userns_owner;
    else if (!find_cgroup(o))
        return;
    o->was_frozen = freezer_wanted(&o->f);
    if (o->signo == SIGKILL || o->was_frozen) {
        kill_now(o);
        return;
    }
    (void)signal_all(o, o->signo);
    (void)uv_timer_start(&o->timer, on_grace, o->grace, 0);
    tell(o, 0, "");
}

static void engine_killed(void *arg, int result, const char *words);

static void on_engine_grace(uv_timer_t *t)
{
    struct op *o = t->data;
    o->signo = SIGKILL;
    docker_kill(o->j->c.engine, o->key, SIGKILL, engine_killed, o);
}

static void engine_killed(void *arg, int result, const char *words)
{
    struct op *o = arg;
    if (o->j->closing)
        return;
    if (result == -EAGAIN) {
        log_warn(NULL, "container %.12s: %s: what is in its cgroup is killed instead", o->key,
                 words);
        kill_cgroup(o);
    } else if (result == 0 && o->signo != SIGKILL) {
        (void)uv_timer_start(&o->timer, on_engine_grace, o->grace, 0);
        tell(o, 0, "");
    } else {
        op_end(o, result, words);
    }
}

static void kill_container(struct jailer *port, const char *key, int signo, uint64_t grace,
                           op_done *done, void *arg)
{
    struct jailer_own *j = own(port);
    struct op *o = op_new(j, key, done, arg);
    o->signo = signo;
    o->grace = grace / CLOCK_NS_PER_MS;
    if (str_starts(key, DOOR))
        kill_cgroup(o);
    else if (j->c.engine)
        docker_kill(j->c.engine, key, signo, engine_killed, o);
    else
        op_end(o, -ENOENT, "no such container runs");
}

/* ---- life ---- */

static void on_arrival(void *arg, struct container *c)
{
    struct jailer_own *j = arg;
    if (!j->closing && j->c.arrived && is_governed(j, c))
        j->c.arrived(j->c.arg, c->id);
}

static void on_removal(void *arg, const char *id)
{
    struct jailer_own *j = arg;
    (void)map_remove(j->by_cgroup, id);
    if (!j->closing && j->c.removed)
        j->c.removed(j->c.arg, id);
}

struct jailer *jailer_new(const struct jailer_config *c)
{
    struct jailer_own *j = mem_new(struct jailer_own);
    j->port = (struct jailer){.find = find, .each = each, .freeze = freeze, .kill = kill_container};
    j->c = *c;
    j->by_cgroup = map_new();
    list_init(&j->ops);
    j->news = (struct census_listener){.arrived = on_arrival, .removed = on_removal, .arg = j};
    census_listen(c->census, &j->news);
    return &j->port;
}

void jailer_close(struct jailer *port)
{
    if (!port)
        return;
    struct jailer_own *j = own(port);
    j->closing = true;
    census_unlisten(&j->news);
    while (!list_empty(&j->ops))
        op_end(list_item(j->ops.next, struct op, link), -ECANCELED, "the warden is stopping");
}

struct jailer *jailer_free(struct jailer *port)
{
    if (!port)
        return NULL;
    map_free(own(port)->by_cgroup);
    free(own(port));
    return NULL;
}
