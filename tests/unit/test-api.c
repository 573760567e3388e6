/* SPDX-License-Identifier: MIT */
/* The API in front of a real core with fake ports, asked over its sockets. */
#include <signal.h>

#include "api/api.h"
#include "base/mem.h"
#include "fakes/fakes.h"
#include "unit/http-help.h"

#define POLICY                                                                                     \
    "default_action: deny\nallowed_paths: [\"/*\"]\nrules:\n"                                      \
    "  - {name: see, command: ls, action: allow}\n"                                                \
    "  - {name: ask-git, command: git, action: ask, approval_timeout: 60s, reason: pushes "        \
    "leave}\n"

#define ADMIN "clw_adminAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define APPROVER "clw_approverAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
#define VIEWER "clw_viewerAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct fixture {
    struct http_help h;
    uv_loop_t loop;
    struct world world;
    struct api *api;
    bool gone;
    /* what the deps do */
    bool outside;
    bool helper_up;
    int reload; /* result */
    unsigned reloads;
    char reloaded_by[64];
    struct api_history_query asked; /* numbers only */
    char asked_text[256];
    int history; /* result of history() */
    bool hold;   /* answers only by history_answer() */
    api_history_done *done;
    void *done_arg;
};

/* ---- deps ---- */

static bool is_outside(void *arg, int fd)
{
    return ((struct fixture *)arg)->outside;
}

static int reload(void *arg, const char *who, struct err *err)
{
    struct fixture *f = arg;
    f->reloads++;
    (void)snprintf(f->reloaded_by, sizeof(f->reloaded_by), "%s", who);
    return f->reload < 0 ? err_set(err, f->reload, "policy.yaml:3:7: unknown key 'acton'") : 0;
}

static bool helper_ready(void *arg, struct err *why)
{
    (void)err_set(why, -EIO, "a secret path");
    return ((struct fixture *)arg)->helper_up;
}

static void history_answer(struct fixture *f)
{
    static const char rows[] = "{\"id\":\"1\"},{\"id\":\"2\"}";
    f->done(f->done_arg, 0, rows, sizeof(rows) - 1, "c-2", NULL);
}

static int history(void *arg, const struct api_history_query *q, api_history_done *done,
                   void *done_arg, struct err *err)
{
    struct fixture *f = arg;
    f->asked = *q;
    (void)snprintf(f->asked_text, sizeof(f->asked_text), "%s|%s|%s|%s|%s|%s",
                   q->cursor ? q->cursor : "-", q->id ? q->id : "-", q->command ? q->command : "-",
                   q->decision ? q->decision : "-", q->container ? q->container : "-",
                   q->text ? q->text : "-");
    if (f->history < 0)
        return err_set(err, f->history, "no such cursor");
    f->done = done;
    f->done_arg = done_arg;
    if (!f->hold)
        history_answer(f);
    return 0;
}

static void put_status(void *arg, struct json_writer *w)
{
    json_field_string(w, "helper", "native");
}

/* ---- the fixture ---- */

static void api_gone(void *arg)
{
    ((struct fixture *)arg)->gone = true;
}

static int setup(void **state)
{
    struct fixture *f = mem_new(struct fixture);
    f->outside = f->helper_up = true;
    assert_int_equal(uv_loop_init(&f->loop), 0);
    f->h.loop = &f->loop;
    (void)snprintf(f->h.dir, sizeof(f->h.dir), "/tmp/clawrden-test-XXXXXX");
    assert_non_null(mkdtemp(f->h.dir));
    (void)snprintf(f->h.path, sizeof(f->h.path), "%s/api.sock", f->h.dir);
    world_init(&f->world, POLICY);
    static const struct api_check checks[] = {{"helper", helper_ready}};
    static const struct api_token tokens[] = {{APPROVER, "bob", API_ROLE_APPROVER},
                                              {VIEWER, "eve", API_ROLE_VIEWER}};
    struct api_deps deps = {.warden = f->world.w,
                            .clock = &f->world.clock.port,
                            .arg = f,
                            .peer_is_outside = is_outside,
                            .reload_policy = reload,
                            .history = history,
                            .status = put_status,
                            .checks = checks,
                            .checks_count = ARRAY_LEN(checks)};
    struct api_config c;
    struct err err = {""};
    api_config_default(&c);
    c.socket_path = f->h.path;
    c.address = "127.0.0.1:0";
    c.token = ADMIN;
    c.token_name = "ana";
    c.tokens = tokens;
    c.tokens_count = ARRAY_LEN(tokens);
    if (api_start(&f->loop, &deps, &c, &f->api, &f->h.url, &err) < 0)
        fail_msg("%s", err.text);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->api)
        api_stop(f->api, api_gone, f);
    uint64_t end = clock_monotonic() + PATIENCE;
    while (uv_run(&f->loop, UV_RUN_NOWAIT) && clock_monotonic() < end)
        usleep(1000);
    assert_true(f->gone);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    world_done(&f->world);
    (void)unlink(f->h.path);
    (void)rmdir(f->h.dir);
    free(f->h.url);
    free(f);
    return 0;
}

/* ---- asking ---- */

struct reply {
    int status;
    char *text; /* head and body; owned */
    const char *body;
    struct json *json; /* owned; NULL when the body is none */
};

static void reply_done(struct reply *r)
{
    r->json = json_free(r->json);
    free(r->text);
}
#define _cleanup_reply_ _cleanup_(reply_done)

