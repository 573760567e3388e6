/* SPDX-License-Identifier: MIT */
/* An operator ends requests: one, or all that start or run. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/adapters.h"
#include "api/call.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"

struct kill_order {
    const char *id; /* NULL: all */
    int signo;
    const char *reason;
};

static int kill_signal(const struct json *j)
{
    if (!j || json_is_null(j))
        return SIGTERM;
    int64_t n = json_integer(j, 0);
    const char *name = json_string(j, NULL);
    if (name && strncasecmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < SIGSYS + 1; i++) {
        const char *known = sigabbrev_np(i);
        if (known && (n == i || (name && strcasecmp(name, known) == 0)))
            return i;
    }
    return -1;
}

static bool kill_read(struct call *c, struct kill_order *ret)
{
    static const char *const keys[] = {"id", "all", "signal", "reason", NULL};
    if (!call_only(c, keys))
        return false;
    bool bad = false;
    const struct json *all = c->body ? json_get(c->body, "all") : NULL;
    ret->id = call_string(c, "id", ROUTER_PARAM_MAX, &bad);
    ret->reason = call_string(c, "reason", 256, &bad);
    ret->signo = kill_signal(c->body ? json_get(c->body, "signal") : NULL);
    if (all && !json_is_bool(all))
        bad = true;
    bool wants_all = json_bool(all, false) || str_eq(ret->id, "all");
    if (str_eq(ret->id, "all"))
        ret->id = NULL;
    if (!bad && ret->signo > 0 && wants_all == !ret->id)
        return true;
    call_error(
        c->x, 400, "bad_body", NULL,
        "the body is {\"id\": ID} or {\"all\": true}, with an optional \"signal\" (KILL when "
        "absent) and \"reason\" of at most 256 bytes");
    return false;
}

/* ---- many ---- */

struct kill_list {
    char (*ids)[UUID_TEXT_SIZE]; /* owned */
    size_t count;
};

static void kill_count(void *arg, const struct request *r)
{
    size_t *n = arg;
    *n += r->state == REQUEST_STARTING || r->state == REQUEST_RUNNING;
}

static void kill_collect(void *arg, const struct request *r)
{
    struct kill_list *l = arg;
    if (r->state == REQUEST_STARTING || r->state == REQUEST_RUNNING)
        memcpy(l->ids[l->count++], r->id_text, UUID_TEXT_SIZE);
}

static void kill_one_of_many(struct call *c, const struct kill_order *o, const char *id,
                             struct json_writer *w)
{
    struct err err = {""};
    if (warden_kill(c->api->deps.warden, id, o->signo, c->who, o->reason, &err) == 0)
        json_put_string(w, id);
    else
        log_info(id, "api: not killed: %s", err.text); /* it has ended by itself */
}

/* The list is made first: killing changes what it is made from. */
static void kill_all(struct call *c, const struct kill_order *o)
{
    size_t n = 0;
    warden_each(c->api->deps.warden, kill_count, &n);
    struct kill_list l = {.ids = mem_zalloc_array(n + 1, UUID_TEXT_SIZE)};
    warden_each(c->api->deps.warden, kill_collect, &l);
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "signal", sigabbrev_np(o->signo));
    json_key(&w, "killed");
    json_array_begin(&w);
    for (size_t i = 0; i < l.count; i++)
        kill_one_of_many(c, o, l.ids[i], &w);
    json_array_end(&w);
    json_object_end(&w);
    free(l.ids);
    call_json(c->x, &b);
}

static void kill_refuse(struct exchange *x, const char *id, int r, const char *words)
{
    if (r == -ENOENT)
        call_error(x, 404, "not_found", NULL, "%s", words);
    else if (r == -EINVAL)
        call_error(x, 400, "bad_body", id, "%s", words);
    else
        call_error(x, 409, "already_ended", id, "%s", words);
}

static void kill_single(struct call *c, const struct kill_order *o)
{
    struct err err = {""};
    int r = warden_kill(c->api->deps.warden, o->id, o->signo, c->who, o->reason, &err);
    if (r < 0) {
        kill_refuse(c->x, o->id, r, err.text[0] ? err.text : "no such request runs");
        return;
    }
    _cleanup_buf_ struct buf b = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    json_field_string(&w, "signal", sigabbrev_np(o->signo));
    json_key(&w, "killed");
    json_array_begin(&w);
    json_put_string(&w, o->id);
    json_array_end(&w);
    json_object_end(&w);
    call_json(c->x, &b);
}

void kill_requests(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    struct kill_order o = {0};
    if (!kill_read(c, &o))
        return;
    if (!o.reason)
        o.reason = "";
    if (o.id)
        kill_single(c, &o);
    else
        kill_all(c, &o);
}
