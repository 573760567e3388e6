/* SPDX-License-Identifier: MIT */
/* clawrden history: what was asked, what was decided, how it ended; newest first, page by page, or
 * all of it as a file. */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/query.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "cli/table.h"

#define LIMIT_DEFAULT "50"

/* A time, or a duration back from now, as the API wants it. 0 or CLI_USAGE with the words out. */
static int add_time(struct buf *path, const char *name, const char *value)
{
    uint64_t ns;
    char text[32];
    if (!value)
        return CLI_OK;
    if (str_parse_duration(value, &ns, NULL) == 0) {
        uint64_t now = clock_realtime();
        query_add(path, name, clock_format(now > ns ? now - ns : 0, text));
        return CLI_OK;
    }
    if (clock_parse(value, &ns) < 0)
        return cli_fail(CLI_USAGE,
                        "--%s: '%s' is neither a duration (2h, 15m) nor a time "
                        "(2026-01-31T08:00:00Z)",
                        name, value);
    query_add(path, name, value);
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
        table_add_row(t, cells);
    }
    table_print(t, stdout, table_terminal_width());
}

static const char *const plain[][2] = {
    {"command", "command"}, {"decision", "decision"}, {"container", "container"},
    {"rule", "rule"},       {"approver", "approver"}, {"exit-code", "exit_code"},
    {"signal", "signal"},   {"arg", "arg"},           {"text", "text"}};

static bool has_options(const struct args *a)
{
    static const char *const others[] = {"user",  "uid",    "since", "until",
                                         "limit", "before", "export"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (args_value(a, plain[i][0]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        if (args_value(a, others[i]))
            return true;
    return false;
}

static int add_filters(struct buf *path, const struct args *a)
{
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        query_add(path, plain[i][1], args_value(a, plain[i][0]));
    int r = query_add_user(path, a);
    if (r == CLI_OK)
        r = add_time(path, "since", args_value(a, "since"));
    if (r == CLI_OK)
        r = add_time(path, "until", args_value(a, "until"));
    if (r == CLI_OK && path->failed)
        r = cli_fail(CLI_USAGE, "the filters are too long");
    return r;
}

/* ---- export ---- */

static bool write_out(void *arg, const char *p, size_t n)
{
    return fwrite(p, 1, n, stdout) == n;
}

static int export(struct cli *c, const struct args *a, const char *format)
{
    _cleanup_buf_ struct buf path = BUF_INIT(QUERY_PATH_MAX);
    if (c->json || args_value(a, "limit") || args_value(a, "before"))
        return cli_fail(CLI_USAGE, "--export takes all that fits: no --json, --limit, --before");
    if (!str_eq(format, "csv") && !str_eq(format, "json") && !str_eq(format, "jsonl"))
        return cli_fail(CLI_USAGE, "--export: csv, json or jsonl");
    (void)buf_append_str(&path, "/api/history/export");
    query_add(&path, "format", format);
    int r = add_filters(&path, a);
    return r == CLI_OK ? remote_stream(c, buf_str(&path), write_out, NULL) : r;
}

int cmd_history(struct cli *c, const struct args *a)
{
    const char *limit = args_value(a, "limit"), *format = args_value(a, "export");
    if (a->count)
        return has_options(a) ? cli_fail(CLI_USAGE, "either an id or filters")
                              : cmd_story(c, a->words[0]);
    if (format)
        return export(c, a, format);
    _cleanup_buf_ struct buf path = BUF_INIT(QUERY_PATH_MAX);
    (void)buf_append_str(&path, "/api/history");
    int r = query_add_limit(&path, limit ? limit : LIMIT_DEFAULT);
    query_add(&path, "before", args_value(a, "before"));
    if (r == CLI_OK)
        r = add_filters(&path, a);
    if (r != CLI_OK)
        return r;

    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    r = remote_get_list(c, buf_str(&path), "history", &answer, &list);
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

int cmd_audit_reindex(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = remote_ask(c, "POST", "/api/history/rebuild", NULL, &answer);
    if (r == CLI_OK && !c->json)
        printf("the history is made anew from the log; 'clawrden status' says when it is done\n");
    else if (r == CLI_OK)
        show_json_line(answer.root);
    return r;
}
