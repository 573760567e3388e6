/* SPDX-License-Identifier: MIT */
/* clawrden token: makes, lists and revokes tokens for programs and people. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/ids.h"
#include "cli/listing.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "http/client.h"

int cmd_token_create(struct cli *c, const struct args *a)
{
    static const char *const members[] = {"role", "name", "expires"};
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf body = BUF_INIT(4096);
    struct json_writer w = JSON_WRITER(&body);
    if (!args_value(a, "role"))
        return cli_fail(CLI_USAGE, "token create needs --role: viewer, approver, operator, admin");
    json_object_begin(&w);
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        if (args_value(a, members[i]))
            json_field_string(&w, members[i], args_value(a, members[i]));
    json_object_end(&w);
    if (body.failed)
        return cli_fail(CLI_USAGE, "the name is too long");
    int r = remote_ask(c, "POST", "/api/tokens", &body, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_line(answer.root);
        return CLI_OK;
    }
    _cleanup_free_ char *token = show_text(answer.root, "token"),
                        *id = show_text(answer.root, "id"), *name = show_text(answer.root, "name"),
                        *role = show_text(answer.root, "role"),
                        *left = show_left(answer.root, "expires_at");
    printf("%s\n", token);
    (void)fflush(stdout);
    (void)fprintf(stderr, "token %s, %s, role %s, %s%s; it is not shown again\n", id, name, role,
                  left[0] ? "expires in " : "does not expire", left);
    return CLI_OK;
}

static void add_row(struct table *t, const struct json *o)
{
    _cleanup_free_ char *id = show_text(o, "id"), *role = show_text(o, "role"),
                        *made = show_time(o, "created_at"), *by = show_text(o, "by"),
                        *left = show_left(o, "expires_at"), *used = show_age(o, "used_at"),
                        *name = show_text(o, "name");
    const char *const cells[] = {
        id, role, made, by[0] ? by : "-", left[0] ? left : "never", used[0] ? used : "-", name};
    table_add_row(t, cells);
}

int cmd_token_list(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"ID",         "ROLE", "MADE", "BY",
                                         "EXPIRES IN", "USED", "NAME", NULL};
    static const struct listing l = {
        .path = "/api/tokens", .member = "tokens", .titles = titles, .add = add_row};
    return listing_show(c, &l);
}

/* By its whole id or by its name, which must be of one token only. */
static int find_id(struct cli *c, const char *typed, char id[64])
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    int r = remote_get_list(c, "/api/tokens", "tokens", &answer, &list);
    size_t found = 0;
    for (size_t i = 0; r == CLI_OK && i < json_count(list); i++) {
        const char *one = json_string(json_get(json_at(list, i), "id"), NULL),
                   *name = json_string(json_get(json_at(list, i), "name"), NULL);
        if (!str_eq(one, typed) && !str_eq(name, typed))
            continue;
        (void)snprintf(id, 64, "%s", one ? one : "");
        if (str_eq(one, typed))
            return CLI_OK;
        found++;
    }
    if (r != CLI_OK)
        return r;
    _cleanup_buf_ struct buf seen = BUF_INIT(65536);
    (void)str_escape(&seen, typed, strlen(typed));
    if (found > 1)
        return cli_fail(CLI_REFUSED, "%zu tokens are called '%s': name one by its id", found,
                        buf_str(&seen));
    return found ? CLI_OK
                 : cli_fail(CLI_REFUSED, "no token has the id or name '%s'", buf_str(&seen));
}

int cmd_token_revoke(struct cli *c, const struct args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
        _cleanup_buf_ struct buf path = BUF_INIT(1024);
        char id[64] = "";
        int r = find_id(c, a->words[i], id);
        if (r != CLI_OK)
            return r;
        (void)buf_append_str(&path, "/api/tokens/");
        (void)client_encode(&path, id, strlen(id));
        r = remote_ask(c, "DELETE", buf_str(&path), NULL, &answer);
        if (r != CLI_OK)
            return r;
        _cleanup_free_ char *name = show_text(answer.root, "name");
        if (c->json)
            show_json_line(answer.root);
        else
            printf("revoked %s, %s\n", id, name);
    }
    return CLI_OK;
}
