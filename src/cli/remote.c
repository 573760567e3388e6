/* SPDX-License-Identifier: MIT */
/* The way to the warden. An address that the person named is used as it is; only without one the
 * usual socket is tried, and the sessions of `clawrden run`: their queues are shown as one, and an
 * answer goes to the one that knows the request. */
#include "cli/remote.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/contexts.h"
#include "cli/sessions.h"
#include "cli/show.h"
#include "http/client.h"

#define TOKEN_FILE_MAX 4096
#define ANSWER_NODES_MAX (8u << 20) /* values: a queue of commands with very many arguments */

void remote_answer_done(struct remote_answer *a)
{
    a->root = json_free(a->root);
}

/* Where to ask: what the person named, else the usual socket and every session that runs. */
struct targets {
    char **addresses; /* owned; NULL-terminated */
    size_t count;
    const char *how;  /* for the words of a failure */
    char *token, *ca; /* owned: of a context; NULL: none */
};
#define _cleanup_targets_ _cleanup_(targets_done)

static void targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->count; i++)
        free(t->addresses[i]);
    free(t->addresses);
    if (t->token)
        explicit_bzero(t->token, strlen(t->token));
    free(t->token);
    free(t->ca);
}

/* Takes `address`. */
static void targets_add(struct targets *t, char *address)
{
    t->addresses = mem_realloc_array(t->addresses, t->count + 2, sizeof(*t->addresses));
    t->addresses[t->count++] = address;
    t->addresses[t->count] = NULL;
}

/* The warden that the person chose by name, or has in use. 0, or an enum cli_exit with the
 * words out. */