/* `token` NULL: over the unix socket. */
static struct reply call(struct fixture *f, const char *token, const char *method, const char *path,
                         const char *headers, const char *body)
{
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    (void)buf_printf(&b, "%s %s HTTP/1.1\r\nConnection: close\r\n%s", method, path, headers);
    if (!strstr(headers, "Host:"))
        (void)buf_append_str(&b, "Host: localhost\r\n");
    if (token && *token)
        (void)buf_printf(&b, "Authorization: Bearer %s\r\n", token);
    if (body)
        (void)buf_printf(&b, "Content-Length: %zu\r\n", strlen(body));
    if (body && !strstr(headers, "Content-Type"))
        (void)buf_append_str(&b, "Content-Type: application/json\r\n");
    (void)buf_printf(&b, "\r\n%s", body ? body : "");
    int fd = token ? dial_tcp(&f->h) : dial_unix(&f->h);
    struct reply r = {.text = talk(&f->h, fd, b.data, b.len)};
    if (sscanf(r.text, "HTTP/1.1 %d ", &r.status) != 1)
        fail_msg("no answer to %s %s: '%s'", method, path, r.text);
    const char *end = strstr(r.text, "\r\n\r\n");
    r.body = end ? end + 4 : "";
    if (json_parse(r.body, strlen(r.body), 100000, &r.json, NULL) < 0)
        r.json = NULL;
    return r;
}
#define get(f, path) call(f, NULL, "GET", path, "", NULL)
#define post(f, path, body) call(f, NULL, "POST", path, "", body)

static const char *text_of(const struct json *j, const char *key)
{
    const char *s = j ? json_string(json_get(j, key), NULL) : NULL;
    return s ? s : "";
}

/* Every refusal is JSON with a code and words. */
static void assert_refused(const struct reply *r, int status, const char *code)
{
    const struct json *e = r->json ? json_get(r->json, "error") : NULL;
    if (r->status != status || !e || !str_eq(text_of(e, "code"), code) || !*text_of(e, "message"))
        fail_msg("not %d %s but %s", status, code, r->text);
}

static void copy_id(void *arg, const struct request *r)
{
    memcpy(arg, r->id_text, UUID_TEXT_SIZE); /* the last one is the newest */
}

/* A request. Callers are static: the warden of a fixture speaks to them when it goes. */
static const char *submit(struct fixture *f, struct fake_caller *c, const char *line)
{
    fake_caller_init(c);
    warden_submit(f->world.w, fake_request(c, DOOR_SHIM_V2, line));
    if (!c->id[0])
        warden_each(f->world.w, copy_id, c->id);
    return c->id;
}

/* ---- health ---- */

static void health_needs_no_login_and_tells_no_more_than_names(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply live = call(f, "", "GET", "/healthz", "", NULL);
    assert_int_equal(live.status, 200);
    _cleanup_reply_ struct reply ready = call(f, "", "GET", "/readyz", "", NULL);
    assert_int_equal(ready.status, 200);
    f->helper_up = false;
    _cleanup_reply_ struct reply not_ready = call(f, "", "GET", "/readyz", "", NULL);
    assert_int_equal(not_ready.status, 503);
    assert_has(not_ready.body, "\"not_ready\":[\"helper\"]");
    assert_null(strstr(not_ready.body, "secret"));
    _cleanup_reply_ struct reply still_live = call(f, "", "GET", "/healthz", "", NULL);
    assert_int_equal(still_live.status, 200);
}

static void a_log_that_refuses_records_makes_it_not_ready(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    f->world.audit.refuse = -ENOSPC;
    (void)submit(f, &c, "ls"); /* the core learns it by trying */
    _cleanup_reply_ struct reply r = call(f, "", "GET", "/readyz", "", NULL);
    assert_int_equal(r.status, 503);
    assert_has(r.body, "\"audit\"");
}

static void status_says_how_things_are(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    (void)submit(f, &c, "git push");
    f->helper_up = false;
    warden_policy_failed(f->world.w, "test", "policy.yaml:3:7: nonsense");
    _cleanup_reply_ struct reply r = get(f, "/api/status");
    assert_int_equal(r.status, 200);
    assert_int_equal(json_integer(json_get(r.json, "waiting"), -1), 1);
    assert_int_equal(json_integer(json_get(r.json, "running"), -1), 0);
    assert_false(json_bool(json_get(r.json, "ready"), true));
    assert_string_equal(text_of(json_get(r.json, "not_ready"), "helper"), "a secret path");
    assert_string_equal(text_of(json_get(r.json, "policy"), "error"), "policy.yaml:3:7: nonsense");
    assert_string_equal(text_of(r.json, "helper"), "native");
}

/* ---- who ---- */

static void without_login_everything_else_is_401(void **state)
{
    struct fixture *f = *state;
    static const char *const paths[] = {"/nothing",           "/metrics",           "/api/status",
                                        "/api/queue",         "/api/nothing",       "/api/kill",
                                        "/api/policy/reload", "/api/policy/explain"};
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        _cleanup_reply_ struct reply r = call(f, "", "GET", paths[i], "", NULL);
        assert_refused(&r, 401, "unauthorized");
        assert_has(r.text, "WWW-Authenticate: Bearer");
    }
}

