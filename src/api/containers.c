/* SPDX-License-Identifier: MIT */
/* Who is governed: each container, or session of `clawrden run`, and the host, with what waits and
 * runs in it and what became of its requests. */
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/str.h"
#include "core/halt.h"

#define CONTAINERS_MAX 1000 /* rows; a warden with more shows the first */

struct place {
    char *name, *key; /* owned; key NULL: the jailer does not know it */
    uint64_t waiting, starting, running, decided[DECISION_INTERRUPTED + 1];
};

struct places {
    struct map *by_name; /* to struct place, owned; "": the host */
};

static struct place *containers_place(struct places *p, const char *name)
{
    struct place *x = map_get(p->by_name, name);
    if (x || map_count(p->by_name) >= CONTAINERS_MAX)
        return x;
    x = mem_new(struct place);
    x->name = mem_strdup(name);
    map_put(p->by_name, name, x);
    return x;
}

static void containers_jail(void *arg, const struct jail *j)
{
    struct place *x = containers_place(arg, j->name);
    if (x && !x->key)
        x->key = mem_strdup(j->key);
}

static void containers_request(void *arg, const struct request *r)
{
    struct place *x = containers_place(arg, r->peer.container ? r->peer.container : "");
    if (!x)
        return;
    x->waiting += r->state == REQUEST_WAITING;
    x->starting += r->state == REQUEST_STARTING;
    x->running += r->state == REQUEST_RUNNING;
}

/* Of what is not counted by name any more, "(other)" tells. */
static void containers_decided(void *arg, const char *name, enum decision d, uint64_t n)
{
    struct place *x = containers_place(arg, str_eq(name, METRICS_HOST) ? "" : name);
    if (x)
        x->decided[d] += n;
}

static void containers_put(const struct place *x, const struct holds *h, struct json_writer *w)
{
    bool all = holds_find(h, HOLD_ALL, "") != NULL;
    json_object_begin(w);
    json_key(w, "container");
    if (x->name[0])
        json_put_bytes(w, x->name, strlen(x->name));
    else
        json_put_null(w);
    json_field_string(w, "id", x->key);
    json_field_bool(w, "paused", all || (x->key && holds_over_key(h, x->key)));
    json_field_uint(w, "waiting", x->waiting);
    json_field_uint(w, "starting", x->starting);
    json_field_uint(w, "running", x->running);
    json_key(w, "decided");
    json_object_begin(w);
    for (int d = DECISION_NONE + 1; d <= DECISION_INTERRUPTED; d++)
        json_field_uint(w, decision_name((enum decision)d), x->decided[d]);
    json_object_end(w);
    json_object_end(w);
}

void containers_list(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct warden *warden = c->api->deps.warden;
    struct places p = {.by_name = map_new()};
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    const char *name;
    void *value;
    (void)containers_place(&p, ""); /* the host is always there */
    warden_each_jail(warden, containers_jail, &p);
    warden_each(warden, containers_request, &p);
    metrics_each_container(warden_metrics(warden), containers_decided, &p);
    json_array_begin(&w);
    for (size_t i = 0; map_next(p.by_name, &i, &name, &value);) {
        struct place *one = value;
        containers_put(one, halt_holds(warden), &w);
        free(one->name);
        free(one->key);
        free(one);
    }
    json_array_end(&w);
    map_free(p.by_name);
    call_json(x, &b);
}
