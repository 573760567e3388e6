/* SPDX-License-Identifier: MIT */
/* A record as one line for people. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/audit-show.h"
#include "cli/show.h"
#include "store/record.h"

#define NODES_MAX 4000000
#define SHOWN_OF_GARBAGE 200 /* bytes */

char *audit_show_path(const struct args *a)
{
    const char *set = getenv("CLAWRDEN_AUDIT");
    if (a->count > 0)
        return mem_strdup(a->words[0]);
    if (set && set[0])
        return mem_strdup(set);
    if (geteuid() == 0)
        return mem_strdup("/var/log/clawrden/audit.jsonl");
    _cleanup_free_ char *state = cli_state_dir();
    return path_join(state, "audit.jsonl");
}

int audit_show_moment(const char *option, const char *value, uint64_t *ret, struct err *err)
{
    uint64_t ns;
    *ret = 0;
    if (!value)
        return 0;
    if (str_parse_duration(value, &ns, NULL) == 0) {
        uint64_t now = clock_realtime();
        *ret = now > ns ? now - ns : 1;
        return 0;
    }
    if (clock_parse(value, ret) == 0)
        return 0;
    return err_set(err, -EINVAL,
                   "--%s: '%s' is neither a duration (2h, 15m) nor a time (2026-01-31T08:00:00Z)",
                   option, value);
}

static void put(struct buf *out, const char *before, char *text)
{
    if (text[0])
        (void)buf_printf(out, "%s%s", before, text);
    free(text);
}

static void show_decision(const struct json *r, struct buf *out)
{
    put(out, "", show_command(r));
    put(out, "  [", show_text(r, "rule"));
    if (json_string(json_get(r, "rule"), NULL))
        (void)buf_append_char(out, ']');
    put(out, "  by ", show_text(r, "approver"));
    put(out, ": ", show_text(r, "comment"));
    put(out, "  error: ", show_text(r, "error"));
}

static void show_end(const struct json *r, struct buf *out)
{
    put(out, "", show_quoted(r, "command"));
    put(out, ": ", show_text(r, "decision")); /* interrupted */
    put(out, ": exit ", show_text(r, "exit_code"));
    put(out, ": signal ", show_text(r, "signal"));
    put(out, " after ", show_text(r, "duration_ms"));
    if (json_is_integer(json_get(r, "duration_ms")))
        (void)buf_append_str(out, " ms");
    if (json_bool(json_get(r, "timeout_violation"), false))
        (void)buf_append_str(out, ", out of time");
    put(out, ", killed by ", show_text(r, "killed_by"));
    put(out, "  error: ", show_text(r, "error"));
}

/* What else the members say, for events without a form of their own. */
static void show_members(const struct json *r, struct buf *out)
{
    static const char *const shown[] = {"v", "seq", "prev", "hash", "time", "event", "id"};
    void *iter = NULL;
    const char *key;
    const struct json *value;
    while (json_next(r, &iter, &key, &value)) {
        bool known = false;
        for (size_t i = 0; i < ARRAY_LEN(shown); i++)
            known |= strcmp(key, shown[i]) == 0;
        if (known || json_is_null(value) || json_is_object(value) || json_is_array(value))
            continue;
        _cleanup_buf_ struct buf name = BUF_INIT(RECORD_LINE_MAX);
        (void)str_escape(&name, key, strlen(key));
        (void)buf_printf(out, "%s=", buf_str(&name));
        _cleanup_free_ char *text = show_quoted(r, key);
        _cleanup_free_ char *plain = show_text(r, key);
        (void)buf_printf(out, "%s ", json_is_string(value) ? text : plain);
    }
    if (out->len > 0 && out->data[out->len - 1] == ' ')
        out->data[--out->len] = '\0';
}

static void show_record(const struct json *r, struct buf *out)
{
    const char *event = json_string(json_get(r, "event"), NULL);
    bool decision = event && strcmp(event, "decision") == 0;
    bool end = event && strcmp(event, "end") == 0;
    _cleanup_free_ char *time = show_time(r, "time"), *seq = show_text(r, "seq"), *id = show_id(r);
    _cleanup_free_ char *what = show_text(r, decision ? "decision" : "event");
    (void)buf_printf(out, "%-19s %7s  %-12s  %-13s ", time, seq, id, what);
    if (decision)
        show_decision(r, out);
    else if (end)
        show_end(r, out);
    else
        show_members(r, out);
}

void audit_show_line(const char *line, size_t len, struct buf *out)
{
    struct record rec;
    _cleanup_(json_freep) struct json *root = NULL;
    if (line && record_split(line, len, &rec) == 0 &&
        json_parse(line, len, NODES_MAX, &root, NULL) == 0) {
        show_record(root, out);
        return;
    }
    (void)buf_printf(out, "(no record, %zu bytes) ", len);
    if (line)
        (void)str_escape(out, line, len < SHOWN_OF_GARBAGE ? len : SHOWN_OF_GARBAGE);
}