static void the_token_is_a_login_and_a_wrong_one_is_none(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply right = call(f, ADMIN, "GET", "/api/status", "", NULL);
    assert_int_equal(right.status, 200);
    for (int i = 0; i < 10; i++) {
        _cleanup_reply_ struct reply wrong = call(f, "clw_x", "GET", "/api/status", "", NULL);
        assert_refused(&wrong, 401, "unauthorized");
    }
    _cleanup_reply_ struct reply limited = call(f, "clw_x", "GET", "/api/status", "", NULL);
    assert_refused(&limited, 429, "too_many_failures");
    _cleanup_reply_ struct reply still = call(f, ADMIN, "GET", "/api/status", "", NULL);
    assert_int_equal(still.status, 200);
    _cleanup_reply_ struct reply none = call(f, "", "GET", "/api/status", "", NULL);
    assert_refused(&none, 401, "unauthorized");
}

static void a_governed_peer_has_no_login_whatever_it_presents(void **state)
{
    struct fixture *f = *state;
    f->outside = false;
    static struct fake_caller c;
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s/approve", submit(f, &c, "git push"));
    _cleanup_reply_ struct reply bare = post(f, path, NULL);
    assert_refused(&bare, 401, "unauthorized");
    _cleanup_reply_ struct reply with_token =
        call(f, NULL, "POST", path, "Authorization: Bearer " ADMIN "\r\n", NULL);
    assert_refused(&with_token, 401, "unauthorized");
    assert_int_equal(f->world.executor.starts, 0);
    _cleanup_reply_ struct reply health = get(f, "/healthz");
    assert_int_equal(health.status, 200);
}

static void roles_are_kept(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char approve[128];
    (void)snprintf(approve, sizeof(approve), "/api/queue/%s/approve", submit(f, &c, "git push"));
    const struct {
        const char *token, *method, *path;
        int status;
    } rows[] = {
        {VIEWER, "GET", "/api/queue", 200},
        {VIEWER, "GET", "/metrics", 200},
        {VIEWER, "GET", "/api/history", 200},
        {VIEWER, "POST", approve, 403},
        {VIEWER, "POST", "/api/kill", 403},
        {VIEWER, "POST", "/api/policy/reload", 403},
        {VIEWER, "GET", approve, 403},
        {VIEWER, "PUT", "/api/queue", 405},
        {APPROVER, "POST", "/api/kill", 403},
        {APPROVER, "POST", "/api/policy/reload", 403},
        {APPROVER, "GET", "/api/queue", 200},
        {APPROVER, "POST", approve, 200},
        {ADMIN, "POST", "/api/policy/reload", 200},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        _cleanup_reply_ struct reply r =
            call(f, rows[i].token, rows[i].method, rows[i].path, "", NULL);
        if (r.status != rows[i].status)
            fail_msg("row %zu: not %d but %s", i, rows[i].status, r.text);
        if (rows[i].status == 403)
            assert_refused(&r, 403, "forbidden");
    }
    assert_true(fake_audit_is(&f->world.audit, c.id, "decision", "approver", "bob"));
}

static void another_name_and_another_site_are_refused(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply rebound =
        call(f, ADMIN, "GET", "/healthz", "Host: evil.example\r\n", NULL);
    assert_refused(&rebound, 421, "misdirected");
    _cleanup_reply_ struct reply near =
        call(f, ADMIN, "GET", "/healthz", "Host: localhost.evil.example\r\n", NULL);
    assert_refused(&near, 421, "misdirected");
    _cleanup_reply_ struct reply port =
        call(f, ADMIN, "GET", "/healthz", "Host: 127.0.0.1:12345\r\n", NULL);
    assert_int_equal(port.status, 200);
    _cleanup_reply_ struct reply foreign =
        call(f, ADMIN, "POST", "/api/policy/reload", "Origin: http://evil.example\r\n", NULL);
    assert_refused(&foreign, 403, "origin");
    _cleanup_reply_ struct reply null_origin =
        call(f, ADMIN, "POST", "/api/policy/reload", "Origin: null\r\n", NULL);
    assert_refused(&null_origin, 403, "origin");
    assert_int_equal(f->reloads, 0);
    _cleanup_reply_ struct reply own =
        call(f, ADMIN, "POST", "/api/policy/reload", "Origin: http://localhost\r\n", NULL);
    assert_int_equal(own.status, 200);
}

/* ---- methods, bodies, existence: in this order ---- */

static void the_checks_come_in_their_order(void **state)
{
    struct fixture *f = *state;
    static const char no_such[] = "/api/queue/0191d3f1-aaaa-7bbb-8ccc-0123456789ab/approve";
    _cleanup_reply_ struct reply method =
        call(f, NULL, "DELETE", no_such, "Content-Type: text/plain\r\n", "x");
    assert_refused(&method, 405, "method_not_allowed");
    assert_has(method.text, "Allow: POST\r\n");
    _cleanup_reply_ struct reply type =
        call(f, NULL, "POST", no_such, "Content-Type: text/plain\r\n", "{}");
    assert_refused(&type, 415, "media_type");
    _cleanup_reply_ struct reply body = post(f, no_such, "{");
    assert_refused(&body, 400, "bad_body");
    _cleanup_reply_ struct reply existence = post(f, no_such, "{}");
    assert_refused(&existence, 404, "not_found");
    _cleanup_reply_ struct reply bare = post(f, no_such, NULL);
    assert_refused(&bare, 404, "not_found");
    _cleanup_reply_ struct reply too_large =
        call(f, VIEWER, "POST", no_such, "Content-Length: 65537\r\n", NULL);
    assert_refused(&too_large, 403, "forbidden");
    _cleanup_reply_ struct reply large =
        call(f, NULL, "POST", no_such, "Content-Length: 65537\r\n", NULL);
    assert_refused(&large, 413, "too_large");
    _cleanup_reply_ struct reply nothing = get(f, "/api/nothing");
    assert_refused(&nothing, 404, "not_found");
    _cleanup_reply_ struct reply head = call(f, NULL, "HEAD", "/api/status", "", NULL);
    assert_int_equal(head.status, 200);
    assert_string_equal(head.body, "");
}

