/* SPDX-License-Identifier: MIT */
/* clawrden audit export: records of all files as a JSON array, or as CSV (base/csv.h) for a
 * spreadsheet. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/csv.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/audit-show.h"
#include "cli/cmd.h"
#include "cli/show.h"
#include "store/record.h"
#include "store/value.h"
#include "store/walk.h"

#define NODES_MAX 4000000

static const char *const columns[] = {
    "seq",       "time",      "id",      "event",       "door",
    "command",   "cwd",       "uid",     "gid",         "pid",
    "parent",    "container", "verdict", "decision",    "rule",
    "policy",    "approver",  "channel", "comment",     "waited_ms",
    "executor",  "exit_code", "signal",  "duration_ms", "timeout_violation",
    "killed_by", "error"};

struct export
{
    bool csv;
    uint64_t since, until; /* 0: open */
    uint64_t count;
};

/* ---- CSV ---- */

static void put_out(struct buf *b)
{
    csv_end(b);
    (void)fwrite(buf_str(b), 1, b->len, stdout);
    buf_done(b);
}

static void put_csv(const char *line, size_t len)
{
    _cleanup_(json_freep) struct json *root = NULL;
    _cleanup_buf_ struct buf command = BUF_INIT(8 * (size_t)RECORD_LINE_MAX);
    struct buf row = BUF_INIT(32 * (size_t)RECORD_LINE_MAX);
    if (json_parse(line, len, NODES_MAX, &root, NULL) < 0)
        return;
    for (size_t i = 0; i < ARRAY_LEN(columns); i++) {
        _cleanup_free_ char *text = show_text(root, columns[i]);
        csv_cell(&row, i == 0, text, strlen(text));
    }
    if (json_get(root, "args"))
        (void)value_command_line(root, &command);
    csv_cell(&row, false, buf_str(&command), command.len);
    put_out(&row);
}

static void put_titles(void)
{
    struct buf row = BUF_INIT(4096);
    for (size_t i = 0; i < ARRAY_LEN(columns); i++)
        csv_cell(&row, i == 0, columns[i], strlen(columns[i]));
    csv_cell(&row, false, "command_line", strlen("command_line"));
    put_out(&row);
}

/* ---- lines ---- */

static bool in_time(const struct export *x, const struct record *r)
{
    char text[64];
    uint64_t t;
    if (!x->since && !x->until)
        return true;
    if (!record_field_copy(r->members, r->members_len, "time", text, sizeof(text)) ||
        clock_parse(text, &t) < 0)
        return false;
    return t >= x->since && (!x->until || t <= x->until);
}

static int one_line(void *arg, const char *line, size_t len)
{
    struct export *x = arg;
    struct record rec;
    if (!line || record_split(line, len, &rec) < 0 || !in_time(x, &rec))
        return 0;
    if (x->csv) {
        put_csv(line, len);
    } else {
        printf("%s\n", x->count ? "," : "");
        (void)fwrite(line, 1, len, stdout);
    }
    x->count++;
    return ferror(stdout) ? -EIO : 0;
}

static int export(struct export *x, const char *path, struct err *err)
{
    static const struct walk_ops ops = {.line = one_line};
    if (x->csv)
        put_titles();
    else
        (void)putchar('[');
    int r = walk_log(path, 0, false, &ops, x, err);
    if (!x->csv)
        printf("%s]\n", x->count ? "\n" : "");
    return r;
}

int cmd_audit_export(struct cli *c, const struct args *a)
{
    _cleanup_free_ char *path = audit_show_path(a);
    struct export x = {.csv = args_flag(a, "csv")};
    struct err err = {0};
    if (x.csv && c->json)
        return cli_fail(CLI_USAGE, "either --csv or --json");
    if (audit_show_moment("since", args_value(a, "since"), &x.since, &err) < 0 ||
        audit_show_moment("until", args_value(a, "until"), &x.until, &err) < 0)
        return cli_fail(CLI_USAGE, "%s", err.text);
    int r = export(&x, path, &err);
    return r < 0 ? cli_fail(CLI_USAGE, "%s", err.text[0] ? err.text : strerror(-r)) : CLI_OK;
}
