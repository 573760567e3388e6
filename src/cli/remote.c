/* SPDX-License-Identifier: MIT */
/* The way to the warden. An address that the person named is used as it is; only without one the
 * usual socket is tried. */
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
#include "http/client.h"

#define TOKEN_FILE_MAX 4096
#define ANSWER_NODES_MAX (8u << 20) /* values: a queue of commands with very many arguments */

void remote_answer_done(struct remote_answer *a)
{
    a->root = json_free(a->root);
}

/* Owned. `ret_how` says where it came from, for the words of a failure. */
static char *find_address(const struct cli *c, const char **ret_how)
{
    const char *env = getenv("CLAWRDEN_API");
    if (c->api) {
        *ret_how = "given by --api";
        return mem_strdup(c->api);
    }
    if (env && env[0]) {
        *ret_how = "given by CLAWRDEN_API";
        return mem_strdup(env);
    }
    *ret_how = "the default";
    _cleanup_free_ char *dir = cli_state_dir();
    return mem_printf("unix:%s/api.sock", dir);
}

/* 0, or an enum cli_exit with the words out. `ret` stays NULL without a token. */
static int find_token(const struct cli *c, char **ret)
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

int remote_call(struct cli *c, const char *method, const char *path, const struct buf *body,
                struct remote_answer *ret)
{
    const char *how;
    _cleanup_free_ char *address = find_address(c, &how);
    _cleanup_free_ char *token = NULL;
    int r = find_token(c, &token);
    if (r != CLI_OK)
        return r;
    struct client_target target = {.address = address, .token = token};
    _cleanup_client_response_ struct client_response response = CLIENT_RESPONSE_INIT;
    struct err err = {0};
    r = client_request(&target, method, path, body ? buf_str(body) : NULL, body ? body->len : 0,
                       &response, &err);
    if (r < 0)
        return unreachable(c, r, how, &err);
    return take_answer(&response, ret);
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