static void a_body_that_is_not_what_it_should_be_is_refused(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s/approve", submit(f, &c, "git push"));
    static const char *const bad[] = {"[]",
                                      "1",
                                      "\"x\"",
                                      "null",
                                      "{\"comment\":1}",
                                      "{\"comment\":\"a\\u0000b\"}",
                                      "{\"digest\":\"abc\"}",
                                      "{\"unknown\":1}",
                                      "{\"comment\":\"a\",\"comment\":\"b\"}",
                                      "{\"channel\":\"A B\"}",
                                      "{} {}",
                                      "{\"approver\":[]}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_reply_ struct reply r = post(f, path, bad[i]);
        assert_refused(&r, 400, "bad_body");
    }
    char comment[1100];
    (void)snprintf(comment, sizeof(comment), "{\"comment\":\"%01024d\"}", 0);
    _cleanup_reply_ struct reply r = post(f, path, comment);
    assert_refused(&r, 400, "bad_body");
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 1);
}

/* ---- the queue ---- */

static void the_queue_shows_what_waits_and_nothing_else(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller a, b, c;
    _cleanup_reply_ struct reply empty = get(f, "/api/queue");
    assert_string_equal(empty.body, "[]\n");
    const char *first = submit(f, &a, "git push \x1b[2J");
    const char *second = submit(f, &b, "git fetch");
    (void)submit(f, &c, "ls");
    _cleanup_reply_ struct reply r = get(f, "/api/queue");
    assert_int_equal(json_count(r.json), 2);
    assert_string_equal(text_of(json_at(r.json, 0), "id"), first);
    assert_string_equal(text_of(json_at(r.json, 1), "id"), second);
    assert_starts(r.body, "[{\"id\":\"");
    assert_null(strchr(r.body, '\x1b'));
    assert_has(r.body, "pushes leave");
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s", first);
    _cleanup_reply_ struct reply one = get(f, path);
    assert_starts(one.body, "{\"id\":\"");
    assert_int_equal(strlen(text_of(one.json, "digest")), 64);
    _cleanup_reply_ struct reply running = get(f, "/api/running");
    assert_int_equal(json_count(running.json), 1);
    assert_string_equal(text_of(json_at(running.json, 0), "command"), "ls");
}

static void a_very_long_command_is_whole_alone_and_short_in_the_list(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    struct buf line = BUF_INIT(1u << 20);
    (void)buf_append_str(&line, "git push ");
    for (int i = 0; i < 100000; i++)
        (void)buf_append_char(&line, 'x');
    const char *id = submit(f, &c, buf_str(&line));
    _cleanup_reply_ struct reply list = get(f, "/api/queue");
    assert_true(json_bool(json_get(json_at(list.json, 0), "shortened"), false));
    assert_string_equal(text_of(json_at(list.json, 0), "id"), id);
    assert_true(strlen(list.body) < 2000);
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s", id);
    _cleanup_reply_ struct reply one = get(f, path);
    assert_has(one.body, buf_str(&line));
    buf_done(&line);
}

static void an_approval_starts_it_once(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char path[128];
    const char *id = submit(f, &c, "git push");
    (void)snprintf(path, sizeof(path), "/api/queue/%s/approve", id);
    _cleanup_reply_ struct reply yes = post(f, path, "{\"comment\":\"go\",\"channel\":\"cli\"}");
    assert_int_equal(yes.status, 200);
    assert_string_equal(text_of(yes.json, "id"), id);
    assert_string_equal(text_of(yes.json, "answer"), "approve");
    assert_int_equal(f->world.executor.starts, 1);
    assert_true(fake_audit_is(&f->world.audit, id, "decision", "decision", "ask-approved"));
    assert_true(fake_audit_is(&f->world.audit, id, "decision", "channel", "cli"));
    assert_true(fake_audit_is(&f->world.audit, id, "decision", "comment", "go"));
    _cleanup_reply_ struct reply again = post(f, path, NULL);
    assert_refused(&again, 409, "already_ended");
    assert_string_equal(text_of(json_get(again.json, "error"), "id"), id);
    assert_int_equal(f->world.executor.starts, 1);
    path[strlen(path) - strlen("/approve")] = '\0';
    _cleanup_reply_ struct reply gone = get(f, path);
    assert_refused(&gone, 404, "not_found");
}

