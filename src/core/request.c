/* SPDX-License-Identifier: MIT */
/* One command on its way: its memory, its facts, the names of its states. Changes no state: that
 * is the warden's. */
#include "core/request.h"

#include "base/mem.h"
#include "base/str.h"

const char *request_state_name(enum request_state s)
{
    switch (s) {
    case REQUEST_RECEIVED:
        return "received";
    case REQUEST_WAITING:
        return "waiting";
    case REQUEST_STARTING:
        return "starting";
    case REQUEST_RUNNING:
        return "running";
    case REQUEST_ENDED:
        return "ended";
    }
    return "unknown";
}

const char *door_kind_name(enum door_kind d)
{
    switch (d) {
    case DOOR_SHIM_V1:
        return "shim-v1";
    case DOOR_SHIM_V2:
        return "shim";
    case DOOR_GATE:
        return "gate";
    case DOOR_API:
        return "api";
    }
    return "unknown";
}

const char *decision_name(enum decision d)
{
    switch (d) {
    case DECISION_NONE:
        return "none";
    case DECISION_DENY:
        return "deny";
    case DECISION_ALLOW:
        return "allow";
    case DECISION_ASK_APPROVED:
        return "ask-approved";
    case DECISION_ASK_DENIED:
        return "ask-denied";
    case DECISION_ASK_EXPIRED:
        return "ask-expired";
    case DECISION_WITHDRAWN:
        return "withdrawn";
    case DECISION_LIMITED:
        return "limited";
    case DECISION_ERROR:
        return "error";
    case DECISION_INTERRUPTED:
        return "interrupted";
    }
    return "unknown";
}

void *facts_keep(struct facts *f, void *p)
{
    f->arena = mem_realloc_array(f->arena, f->arena_count + 1, sizeof(*f->arena));
    f->arena[f->arena_count++] = p;
    return p;
}

void facts_done(struct facts *f)
{
    for (size_t i = 0; i < f->arena_count; i++)
        free(f->arena[i]);
    free(f->arena);
    free(f->cwd);
    free(f->exec_path);
    *f = (struct facts){0};
}

struct request *request_new(void)
{
    struct request *r = mem_new(struct request);
    list_init(&r->all);
    r->peer.pidfd = -1;
    return r;
}

struct request *request_free(struct request *r)
{
    if (!r)
        return NULL;
    list_remove(&r->all);
    facts_done(&r->facts);
    if (r->policy)
        policy_unref(r->policy);
    free(r->ask.blob);
    free(r->ask.argv);
    free(r->ask.env);
    free(r->looks);
    free(r->peer.groups);
    free(r->peer.container);
    container_unref(r->peer.in);
    free(r->peer.cgroup);
    cleanup_close(&r->peer.pidfd);
    free(r);
    return NULL;
}

static size_t request_skip(const struct request *r)
{
    return r->facts.argv_skip < r->ask.argc ? r->facts.argv_skip : 0;
}

const char *request_tool(const struct request *r)
{
    const struct policy_program *p = &r->facts.program;
    if (!r->facts.known || p->trust != PROGRAM_TRUSTED || p->names_count == 0)
        return NULL;
    for (size_t i = 0; i < p->names_count; i++)
        if (str_eq(p->names[i], r->ask.name))
            return p->names[i];
    return p->names[0];
}

void request_to_policy(const struct request *r, struct policy_request *ret)
{
    *ret = (struct policy_request){
        .command = r->ask.name,
        .argv = r->ask.argv + request_skip(r),
        .argc = r->ask.argc - request_skip(r),
        .env = r->ask.env,
        .envc = r->ask.envc,
        .cwd = r->facts.cwd,
        .uid = r->peer.uid,
        .gid = r->peer.gid,
        .container = r->peer.container,
        .labels = r->peer.in ? r->peer.in->labels : NULL,
        .labels_count = r->peer.in ? r->peer.in->labels_count : 0,
        .program = r->facts.program,
        .paths = r->facts.paths,
        .paths_count = r->facts.paths_count,
        .above = r->facts.above,
        .above_count = r->facts.above_count,
    };
}
