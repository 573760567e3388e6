/* SPDX-License-Identifier: MIT */
/* clawrden policy check | explain | show | reload. Check and explain need no warden: they call the
 * functions that enforce. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/probe.h"
#include "cli/remote.h"
#include "cli/request-text.h"
#include "cli/show.h"
#include "cli/table.h"
#include "policy/policy.h"

#define EXPLAIN_MAX (16u << 20) /* bytes of an explanation */

/* 0, or CLI_REFUSED with the words out. */
static int load(const char *path, struct policy **ret)
{
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct err err = {0};
    int r = fd_read_file(path, POLICY_TEXT_MAX, &text, &err);
    if (r >= 0)
        r = policy_parse(buf_str(&text), text.len, path, ret, &err);
    if (r < 0) {
        (void)fprintf(stderr, "%s\n", err.text); /* FILE:LINE:COLUMN first, as editors like it */
        return CLI_REFUSED;
    }
    return CLI_OK;
}

int cmd_policy_check(struct cli *c, const struct args *a)
{
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    int r = load(a->words[0], &p);
    if (r != CLI_OK)
        return r;
    size_t n = policy_rules_count(p);
    if (c->json)
        printf("{\"ok\":true,\"rules\":%zu,\"digest\":\"%s\"}\n", n, policy_digest(p));
    else
        printf("ok: %zu rule%s, version %.12s\n", n, n == 1 ? "" : "s", policy_digest(p));
    return CLI_OK;
}

/* ---- explain ---- */

/* Owned; NULL when there is none, with the words out. */
static char *find_policy(const struct args *a)
{
    const char *given = args_value(a, "policy"), *env = getenv("CLAWRDEN_POLICY");
    if (given || (env && env[0]))
        return mem_strdup(given ? given : env);
    _cleanup_free_ char *dir = cli_config_dir();
    char *own = path_join(dir, "policy.yaml");
    if (access(own, F_OK) == 0)
        return own;
    if (access("/etc/clawrden/policy.yaml", R_OK) == 0) {
        free(own);
        return mem_strdup("/etc/clawrden/policy.yaml");
    }
    (void)cli_fail(CLI_USAGE,
                   "there is no policy at %s\n"
                   "          name one by --policy FILE, or write a starter by: clawrden init",
                   own);
    free(own);
    return NULL;
}

static int print_explanation(const struct cli *c, const struct policy *p,
                             const struct policy_request *q)
{
    _cleanup_buf_ struct buf out = BUF_INIT(EXPLAIN_MAX);
    int r = c->json ? policy_explain_json(p, q, &out) : policy_explain_text(p, q, &out);
    if (r < 0)
        return cli_fail(CLI_REFUSED, "cannot explain this: %s", strerror(-r));
    printf("%s%s", buf_str(&out), str_ends(buf_str(&out), "\n") ? "" : "\n");
    return CLI_OK;
}

/* By the policy that the warden has and the facts that its helper found: asked over the API. */
static int explain_request(struct cli *c, const char *typed)
{
    _cleanup_remote_ struct remote_answer request = REMOTE_ANSWER_INIT, answer = REMOTE_ANSWER_INIT;
    int r = request_text_fetch(c, typed, &request);
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf body = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    json_field_string(&w, "id", json_string(json_get(request.root, "id"), NULL));
    json_object_end(&w);
    r = remote_ask(c, "POST", "/api/policy/explain", &body, &answer);
    if (r != CLI_OK)
        return r;
    const char *text = json_string(json_get(answer.root, "text"), NULL);
    if (c->json || !text)
        show_json_line(answer.root);
    else
        printf("%s", text); /* the warden has escaped what is not its own */
    return CLI_OK;
}

int cmd_policy_explain(struct cli *c, const struct args *a)
{
    const char *request = args_value(a, "request");
    if (request ? a->count > 0 || args_value(a, "policy") || args_value(a, "uid") ||
                      args_value(a, "cwd")
                : a->count == 0)
        return cli_fail(CLI_USAGE, request
                                       ? "--request goes alone: what waits has its own command, "
                                         "user and directory"
                                       : "which command? clawrden policy explain -- COMMAND "
                                         "[ARG]..., or --request ID");
    if (request)
        return explain_request(c, request);
    const char *uid_text = args_value(a, "uid");
    uint64_t uid = getuid();
    if (uid_text && str_parse_u64(uid_text, UINT32_MAX - 1, &uid) < 0)
        return cli_fail(CLI_USAGE, "--uid: '%s' is not a user id", uid_text);
    _cleanup_free_ char *path = find_policy(a);
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    if (!path)
        return CLI_USAGE;
    int r = load(path, &p);
    if (r != CLI_OK)
        return r;
    struct err err = {0};
    struct probe *probe = NULL;
    if (probe_new(p, (uint32_t)uid, args_value(a, "cwd"), a->words, a->count, &probe, &err) < 0)
        return cli_fail(CLI_REFUSED, "%s", err.text);
    r = print_explanation(c, p, probe_request(probe));
    (void)probe_free(probe);
    return r;
}

/* ---- the warden's ---- */

int cmd_policy_reload(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = remote_ask(c, "POST", "/api/policy/reload", NULL, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_line(answer.root);
        return CLI_OK;
    }
    _cleanup_free_ char *rules = show_text(answer.root, "rules");
    _cleanup_free_ char *version = show_text(answer.root, "version");
    printf("loaded: %s rules, version %.12s\n", rules, version);
    return CLI_OK;
}

int cmd_policy_show(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = remote_ask(c, "GET", "/api/policy", NULL, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_line(answer.root);
        return CLI_OK;
    }
    static const char *const titles[] = {"LINE", "ACTION", "COMMAND", "RULE", "REASON", NULL};
    static const char *const keys[] = {"line", "action", "command", "name", "reason", NULL};
    _cleanup_(table_freep) struct table *t = table_new(titles);
    const struct json *rules = remote_list(&answer, "rules");
    for (size_t i = 0; rules && i < json_count(rules); i++) {
        for (size_t k = 0; keys[k]; k++) {
            _cleanup_free_ char *cell = show_text(json_at(rules, i), keys[k]);
            table_add(t, cell);
        }
    }
    table_print(t, stdout, table_terminal_width());
    return CLI_OK;
}