static void a_denial_reaches_the_caller_with_its_comment(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s/deny", submit(f, &c, "git push"));
    _cleanup_reply_ struct reply r =
        call(f, ADMIN, "POST", path, "", "{\"comment\":\"not on Friday\",\"approver\":\"zoe\"}");
    assert_int_equal(r.status, 200);
    assert_int_equal(c.refused, 1);
    assert_int_equal(c.exit_code, 126);
    assert_has(c.text, "not on Friday");
    assert_true(fake_audit_is(&f->world.audit, c.id, "decision", "approver", "ana for zoe"));
    _cleanup_reply_ struct reply late = post(f, path, NULL);
    assert_refused(&late, 409, "already_ended");
}

static void an_answer_to_what_was_not_seen_is_stale(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char path[128], body[128];
    const char *id = submit(f, &c, "git push");
    (void)snprintf(path, sizeof(path), "/api/queue/%s/approve", id);
    (void)snprintf(body, sizeof(body), "{\"digest\":\"%064d\"}", 0);
    _cleanup_reply_ struct reply stale = post(f, path, body);
    assert_refused(&stale, 409, "stale");
    assert_int_equal(f->world.executor.starts, 0);
    (void)snprintf(body, sizeof(body), "{\"digest\":\"%s\"}", warden_find(f->world.w, id)->digest);
    _cleanup_reply_ struct reply seen = post(f, path, body);
    assert_int_equal(seen.status, 200);
}

static void an_answer_after_the_deadline_finds_nothing(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char path[128];
    (void)snprintf(path, sizeof(path), "/api/queue/%s/approve", submit(f, &c, "git push"));
    world_advance(&f->world, 61 * SEC);
    _cleanup_reply_ struct reply r = post(f, path, NULL);
    assert_refused(&r, 409, "already_ended");
    assert_int_equal(f->world.executor.starts, 0);
}

static void of_many_answers_at_once_one_counts(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    int fds[10], ok = 0;
    char text[512];
    const char *id = submit(f, &c, "git push");
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        int n = snprintf(text, sizeof(text),
                         "POST /api/queue/%s/%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                         id, i % 2 ? "deny" : "approve");
        fds[i] = dial_unix(&f->h);
        assert_int_equal(send(fds[i], text, (size_t)n, MSG_NOSIGNAL), n);
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        struct buf out = BUF_INIT(1u << 20);
        assert_true(hear(&f->h, fds[i], &out, NULL, 0));
        ok += str_starts(buf_str(&out), "HTTP/1.1 200 ");
        if (!str_starts(buf_str(&out), "HTTP/1.1 200 "))
            assert_starts(buf_str(&out), "HTTP/1.1 409 ");
        buf_done(&out);
        (void)close(fds[i]);
    }
    assert_int_equal(ok, 1);
    assert_int_equal(f->world.executor.starts + c.refused, 1);
}

/* ---- kill ---- */

static void an_operator_kills_what_runs(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char body[128];
    const char *id = submit(f, &c, "ls");
    (void)snprintf(body, sizeof(body), "{\"id\":\"%s\",\"signal\":\"KILL\",\"reason\":\"x\"}", id);
    _cleanup_reply_ struct reply r = post(f, "/api/kill", body);
    assert_int_equal(r.status, 200);
    assert_has(r.body, id);
    assert_int_equal(f->world.executor.kills, 1);
    assert_int_equal(f->world.executor.last_signal, SIGKILL);
    _cleanup_reply_ struct reply unknown =
        post(f, "/api/kill", "{\"id\":\"0191d3f1-aaaa-7bbb-8ccc-0123456789ab\"}");
    assert_refused(&unknown, 404, "not_found");
}

static void all_means_what_runs_and_what_waits(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c[4];
    (void)submit(f, &c[0], "ls 1");
    (void)submit(f, &c[1], "git push");
    (void)submit(f, &c[2], "ls 2");
    _cleanup_reply_ struct reply r = post(f, "/api/kill", "{\"all\":true}");
    assert_int_equal(r.status, 200);
    assert_int_equal(json_count(json_get(r.json, "killed")), 3);
    assert_int_equal(json_count(json_get(r.json, "containers")), 2);
    assert_int_equal(f->world.executor.last_signal, SIGTERM);
    assert_int_equal(f->world.jailer.jails[1].signo, SIGTERM);
    assert_int_equal(warden_count(f->world.w, REQUEST_WAITING), 0);
    assert_int_equal(c[1].exit_code, 126);
}

static void a_kill_that_says_nothing_clear_kills_nothing(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    (void)submit(f, &c, "ls");
    static const char *const bad[] = {NULL,
                                      "{}",
                                      "{\"all\":false}",
                                      "{\"all\":1}",
                                      "{\"id\":5}",
                                      "{\"all\":true,\"id\":\"x\"}",
                                      "{\"all\":true,\"signal\":0}",
                                      "{\"all\":true,\"signal\":\"NOPE\"}",
                                      "{\"all\":true,\"signal\":99}",
                                      "{\"all\":true,\"x\":1}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        _cleanup_reply_ struct reply r = post(f, "/api/kill", bad[i]);
        assert_refused(&r, 400, "bad_body");
    }
    assert_int_equal(f->world.executor.kills, 0);
}

/* ---- policy, history, metrics ---- */

