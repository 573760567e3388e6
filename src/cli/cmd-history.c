/* SPDX-License-Identifier: MIT */
/* clawrden history: what was asked, what was decided, how it ended; newest first, page by page. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "cli/table.h"
#include "http/client.h"

#define LIMIT_DEFAULT "50"
#define PATH_MAX_BYTES (64u << 10)

static void add_parameter(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(path, "%c%s=", strchr(buf_str(path), '?') ? '&' : '?', name);
    (void)client_encode(path, value, strlen(value));
}

/* A time, or a duration back from now, as the API wants it. 0 or CLI_USAGE with the words out. */
static int add_time(struct buf *path, const char *name, const char *value)
{
    uint64_t ns;
    char text[32];
    if (!value)
        return CLI_OK;
    if (str_parse_duration(value, &ns, NULL) == 0) {
        uint64_t now = clock_realtime();
        add_parameter(path, name, clock_format(now > ns ? now - ns : 0, text));
        return CLI_OK;
    }
    if (clock_parse(value, &ns) < 0)
        return cli_fail(CLI_USAGE,
                        "--%s: '%s' is neither a duration (2h, 15m) nor a time "
                        "(2026-01-31T08:00:00Z)",
                        name, value);
    add_parameter(path, name, value);
    return CLI_OK;
}

/* How it ended, in few characters: "0", "exit 1", "SIGTERM", "timeout". */
static char *end_text(const struct json *o)
{
    const struct json *code = json_get(o, "exit_code"), *sig = json_get(o, "signal");
    if (json_bool(json_get(o, "timeout_violation"), false))
        return mem_strdup("timeout");
    if (sig && (json_is_integer(sig) || json_is_string(sig))) {
        _cleanup_free_ char *name = show_text(o, "signal");
        return mem_printf("signal %s", name);
    }
    if (code && json_is_integer(code))
        return mem_printf("exit %lld", (long long)json_integer(code, 0));
    return mem_strdup("-");
}

static void print_table(const struct json *list)
{
    static const char *const titles[] = {"TIME", "ID", "DECISION", "END", "UID", "COMMAND", NULL};
    _cleanup_(table_freep) struct table *t = table_new(titles);
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        _cleanup_free_ char *time = show_time(o, "time"), *id = show_id(o),
                            *decision = show_text(o, "decision"), *end = end_text(o),
                            *uid = show_text(o, "uid"), *command = show_command(o);
        const char *const cells[] = {time, id, decision, end, uid, command};
        for (size_t k = 0; k < ARRAY_LEN(cells); k++)
            table_add(t, cells[k]);
    }
    table_print(t, stdout, table_terminal_width());
}

int cmd_history(struct cli *c, const struct args *a)
{
    uint64_t limit;
    const char *limit_text = args_value(a, "limit");
    if (limit_text && (str_parse_u64(limit_text, 1000, &limit) < 0 || limit == 0))
        return cli_fail(CLI_USAGE, "--limit: a number from 1 to 1000");
    _cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
    (void)buf_append_str(&path, "/api/history");
    add_parameter(&path, "limit", limit_text ? limit_text : LIMIT_DEFAULT);
    add_parameter(&path, "command", args_value(a, "command"));
    add_parameter(&path, "decision", args_value(a, "decision"));
    add_parameter(&path, "uid", args_value(a, "uid"));
    add_parameter(&path, "before", args_value(a, "before"));
    if (add_time(&path, "since", args_value(a, "since")) != CLI_OK ||
        add_time(&path, "until", args_value(a, "until")) != CLI_OK)
        return CLI_USAGE;
    if (path.failed)
        return cli_fail(CLI_USAGE, "the filters are too long");

    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    int r = remote_get_list(c, buf_str(&path), "history", &answer, &list);
    if (r != CLI_OK)
        return r;
    if (c->json)
        show_json_lines(list);
    else if (json_count(list) == 0)
        printf("nothing recorded that matches\n");
    else
        print_table(list);
    _cleanup_free_ char *next = show_text(answer.root, "next");
    if (!c->json && next[0])
        printf("more: --before %s\n", next);
    return CLI_OK;
}
