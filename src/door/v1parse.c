/* SPDX-License-Identifier: MIT */
/* What a text may cost is bounded by its bytes and by V1JSON_NODES_MAX; how many are in memory as
 * trees at a time is bounded here. */
#include "door/v1parse.h"

#include "base/log.h"
#include "base/priority.h"
#include "door/quota.h"
#include "door/session.h"

#define INLINE_MAX (64u << 10)
#define PARSERS_MAX 2

static void start_next(struct room *m);

static void parse(struct session *s)
{
    struct v1json_identity said = {.said = false};
    s->parse_err.text[0] = '\0';
    s->parse_result = v1json_decode(s->in.data, s->in.len, &s->parsed, &said, &s->parse_err);
    if (s->parse_result == 0 && said.said &&
        (said.uid != (int64_t)s->who.uid || said.gid != (int64_t)s->who.gid))
        log_debug(NULL, "pid %d claims other ids than the kernel's, which count", (int)s->who.pid);
}

static void parse_off_loop(uv_work_t *work)
{
    priority_ordinary();
    parse(work->data);
}

static void parsed_off_loop(uv_work_t *work, int status)
{
    struct session *s = work->data;
    struct room *m = s->room;
    if (status < 0)
        s->parse_result = err_set(&s->parse_err, -ECANCELED, "the warden is stopping");
    s->working = false;
    s->quota->parsing = false;
    m->parsing--;
    session_parsed(s); /* may free it */
    start_next(m);
}

static void start(struct session *s)
{
    struct room *m = s->room;
    list_remove(&s->in_state);
    s->working = true;
    s->quota->parsing = true;
    m->parsing++;
    s->work.data = s;
    (void)uv_queue_work(m->loop, &s->work, parse_off_loop, parsed_off_loop);
}

/* In the order of arrival, passing over uids that have one in work. */
static void start_next(struct room *m)
{
    list_foreach(it, &m->to_parse)
    {
        struct session *s = list_item(it, struct session, in_state);
        if (m->parsing >= PARSERS_MAX || m->closing)
            return;
        if (!s->quota->parsing)
            start(s);
    }
}

void v1parse_begin(struct session *s)
{
    if (s->in.len <= INLINE_MAX) {
        parse(s);
        session_parsed(s);
        return;
    }
    list_append(&s->room->to_parse, &s->in_state);
    start_next(s->room);
}