static void the_policy_is_shown_and_reloaded(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply r = get(f, "/api/policy");
    assert_int_equal(r.status, 200);
    assert_int_equal(strlen(text_of(r.json, "version")), 64);
    assert_int_equal(json_count(json_get(r.json, "rules")), 2);
    assert_string_equal(text_of(json_at(json_get(r.json, "rules"), 1), "name"), "ask-git");
    _cleanup_reply_ struct reply good = call(f, ADMIN, "POST", "/api/policy/reload", "", NULL);
    assert_int_equal(good.status, 200);
    assert_int_equal(json_integer(json_get(good.json, "rules"), -1), 2);
    assert_string_equal(f->reloaded_by, "ana");
    f->reload = -EINVAL;
    _cleanup_reply_ struct reply bad = post(f, "/api/policy/reload", NULL);
    assert_refused(&bad, 422, "policy");
    assert_has(bad.body, "policy.yaml:3:7");
    assert_has(bad.body, "the old policy stays in force");
}

static void a_supposed_command_is_explained(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply r = call(f, VIEWER, "POST", "/api/policy/explain", "",
                                          "{\"command\":\"git\",\"args\":[\"push\"],\"cwd\":\"/a/"
                                          "../app\",\"uid\":1000,\"env\":[\"LD_PRELOAD=x\"]}");
    assert_int_equal(r.status, 200);
    assert_int_equal(strncmp(r.body, "{\"verdict\":\"ask\"", 16), 0);
    assert_string_equal(text_of(r.json, "rule"), "ask-git");
    assert_string_equal(text_of(r.json, "cwd"), "/app");
    assert_int_equal(json_integer(json_get(r.json, "uid"), 0), 1000);
    assert_int_equal(json_count(json_get(json_get(r.json, "environment"), "dropped")), 1);
    assert_int_equal(json_count(json_get(r.json, "supposed")), 2);
    assert_has(text_of(r.json, "text"), "ask: git push\n");
    assert_has(text_of(r.json, "text"), "1 earlier rule is for other commands");
    _cleanup_reply_ struct reply few =
        post(f, "/api/policy/explain", "{\"command\":\"/usr/bin/ls\",\"cwd\":\"/\"}");
    assert_string_equal(text_of(few.json, "verdict"), "allow");
    assert_int_equal(json_count(json_get(few.json, "supposed")), 3);
    assert_int_equal(json_integer(json_get(few.json, "uid"), 0), 65534);
    assert_int_equal(f->world.executor.starts, 0);
}

static void what_waits_is_explained_with_its_facts(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    char body[128];
    (void)snprintf(body, sizeof(body), "{\"id\":\"%s\"}", submit(f, &c, "git push"));
    _cleanup_reply_ struct reply masked = call(f, VIEWER, "POST", "/api/policy/explain", "", body);
    assert_int_equal(masked.status, 403);
    _cleanup_reply_ struct reply r = call(f, APPROVER, "POST", "/api/policy/explain", "", body);
    assert_int_equal(r.status, 200);
    assert_string_equal(text_of(r.json, "verdict"), "ask");
    assert_has(body, text_of(r.json, "id"));
    assert_int_equal(json_count(json_get(r.json, "supposed")), 0);
    assert_non_null(json_get(json_get(r.json, "program"), "path"));
    _cleanup_reply_ struct reply none =
        post(f, "/api/policy/explain", "{\"id\":\"0191d3f1-aaaa-7bbb-8ccc-0123456789ab\"}");
    assert_refused(&none, 404, "not_found");
}

static void a_question_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {
        "",
        "{}",
        "{\"command\":\"ls\"}",
        "{\"cwd\":\"/\"}",
        "{\"command\":\"\",\"cwd\":\"/\"}",
        "{\"command\":\"/\",\"cwd\":\"/\"}",
        "{\"command\":\"ls\",\"cwd\":\"tmp\"}",
        "{\"command\":\"l\\u0000s\",\"cwd\":\"/\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":\"x\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[1]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"args\":[\"a\\u0000\"]}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"env\":{}}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"uid\":-1}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"uid\":4294967295}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"uid\":\"0\"}",
        "{\"command\":\"ls\",\"cwd\":\"/\",\"id\":\"x\"}",
        "{\"id\":1}",
    };
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        _cleanup_reply_ struct reply r =
            post(f, "/api/policy/explain", bodies[i][0] ? bodies[i] : NULL);
        if (r.status != 400)
            fail_msg("%s: %s", bodies[i], r.text);
        assert_refused(&r, 400, "bad_body");
    }
}

static void history_hands_its_filters_on(void **state)
{
    struct fixture *f = *state;
    _cleanup_reply_ struct reply plain = get(f, "/api/history");
    assert_int_equal(plain.status, 200);
    assert_string_equal(plain.body,
                        "{\"history\":[{\"id\":\"1\"},{\"id\":\"2\"}],\"next\":\"c-2\"}\n");
    assert_int_equal(f->asked.limit, 50);
    assert_int_equal(f->asked.uid, -1);
    assert_string_equal(f->asked_text, "-|-|-|-|-|-");
    assert_int_equal(f->asked.exit_code, -1);
    _cleanup_reply_ struct reply all =
        get(f, "/api/"
               "history?exit_code=0&rule=r&approver=ana&arg=x&signal=9&limit=1000&before=c-2&"
               "command=a+b%2Bc&decision=ask-denied&uid=0"
               "&container=x&text=%25&since=2026-01-31T08:15:00Z&id=5");
    assert_int_equal(all.status, 200);
    assert_int_equal(f->asked.limit, 1000);
    assert_int_equal(f->asked.uid, 0);
    assert_int_equal(f->asked.exit_code, 0);
    assert_int_equal(f->asked.signal, 9);
    assert_int_equal(f->asked.since, UINT64_C(1769847300) * SEC);
    assert_string_equal(f->asked_text, "c-2|5|a b+c|ask-denied|x|%");
}

