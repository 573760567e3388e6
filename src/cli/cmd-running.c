/* SPDX-License-Identifier: MIT */
/* clawrden running: the commands that run now. */
#include <stdio.h>

#include "cli/cmd.h"
#include "cli/query.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "cli/table.h"

int cmd_running(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"ID", "AGE", "LEFT", "UID", "PID", "COMMAND", NULL};
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    _cleanup_buf_ struct buf path = BUF_INIT(QUERY_PATH_MAX);
    (void)buf_append_str(&path, "/api/running");
    int r = query_add_list(&path, a);
    if (r == CLI_OK)
        r = remote_get_list(c, buf_str(&path), "running", &answer, &list);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_lines(list);
        return CLI_OK;
    }
    if (json_count(list) == 0) {
        printf(query_has_list(a) ? "nothing runs that matches\n" : "nothing runs\n");
        return CLI_OK;
    }
    _cleanup_(table_freep) struct table *t = table_new(titles);
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        _cleanup_free_ char *id = show_id(o), *age = show_age(o, "started_at"),
                            *left = show_left(o, "deadline"), *uid = show_text(o, "uid"),
                            *pid = show_text(o, "command_pid"), *command = show_command(o);
        const char *const cells[] = {id, age, left, uid, pid, command};
        table_add_row(t, cells);
    }
    table_print(t, stdout, table_terminal_width());
    query_print_more(a, list);
    return CLI_OK;
}
