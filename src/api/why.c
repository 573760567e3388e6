/* SPDX-License-Identifier: MIT */
/* Why the policy in force says what it says: of a request that is here, with the facts that the
 * helper found, or of a command that nobody has called, with facts that are supposed. The answer
 * names what was supposed. Decides nothing. */
#include <string.h>

#include "api/adapters.h"
#include "api/call.h"
#include "api/login.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "core/looks.h"
#include "policy/suppose.h"

#define WHY_NOBODY 65534u

/* What a body asks about. */
struct why_question {
    const char *id; /* NULL: a supposed command */
    const char *cwd;
    const char **argv, **env; /* owned arrays, of strings of the body */
    size_t argc, envc;
    uint32_t uid;
    bool uid_given;
};

static void why_done(struct why_question *y)
{
    free(y->argv);
    free(y->env);
}

static const struct json *why_member(const struct call *c, const char *key)
{
    const struct json *j = c->body ? json_get(c->body, key) : NULL;
    return j && json_is_null(j) ? NULL : j;
}

/* Appends the strings of the array `key` behind the `*n` that are there. */
static bool why_strings(const struct call *c, const char *key, const char ***list, size_t *n)
{
    const struct json *j = why_member(c, key);
    if (j && !json_is_array(j))
        return false;
    size_t count = j ? json_count(j) : 0;
    *list = mem_realloc_array(*list, *n + count + 1, sizeof(**list));
    for (size_t i = 0; i < count; i++) {
        size_t len = 0;
        const char *s = json_string(json_at(j, i), &len);
        if (!s || strlen(s) != len)
            return false;
        (*list)[(*n)++] = s;
    }
    (*list)[*n] = NULL;
    return true;
}

static bool why_uid(const struct call *c, struct why_question *y)
{
    const struct json *j = why_member(c, "uid");
    int64_t uid = j && json_is_integer(j) ? json_integer(j, -1) : -1;
    y->uid = j ? (uint32_t)uid : WHY_NOBODY;
    y->uid_given = j != NULL;
    return !j || (uid >= 0 && uid < UINT32_MAX);
}

static bool why_read_command(struct call *c, struct why_question *y)
{
    bool bad = false;
    const char *command = call_string(c, "command", 4096, &bad);
    y->cwd = call_string(c, "cwd", 4096, &bad);
    if (bad || !command || !str_basename(command)[0] || !y->cwd || y->cwd[0] != '/')
        return false;
    y->argv = mem_new_array(const char *, 1);
    y->argv[y->argc++] = command;
    return why_strings(c, "args", &y->argv, &y->argc) && why_strings(c, "env", &y->env, &y->envc) &&
           why_uid(c, y);
}

static bool why_read(struct call *c, struct why_question *y)
{
    static const char *const of_request[] = {"id", NULL};
    static const char *const of_command[] = {"command", "args", "cwd", "uid", "env", NULL};
    bool bad = false;
    y->id = call_string(c, "id", ROUTER_PARAM_MAX, &bad);
    if (!call_only(c, y->id ? of_request : of_command))
        return false;
    if (!bad && (y->id || why_read_command(c, y)))
        return true;
    call_error(
        c->x, 400, "bad_body", NULL,
        "the body is {\"id\": ID}, or {\"command\": NAME, \"cwd\": DIR} with \"args\", \"uid\" "
        "and \"env\" ([\"NAME=value\"]) as wanted; DIR is absolute");
    return false;
}

/* ---- the answer ---- */

static void why_reply(struct call *c, const struct policy *p, const struct policy_request *q,
                      const char *id, const char *const *supposed)
{
    _cleanup_buf_ struct buf b = BUF_INIT(CALL_ANSWER_MAX), text = BUF_INIT(CALL_ANSWER_MAX);
    struct json_writer w = JSON_WRITER(&b);
    json_object_begin(&w);
    policy_explain_put(&w, p, q);
    json_field_string(&w, "id", id);
    json_key(&w, "supposed");
    json_array_begin(&w);
    for (; *supposed; supposed++)
        json_put_string(&w, *supposed);
    json_array_end(&w);
    if (policy_explain_text(p, q, &text) == 0)
        json_field_string(&w, "text", buf_str(&text));
    json_object_end(&w);
    call_json(c->x, &b);
}

/* What waits is shown to viewers in brief, with its secrets masked; here nothing is. */
static void why_refuse(struct call *c)
{
    login_record_refusal(c, "role");
    call_error(c->x, 403, "forbidden", NULL,
               "to explain a request needs the role approver: its arguments are not masked there");
}

static void why_request(struct call *c, const struct policy *p, const char *id)
{
    static const char *const nothing[] = {NULL};
    struct request *r = warden_find(c->api->deps.warden, id);
    if (!r) {
        call_error(c->x, 404, "not_found", NULL, "no request with this id waits or runs");
        return;
    }
    if (!r->facts.known) {
        call_error(c->x, 409, "not_now", id, "it is being looked at just now; ask again");
        return;
    }
    struct policy_request q;
    request_to_policy(r, &q);
    looks_add(r, c->who, LOOK_EXPLAINED, c->api->deps.clock->realtime(c->api->deps.clock));
    why_reply(c, p, &q, r->id_text, nothing);
}

static void why_command(struct call *c, const struct policy *p, const struct why_question *y)
{
    const char *const all[] = {"program", "paths", "uid", NULL};
    const char *const but_uid[] = {"program", "paths", NULL};
    _cleanup_free_ char *cwd = path_normalise(y->cwd);
    struct suppose s;
    suppose_begin(&s, p, y->argv, y->argc, cwd);
    s.q.uid = s.q.gid = y->uid;
    s.q.env = y->env;
    s.q.envc = y->envc;
    why_reply(c, p, &s.q, NULL, y->uid_given ? but_uid : all);
    suppose_done(&s);
}

void why_explain(void *arg, struct exchange *x, const char *param)
{
    struct call *c = arg;
    const struct policy *p = warden_policy(c->api->deps.warden);
    struct why_question y = {0};
    (void)param;
    if (why_read(c, &y)) {
        if (!p)
            call_error(x, 503, "unavailable", NULL, "no policy is loaded");
        else if (y.id && c->role < API_ROLE_APPROVER)
            why_refuse(c);
        else if (y.id)
            why_request(c, p, y.id);
        else
            why_command(c, p, &y);
    }
    why_done(&y);
}