static void history_refuses_what_it_does_not_know(void **state)
{
    struct fixture *f = *state;
    static const char *const bad[] = {"limit=0",
                                      "limit=1001",
                                      "limit=-1",
                                      "uid=x",
                                      "uid=4294967296",
                                      "since=today",
                                      "other=1",
                                      "command=%ff%00",
                                      "command=a&command=b",
                                      "decision=maybe",
                                      "limit",
                                      "exit_code=256",
                                      "exit_code=-1",
                                      "signal=x",
                                      "format=csv",
                                      "before=1&cursor=1"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "/api/history?%s", bad[i]);
        _cleanup_reply_ struct reply r = get(f, path);
        if (r.status != 400)
            fail_msg("'%s': %s", bad[i], r.text);
    }
    f->history = -EINVAL;
    _cleanup_reply_ struct reply cursor = get(f, "/api/history?cursor=x");
    assert_refused(&cursor, 400, "bad_query");
    f->history = -EIO;
    _cleanup_reply_ struct reply broken = get(f, "/api/history");
    assert_refused(&broken, 503, "unavailable");
}

static void history_may_come_later_even_after_the_api_has_gone(void **state)
{
    struct fixture *f = *state;
    static const char ask_later[] =
        "GET /api/history HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    f->hold = true;
    int fd = dial_unix(&f->h);
    assert_int_equal(send(fd, ask_later, sizeof(ask_later) - 1, MSG_NOSIGNAL),
                     sizeof(ask_later) - 1);
    turn_for(&f->h, 50);
    history_answer(f);
    struct buf out = BUF_INIT(1u << 20);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_has(buf_str(&out), "\"history\":[{\"id\":\"1\"}");
    buf_done(&out);
    (void)close(fd);
    fd = dial_unix(&f->h);
    assert_int_equal(send(fd, ask_later, sizeof(ask_later) - 1, MSG_NOSIGNAL),
                     sizeof(ask_later) - 1);
    turn_for(&f->h, 50);
    api_stop(TAKE_PTR(f->api), api_gone, f);
    assert_true(hear(&f->h, fd, &out, NULL, 0));
    assert_starts(buf_str(&out), "HTTP/1.1 503 ");
    buf_done(&out);
    (void)close(fd);
    turn_for(&f->h, 100);
    assert_true(f->gone);
    history_answer(f);
}

static void metrics_are_in_the_form_of_prometheus(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c[2];
    (void)submit(f, &c[0], "git push");
    (void)submit(f, &c[1], "rm -r /");
    _cleanup_reply_ struct reply r = get(f, "/metrics");
    assert_int_equal(r.status, 200);
    assert_has(r.text, "Content-Type: text/plain; version=0.0.4");
    static const char *const lines[] = {
        "# TYPE clawrden_requests_total counter\n",
        "\",decision=\"deny\"} 1\n",
        "# TYPE clawrden_queue_size gauge\nclawrden_queue_size 1\n",
        "# TYPE clawrden_execution_duration_seconds histogram\n",
        "clawrden_execution_duration_seconds_bucket{le=\"+Inf\"} 0\n",
        "clawrden_execution_duration_seconds_sum 0\n",
        "clawrden_execution_duration_seconds_count 0\n",
        "# TYPE clawrden_errors_total counter\n",
        "clawrden_errors_total{kind=\"audit\"} 0\n"};
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        assert_has(r.body, lines[i]);
}

/* ---- the feed ---- */

static int listen_feed(struct fixture *f, const char *token, struct buf *out)
{
    char text[512];
    int fd = dial_tcp(&f->h);
    int n = snprintf(
        text, sizeof(text),
        "GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer %s\r\n\r\n", token);
    assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
    assert_false(hear(&f->h, fd, out, "event: hello\n", 1));
    return fd;
}

static void approvers_hear_all_of_a_request_and_viewers_what_records_say(void **state)
{
    struct fixture *f = *state;
    static struct fake_caller c;
    struct buf a = BUF_INIT(1u << 20), b = BUF_INIT(1u << 20);
    int approver = listen_feed(f, APPROVER, &a), viewer = listen_feed(f, VIEWER, &b);
    (void)submit(f, &c, "git push");
    assert_false(hear(&f->h, approver, &a, "event: queued\n", 1));
    assert_false(hear(&f->h, viewer, &b, "event: queued\n", 1));
    turn_for(&f->h, 20);
    assert_has(buf_str(&a), "\"digest\":");
    assert_null(strstr(buf_str(&b), "\"digest\":"));
    assert_has(buf_str(&b), "\"command_line\":\"git push\",\"shortened\":false");
    buf_done(&a);
    buf_done(&b);
    (void)close(approver);
    (void)close(viewer);
}

static void of_one_login_so_many_may_listen(void **state)
{
    struct fixture *f = *state;
    enum { SOME = 150 };
    int fds[SOME];
    for (int i = 0; i < SOME; i++) {
        struct buf out = BUF_INIT(1u << 20);
        fds[i] = listen_feed(f, VIEWER, &out);
        buf_done(&out);
    }
    _cleanup_reply_ struct reply r = call(f, VIEWER, "GET", "/api/status", "", NULL);
    assert_int_equal(r.status, 200); /* more than the listener's connections, and no matter */
    for (int i = 0; i < SOME; i++)
        (void)close(fds[i]);
}

