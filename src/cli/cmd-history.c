/* SPDX-License-Identifier: MIT */
/* clawrden history: what was asked, what was decided, how it ended; newest first, page by page, or
 * all of it as a file. */
#include <pwd.h>
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

/* A user by name or number, as a number. */
static int add_user(struct buf *path, const char *value)
{
    uint64_t uid;
    char text[24];
    if (!value)
        return CLI_OK;
    if (str_parse_u64(value, UINT32_MAX, &uid) < 0) {
        const struct passwd *pw = getpwnam(value);
        if (!pw)
            return cli_fail(CLI_USAGE, "--user: there is no user '%s' on this host", value);
        uid = pw->pw_uid;
    }
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)uid);
    add_parameter(path, "uid", text);
    return CLI_OK;
}

static int add_filters(struct buf *path, const struct args *a)
{
    static const char *const plain[][2] = {
        {"command", "command"}, {"decision", "decision"}, {"container", "container"},
        {"rule", "rule"},       {"approver", "approver"}, {"exit-code", "exit_code"},
        {"signal", "signal"},   {"arg", "arg"},           {"text", "text"}};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        add_parameter(path, plain[i][1], args_value(a, plain[i][0]));
    const char *user = args_value(a, "user");
    if (user && args_value(a, "uid"))
        return cli_fail(CLI_USAGE, "either --user or --uid");
    int r = add_user(path, user ? user : args_value(a, "uid"));
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
    _cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
    if (c->json || args_value(a, "limit") || args_value(a, "before"))
        return cli_fail(CLI_USAGE, "--export takes all that fits: no --json, --limit, --before");
    if (!str_eq(format, "csv") && !str_eq(format, "json") && !str_eq(format, "jsonl"))
        return cli_fail(CLI_USAGE, "--export: csv, json or jsonl");
    (void)buf_append_str(&path, "/api/history/export");
    add_parameter(&path, "format", format);
    int r = add_filters(&path, a);
    return r == CLI_OK ? remote_stream(c, buf_str(&path), write_out, NULL) : r;
}

int cmd_history(struct cli *c, const struct args *a)
{
    uint64_t limit;
    const char *limit_text = args_value(a, "limit"), *format = args_value(a, "export");
    if (format)
        return export(c, a, format);
    if (limit_text && (str_parse_u64(limit_text, 1000, &limit) < 0 || limit == 0))
        return cli_fail(CLI_USAGE, "--limit: a number from 1 to 1000");
    _cleanup_buf_ struct buf path = BUF_INIT(PATH_MAX_BYTES);
    (void)buf_append_str(&path, "/api/history");
    add_parameter(&path, "limit", limit_text ? limit_text : LIMIT_DEFAULT);
    add_parameter(&path, "before", args_value(a, "before"));
    int r = add_filters(&path, a);
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
