/* SPDX-License-Identifier: MIT */
/* clawrden user: people who log in with a name and a password. Passwords are typed, or come from
 * stdin; they are never arguments. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/listing.h"
#include "cli/remote.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "http/client.h"

static int send_user(struct cli *c, const char *path, const char *name, const char *role,
                     const char *password, struct remote_answer *ret)
{
    _cleanup_buf_ struct buf body = BUF_INIT(16384);
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    if (name)
        json_field_string(&w, "name", name);
    if (role)
        json_field_string(&w, "role", role);
    if (password)
        json_field_string(&w, "password", password);
    json_object_end(&w);
    int r = body.failed ? cli_fail(CLI_USAGE, "the name is too long")
                        : remote_ask(c, "POST", path, &body, ret);
    if (body.data)
        explicit_bzero(body.data, body.len);
    if (r == CLI_OK && c->json)
        show_json_line(ret->root);
    return r;
}

static int user_path(struct buf *out, const char *name)
{
    (void)buf_append_str(out, "/api/users/");
    (void)client_encode(out, name, strlen(name));
    return out->failed ? cli_fail(CLI_USAGE, "the name is too long") : CLI_OK;
}

int cmd_user_add(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    char password[SECRET_MAX + 2];
    if (!args_value(a, "role"))
        return cli_fail(CLI_USAGE, "user add needs --role: viewer, approver, operator, admin");
    int r = secret_read("password, 10 bytes at least", true, password);
    if (r == CLI_OK)
        r = send_user(c, "/api/users", a->words[0], args_value(a, "role"), password, &answer);
    explicit_bzero(password, sizeof(password));
    if (r == CLI_OK && !c->json)
        printf("added %s, role %s\n", a->words[0], args_value(a, "role"));
    return r;
}

int cmd_user_passwd(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf path = BUF_INIT(1024);
    char password[SECRET_MAX + 2];
    int r = user_path(&path, a->words[0]);
    if (r == CLI_OK)
        r = secret_read("new password, 10 bytes at least", true, password);
    if (r == CLI_OK)
        r = send_user(c, buf_str(&path), NULL, NULL, password, &answer);
    explicit_bzero(password, sizeof(password));
    if (r == CLI_OK && !c->json)
        printf("changed; sessions of the old password have ended\n");
    return r;
}

int cmd_user_role(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf path = BUF_INIT(1024);
    int r = user_path(&path, a->words[0]);
    if (r == CLI_OK)
        r = send_user(c, buf_str(&path), NULL, a->words[1], NULL, &answer);
    if (r == CLI_OK && !c->json)
        printf("changed; sessions of the old role have ended\n");
    return r;
}

int cmd_user_delete(struct cli *c, const struct args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
        _cleanup_buf_ struct buf path = BUF_INIT(1024);
        int r = user_path(&path, a->words[i]);
        if (r == CLI_OK)
            r = remote_ask(c, "DELETE", buf_str(&path), NULL, &answer);
        if (r != CLI_OK)
            return r;
        _cleanup_free_ char *name = show_text(answer.root, "name");
        if (c->json)
            show_json_line(answer.root);
        else
            printf("deleted %s\n", name);
    }
    return CLI_OK;
}

static void add_row(struct table *t, const struct json *o)
{
    _cleanup_free_ char *name = show_text(o, "name"), *role = show_text(o, "role"),
                        *since = show_time(o, "created_at"), *changed = show_time(o, "changed_at");
    const char *const cells[] = {name, role, since, changed};
    table_add_row(t, cells);
}

int cmd_user_list(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"NAME", "ROLE", "SINCE", "CHANGED", NULL};
    static const struct listing l = {
        .path = "/api/users", .member = "users", .titles = titles, .add = add_row};
    return listing_show(c, &l);
}