/* ---- sessions ---- */

/* The cookie "NAME=VALUE" of an answer, or "". */
static void cookie_of(const struct reply *r, char out[256])
{
    const char *s = strstr(r->text, "Set-Cookie: ");
    out[0] = '\0';
    if (s)
        (void)snprintf(out, 256, "%.*s", (int)strcspn(s + 12, ";"), s + 12);
}

static int with_cookie(struct fixture *f, const char *cookie, char out[256])
{
    char header[512];
    (void)snprintf(header, sizeof(header), "Cookie: %s\r\n", cookie);
    _cleanup_reply_ struct reply r = call(f, "", "GET", "/api/session", header, NULL);
    cookie_of(&r, out);
    return r.status;
}

static void a_cookie_changes_and_the_one_before_counts_for_a_while(void **state)
{
    struct fixture *f = *state;
    char first[256], second[256], third[256], none[256];
    _cleanup_reply_ struct reply r =
        call(f, "", "POST", "/api/login", "", "{\"token\": \"" ADMIN "\"}");
    assert_int_equal(r.status, 200);
    cookie_of(&r, first);
    assert_int_equal(with_cookie(f, first, none), 200);
    assert_string_equal(none, "");
    world_advance(&f->world, 11 * 60 * SEC);
    assert_int_equal(with_cookie(f, first, second), 200);
    assert_string_not_equal(second, "");
    assert_string_not_equal(second, first);
    /* The answer may have been lost: the old one counts, and gets another one by and by. */
    assert_int_equal(with_cookie(f, first, none), 200);
    assert_string_equal(none, "");
    world_advance(&f->world, 5 * 60 * SEC);
    assert_int_equal(with_cookie(f, first, third), 200);
    assert_string_not_equal(third, "");
    assert_int_equal(with_cookie(f, second, none), 401);
    /* Once the new one has come back, the old one has a minute. */
    assert_int_equal(with_cookie(f, third, none), 200);
    assert_int_equal(with_cookie(f, first, none), 200);
    world_advance(&f->world, 61 * SEC);
    assert_int_equal(with_cookie(f, first, none), 401);
    assert_int_equal(with_cookie(f, third, none), 200);
}

static void a_session_ends_when_idle_and_at_its_age(void **state)
{
    struct fixture *f = *state;
    char idle[256], busy[256], fresh[256];
    _cleanup_reply_ struct reply a =
        call(f, "", "POST", "/api/login", "", "{\"token\": \"" VIEWER "\"}");
    _cleanup_reply_ struct reply b =
        call(f, "", "POST", "/api/login", "", "{\"token\": \"" VIEWER "\"}");
    cookie_of(&a, idle);
    cookie_of(&b, busy);
    for (int minutes = 0; minutes < 12 * 60; minutes += 30) {
        assert_int_equal(with_cookie(f, busy, fresh), 200);
        if (fresh[0])
            (void)snprintf(busy, sizeof(busy), "%s", fresh);
        world_advance(&f->world, 30 * 60 * SEC);
    }
    assert_int_equal(with_cookie(f, busy, fresh), 401);
    assert_int_equal(with_cookie(f, idle, fresh), 401);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(approvers_hear_all_of_a_request_and_viewers_what_records_say),
        CASE(of_one_login_so_many_may_listen),
        CASE(health_needs_no_login_and_tells_no_more_than_names),
        CASE(a_log_that_refuses_records_makes_it_not_ready),
        CASE(status_says_how_things_are),
        CASE(without_login_everything_else_is_401),
        CASE(the_token_is_a_login_and_a_wrong_one_is_none),
        CASE(a_governed_peer_has_no_login_whatever_it_presents),
        CASE(roles_are_kept),
        CASE(another_name_and_another_site_are_refused),
        CASE(the_checks_come_in_their_order),
        CASE(a_body_that_is_not_what_it_should_be_is_refused),
        CASE(the_queue_shows_what_waits_and_nothing_else),
        CASE(a_very_long_command_is_whole_alone_and_short_in_the_list),
        CASE(an_approval_starts_it_once),
        CASE(a_denial_reaches_the_caller_with_its_comment),
        CASE(an_answer_to_what_was_not_seen_is_stale),
        CASE(an_answer_after_the_deadline_finds_nothing),
        CASE(of_many_answers_at_once_one_counts),
        CASE(an_operator_kills_what_runs),
        CASE(all_means_what_runs_and_what_waits),
        CASE(a_kill_that_says_nothing_clear_kills_nothing),
        CASE(the_policy_is_shown_and_reloaded),
        CASE(a_supposed_command_is_explained),
        CASE(what_waits_is_explained_with_its_facts),
        CASE(a_question_that_is_none_is_refused),
        CASE(history_hands_its_filters_on),
        CASE(history_refuses_what_it_does_not_know),
        CASE(history_may_come_later_even_after_the_api_has_gone),
        CASE(metrics_are_in_the_form_of_prometheus),
        CASE(a_cookie_changes_and_the_one_before_counts_for_a_while),
        CASE(a_session_ends_when_idle_and_at_its_age),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
