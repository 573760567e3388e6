/* SPDX-License-Identifier: MIT */
/* clawrden session, clawrden link: who is logged in by a browser, and a way to become so. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/listing.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "http/client.h"

int cmd_link(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = remote_ask(c, "POST", "/api/links", NULL, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_line(answer.root);
        return CLI_OK;
    }
    _cleanup_free_ char *link = show_text(answer.root, "link"),
                        *left = show_left(answer.root, "expires_at");
    printf("%s\n", link);
    (void)fflush(stdout);
    (void)fprintf(stderr, "opens the warden for you in a browser, once, within %s\n", left);
    return CLI_OK;
}

static void add_row(struct table *t, const struct json *o)
{
    _cleanup_free_ char *id = show_text(o, "id"), *who = show_text(o, "who"),
                        *role = show_text(o, "role"), *by = show_text(o, "method"),
                        *since = show_time(o, "created_at"), *used = show_age(o, "used_at"),
                        *left = show_left(o, "expires_at"), *address = show_text(o, "address");
    const char *const cells[] = {id, who, role, by, since, used, left, address};
    table_add_row(t, cells);
}

int cmd_session_list(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"ID",       "WHO",     "ROLE",    "BY", "SINCE",
                                         "LAST USE", "ENDS IN", "ADDRESS", NULL};
    static const struct listing l = {.path = "/api/sessions",
                                     .member = "sessions",
                                     .titles = titles,
                                     .add = add_row,
                                     .empty = "nobody is logged in by a browser"};
    return listing_show(c, &l);
}

int cmd_session_revoke(struct cli *c, const struct args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
        _cleanup_buf_ struct buf path = BUF_INIT(1024);
        (void)buf_append_str(&path, "/api/sessions/");
        (void)client_encode(&path, a->words[i], strlen(a->words[i]));
        if (path.failed)
            return cli_fail(CLI_USAGE, "this is no id of a session");
        int r = remote_ask(c, "DELETE", buf_str(&path), NULL, &answer);
        if (r != CLI_OK)
            return r;
        _cleanup_free_ char *who = show_text(answer.root, "who"),
                            *id = show_text(answer.root, "id");
        if (c->json)
            show_json_line(answer.root);
        else
            printf("ended %s of %s\n", id, who);
    }
    return CLI_OK;
}