static int find_context(const struct cli *c, struct targets *t, bool *ret_found)
{
    _cleanup_contexts_ struct contexts all = CONTEXTS_INIT;
    struct err err = {""};
    const char *env = getenv("CLAWRDEN_CONTEXT");
    const char *name = c->context ? c->context : env && env[0] ? env : NULL;
    *ret_found = false;
    if (contexts_load(&all, &err) < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    if (!name)
        name = all.current;
    if (!name || str_eq(name, "-"))
        return CLI_OK;
    const struct context *one = contexts_find(&all, name);
    if (!one)
        return cli_fail(CLI_USAGE, "no warden is called so: see 'clawrden context list'");
    t->how = "a context; see 'clawrden context list'";
    t->token = mem_strdup(one->token);
    t->ca = mem_strdup(one->ca);
    targets_add(t, mem_strdup(one->api));
    *ret_found = true;
    return CLI_OK;
}

/* 0, or an enum cli_exit with the words out. */
static int find_targets(const struct cli *c, struct targets *t)
{
    const char *env = c->context ? NULL : getenv("CLAWRDEN_API");
    bool found = false;
    if (c->api || c->session || (env && env[0])) {
        t->how = c->api       ? "given by --api"
                 : c->session ? "given by --session"
                              : "given by CLAWRDEN_API";
        _cleanup_free_ char *root = sessions_root();
        targets_add(t, c->api       ? mem_strdup(c->api)
                       : c->session ? mem_printf("unix:%s/%s/api.sock", root, c->session)
                                    : mem_strdup(env));
        return CLI_OK;
    }
    int r = find_context(c, t, &found);
    if (r != CLI_OK || found)
        return r;
    struct sessions s;
    _cleanup_free_ char *dir = cli_state_dir(), *path = path_join(dir, "api.sock");
    t->how = "the default";
    sessions_find(&s);
    /* Named even when nobody listens there, unless a session does: then it is that what is meant.
     */
    if (s.count == 0 || access(path, F_OK) == 0)
        targets_add(t, mem_printf("unix:%s", path));
    for (size_t i = 0; i < s.count; i++)
        targets_add(t, mem_strdup(s.addresses[i]));
    sessions_done(&s);
    return CLI_OK;
}

int remote_token(const struct cli *c, char **ret)
{
    const char *env = getenv("CLAWRDEN_TOKEN"), *env_file = getenv("CLAWRDEN_TOKEN_FILE");
    const char *file = c->token_file ? c->token_file : env_file;
    if (c->token)
        *ret = mem_strdup(c->token);
    else if (!c->token_file && env && env[0])
        *ret = mem_strdup(env);
    else if (file && file[0]) {
        _cleanup_buf_ struct buf b = BUF_INIT(TOKEN_FILE_MAX);
        struct err err = {0};
        if (fd_read_file(file, TOKEN_FILE_MAX, &b, &err) < 0)
            return cli_fail(CLI_USAGE, "cannot read the token: %s", err.text);
        size_t n = strcspn(buf_str(&b), "\r\n");
        *ret = mem_strndup(buf_str(&b), n);
    }
    return CLI_OK;
}

static const char *advice(const struct cli *c, int r)
{
    if (r == -EACCES || r == -EPERM)
        return "only the warden's own user may use its socket: run this as that user, or use\n"
               "          --api http://HOST:PORT with --token-file";
    if (r == -EINVAL)
        return "see clawrden --help for addresses";
    if (r == -ETIMEDOUT || r == -EMSGSIZE)
        return "the warden is there but does not answer as it should: look at its log";
    return "is the warden running? Start clawrden-warden, or name another one by --api";
}

static int unreachable(const struct cli *c, int r, const char *how, const struct err *err)
{
    if (c->quiet)
        return r == -EINVAL ? CLI_USAGE : CLI_UNREACHABLE;
    (void)cli_fail(CLI_UNREACHABLE, "%s (%s)", err->text, how);
    (void)fprintf(stderr, "          %s\n", advice(c, r));
    return r == -EINVAL ? CLI_USAGE : CLI_UNREACHABLE;
}

static int take_answer(const struct client_response *r, struct remote_answer *ret)
{
    struct err err = {0};
    ret->status = r->status;
    if (r->body.len > 0 &&
        json_parse(buf_str(&r->body), r->body.len, ANSWER_NODES_MAX, &ret->root, &err) < 0 &&
        r->status / 100 == 2)
        return cli_fail(CLI_UNREACHABLE, "what answers there is no warden of this version: %s",
                        err.text);
    if (r->status / 100 != 2) {
        (void)client_error_code(r, ret->code, sizeof(ret->code));
        (void)client_error_text(r, ret->message, sizeof(ret->message));
    }
    return CLI_OK;
}

/* Which authority vouches; NULL: the system's. */
static const char *find_ca(const struct cli *c, const struct targets *t)
{
    const char *env = getenv("CLAWRDEN_CA");
    if (c->ca)
        return c->ca;
    return t->ca ? t->ca : env && env[0] ? env : NULL;
}

/* The `i`th of them. */
static int ask_one(struct cli *c, const struct targets *t, size_t i, const char *method,
                   const char *path, const struct buf *body, struct remote_answer *ret)
{
    _cleanup_free_ char *token = NULL;
    const char *how = t->how;
    int r = remote_token(c, &token);
    if (r != CLI_OK)
        return r;
    struct client_target target = {
        .address = t->addresses[i], .token = token ? token : t->token, .ca = find_ca(c, t)};
    _cleanup_client_response_ struct client_response response = CLIENT_RESPONSE_INIT;
    struct err err = {0};
    r = client_request(&target, method, path, body ? buf_str(body) : NULL, body ? body->len : 0,
                       &response, &err);
    if (r < 0)
        return unreachable(c, r, how, &err);
    return take_answer(&response, ret);
}

/* ---- long answers ---- */

static int stream_one(struct cli *c, const struct targets *t, const char *path,
                      bool (*take)(void *arg, const char *p, size_t n), void *arg)
{
    _cleanup_free_ char *token = NULL;
    int r = remote_token(c, &token);
    if (r != CLI_OK)
        return r;
    struct client_target target = {.address = t->addresses[0],
                                   .token = token ? token : t->token,
                                   .ca = find_ca(c, t),
                                   .take = take,
                                   .take_arg = arg};
    _cleanup_client_response_ struct client_response response = CLIENT_RESPONSE_INIT;
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    struct err err = {0};
    r = client_request(&target, "GET", path, NULL, 0, &response, &err);
    if (r == -EPIPE)
        return CLI_REFUSED; /* main() says why nothing can be written */
    if (r < 0)
        return unreachable(c, r, t->how, &err);
    if (response.status / 100 == 2)
        return CLI_OK;
    r = take_answer(&response, &answer);
    return r == CLI_OK ? remote_refused(&answer) : r;
}

static int refuse_several(const struct targets *t);

int remote_stream(struct cli *c, const char *path, bool (*take)(void *arg, const char *p, size_t n),
                  void *arg)
{
    _cleanup_targets_ struct targets t = {0};
    int r = find_targets(c, &t);
    if (r != CLI_OK)
        return r;
    return t.count == 1 ? stream_one(c, &t, path, take, arg) : refuse_several(&t);
}

size_t remote_targets(const struct cli *c, struct remote_target *ret, size_t max)
{
    _cleanup_targets_ struct targets t = {0};
    size_t n = 0;
    if (find_targets(c, &t) != CLI_OK)
        return 0;
    for (; n < t.count && n < max; n++) {
        ret[n] = (struct remote_target){.address = mem_strdup(t.addresses[n]),
                                        .ca = mem_strdup(find_ca(c, &t))};
        if (remote_token(c, &ret[n].token) != CLI_OK)
            ret[n].token = NULL;
        if (!ret[n].token)
            ret[n].token = mem_strdup(t.token);
    }
    return n;
}

/* ---- several wardens ---- */

#define TAKE_ANSWER(a)                                                                             \
    ({                                                                                             \
        struct remote_answer take_ = (a);                                                          \
        (a) = REMOTE_ANSWER_INIT;                                                                  \
        take_;                                                                                     \
    })

static bool is_list(const char *path)
{
    size_t n = strcspn(path, "?");
    return (n == strlen("/api/queue") && str_starts(path, "/api/queue")) ||
           (n == strlen("/api/running") && str_starts(path, "/api/running"));
}

/* About one request, which one of them knows. */
static bool is_about_one(const char *path)
{
    return str_starts(path, "/api/queue/") || str_eq(path, "/api/kill") ||
           str_eq(path, "/api/pause") || str_eq(path, "/api/resume");
}

static int refuse_several(const struct targets *t)
{
    _cleanup_buf_ struct buf names = BUF_INIT(65536);
    struct sessions s;
    sessions_find(&s);
    for (size_t i = 0; i < s.count; i++)
        (void)buf_printf(&names, " %s", s.names[i]);
    sessions_done(&s);
    return cli_fail(CLI_USAGE, "%zu wardens run here: name one by --session NAME (%s), or by --api",
                    t->count, buf_str(&names) + (names.len ? 1 : 0));
}

/* The lists of all that answer, as one. */
static int merge(struct cli *c, const struct targets *t, const char *path,
                 struct remote_answer *ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(SHOW_BYTES_MAX);
    struct json_writer w = JSON_WRITER(&text);
    struct err err = {0};
    size_t answered = 0;
    json_array_begin(&w);
    for (size_t i = 0; i < t->count; i++) {
        _cleanup_remote_ struct remote_answer one = REMOTE_ANSWER_INIT;
        int r = ask_one(c, t, i, "GET", path, NULL, &one);
        if (r == CLI_USAGE)
            return r;
        const struct json *list =
            r == CLI_OK && one.status == 200 ? remote_list(&one, str_basename(path)) : NULL;
        answered += list != NULL;
        for (size_t k = 0; list && k < json_count(list); k++)
            json_put_tree(&w, json_at(list, k));
    }
    json_array_end(&w);
    if (answered == 0)
        return cli_fail(CLI_UNREACHABLE, "none of the %zu wardens that run here answers", t->count);
    ret->status = 200;
    if (text.failed || json_parse(buf_str(&text), text.len, ANSWER_NODES_MAX, &ret->root, &err) < 0)
        return cli_fail(CLI_UNREACHABLE, "the lists of %zu wardens are too long", t->count);
    return CLI_OK;
}

/* The first that knows the request. */
static int ask_around(struct cli *c, const struct targets *t, const char *method, const char *path,
                      const struct buf *body, struct remote_answer *ret)
{
    int result = CLI_UNREACHABLE;
    for (size_t i = 0; i < t->count; i++) {
        struct remote_answer one = REMOTE_ANSWER_INIT;
        int r = ask_one(c, t, i, method, path, body, &one);
        if (r == CLI_OK) {
            remote_answer_done(ret);
            *ret = one;
            result = r;
            if (one.status != 404)
                return r;
        }
    }
    return result == CLI_OK
               ? result
               : cli_fail(result, "none of the %zu wardens that run here answers", t->count);
}

int remote_call(struct cli *c, const char *method, const char *path, const struct buf *body,
                struct remote_answer *ret)
{
    _cleanup_targets_ struct targets t = {0};
    int r = find_targets(c, &t);
    if (r != CLI_OK)
        return r;
    if (t.count == 1)
        return ask_one(c, &t, 0, method, path, body, ret);
    bool quiet = c->quiet;
    c->quiet = true; /* one that has just ended is no news */
    if (is_list(path) && !body)
        r = merge(c, &t, path, ret);
    else if (is_about_one(path))
        r = ask_around(c, &t, method, path, body, ret);
    else
        r = refuse_several(&t);
    c->quiet = quiet;
    return r;
}

int remote_refused(const struct remote_answer *a)
{
    if (a->status == 401)
        return cli_fail(CLI_UNREACHABLE,
                        "the warden does not know who you are: %s\n"
                        "          give a token by --token-file FILE or CLAWRDEN_TOKEN",
                        a->message);
    return cli_fail(CLI_REFUSED, "%s", a->message);
}

int remote_ask(struct cli *c, const char *method, const char *path, const struct buf *body,
               struct remote_answer *ret)
{
    int r = remote_call(c, method, path, body, ret);
    if (r == CLI_OK && ret->status / 100 != 2)
        return remote_refused(ret);
    return r;
}

const struct json *remote_list(const struct remote_answer *a, const char *name)
{
    if (!a->root || json_is_array(a->root))
        return a->root;
    const struct json *j = json_is_object(a->root) ? json_get(a->root, name) : NULL;
    return j && json_is_array(j) ? j : NULL;
}

int remote_get_list(struct cli *c, const char *path, const char *name, struct remote_answer *ret,
                    const struct json **ret_list)
{
    int r = remote_ask(c, "GET", path, NULL, ret);
    if (r != CLI_OK)
        return r;
    *ret_list = remote_list(ret, name);
    if (!*ret_list) /* and not "nothing waits" */
        return cli_fail(CLI_UNREACHABLE, "what answers there is no warden of this version");
    return CLI_OK;
}

int remote_ask_each(struct cli *c, const char *method, const char *path, const struct buf *body,
                    int (*fn)(void *arg, const struct remote_answer *a), void *arg)
{
    _cleanup_targets_ struct targets t = {0};
    struct remote_answer refused = REMOTE_ANSWER_INIT;
    size_t agreed = 0;
    int result = CLI_OK, unreached = find_targets(c, &t);
    if (unreached != CLI_OK)
        return unreached;
    bool quiet = c->quiet;
    for (size_t i = 0; i < t.count; i++) {
        struct remote_answer one = REMOTE_ANSWER_INIT;
        c->quiet = quiet || t.count > 1;
        int r = ask_one(c, &t, i, method, path, body, &one);
        c->quiet = quiet;
        if (r != CLI_OK) {
            unreached = r;
        } else if (one.status / 100 == 2) {
            agreed++;
            r = fn(arg, &one);
            result = r == CLI_OK ? result : r;
        } else {
            remote_answer_done(&refused);
            refused = TAKE_ANSWER(one);
        }
        remote_answer_done(&one);
    }
    if (agreed == 0 && refused.status)
        result = remote_refused(&refused);
    else if (agreed == 0 && t.count > 1)
        result = cli_fail(unreached, "none of the %zu wardens that run here answers", t.count);
    else if (agreed == 0)
        result = unreached;
    remote_answer_done(&refused);
    return result;
}
