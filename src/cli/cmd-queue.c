/* SPDX-License-Identifier: MIT */
/* clawrden queue: what waits for an answer. Each command is shown whole, every byte of it, and
 * cannot reach the rows of others (table.h, show.h). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cmd.h"
#include "cli/ids.h"
#include "cli/query.h"
#include "cli/remote.h"
#include "cli/request-text.h"
#include "cli/screen.h"
#include "cli/show.h"
#include "cli/table.h"

static void print_table(const struct json *list)
{
    static const char *const titles[] = {"ID", "AGE", "LEFT", "UID", "RULE", "COMMAND", NULL};
    _cleanup_(table_freep) struct table *t = table_new(titles);
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        _cleanup_free_ char *id = show_id(o), *age = show_age(o, "waiting_at"),
                            *left = show_left(o, "deadline"), *uid = show_text(o, "uid"),
                            *rule = show_text(o, "rule"), *command = show_command(o);
        const char *const cells[] = {id, age, left, uid, rule, command};
        table_add_row(t, cells);
    }
    table_print(t, stdout, table_terminal_width());
}

static int show_all(struct cli *c, const struct args *a)
{
    _cleanup_buf_ struct buf path = BUF_INIT(QUERY_PATH_MAX);
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    (void)buf_append_str(&path, "/api/queue");
    int r = query_add_list(&path, a);
    if (r == CLI_OK)
        r = remote_get_list(c, buf_str(&path), "queue", &answer, &list);
    if (r != CLI_OK)
        return r;
    if (c->json)
        show_json_lines(list);
    else if (json_count(list) == 0)
        printf(query_has_list(a) ? "nothing waits that matches\n" : "nothing waits\n");
    else
        print_table(list);
    if (!c->json)
        query_print_more(a, list);
    return CLI_OK;
}

static int show_one(struct cli *c, const char *typed)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = request_text_fetch(c, typed, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json)
        show_json_line(answer.root);
    else
        request_text_print(answer.root, stdout);
    return CLI_OK;
}

int cmd_queue(struct cli *c, const struct args *a)
{
    if (args_flag(a, "watch"))
        return a->count || c->json || query_has_list(a)
                   ? cli_fail(CLI_USAGE, "--watch takes no id, no filter and no --json")
                   : screen_run(c);
    if (a->count && query_has_list(a))
        return cli_fail(CLI_USAGE, "either an id or filters");
    return a->count ? show_one(c, a->words[0]) : show_all(c, a);
}
