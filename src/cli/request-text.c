/* SPDX-License-Identifier: MIT */
/* One waiting request in full. What is not there is not shown; nothing that is there is cut. */
#include "cli/request-text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/ids.h"
#include "cli/show.h"
#include "cli/table.h"
#include "http/client.h"

static int find_id(struct cli *c, const char *typed, char **ret_id)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    const struct json *list;
    int r = remote_get_list(c, "/api/queue", "queue", &answer, &list);
    if (r != CLI_OK)
        return r;
    struct err err = {0};
    int code;
    const struct json *o = ids_find(list, typed, &code, &err);
    if (o) {
        *ret_id = mem_strdup(json_string(json_get(o, "id"), NULL));
        return CLI_OK;
    }
    if (code == -ENOENT)
        return ids_missing(c, typed, "wait");
    return cli_fail(CLI_REFUSED, "%s", err.text);
}

int request_text_fetch(struct cli *c, const char *typed, struct remote_answer *ret)
{
    _cleanup_free_ char *id = NULL;
    int r = find_id(c, typed, &id);
    if (r != CLI_OK || !id)
        return r;
    _cleanup_buf_ struct buf path = BUF_INIT(4096);
    (void)buf_append_str(&path, "/api/queue/");
    (void)client_encode(&path, id, strlen(id));
    r = remote_call(c, "GET", buf_str(&path), NULL, ret);
    if (r == CLI_OK && ret->status == 404)
        return ids_missing(c, id, "wait"); /* it ended between the two questions */
    if (r == CLI_OK && ret->status / 100 != 2)
        return remote_refused(ret);
    return r;
}

static void line(FILE *out, const char *name, const char *value)
{
    static const size_t indent = 14;
    size_t width = table_terminal_width();
    if (!value[0])
        return;
    (void)fprintf(out, "%-*s", (int)indent, name);
    for (const char *s = value; *s;) {
        size_t n = width > 2 * indent ? table_break(s, width - indent) : strlen(s);
        (void)fprintf(out, "%*s%.*s\n", s == value ? 0 : (int)indent, "", (int)n, s);
        s += n;
    }
}

static void print_field(const struct json *o, FILE *out, const char *name, const char *key)
{
    _cleanup_free_ char *value = show_text(o, key);
    line(out, name, value);
}

/* Operands that are paths, where they lead to. */
static void print_paths(const struct json *o, FILE *out)
{
    const struct json *list = json_get(o, "paths");
    for (size_t i = 0; list && json_is_array(list) && i < json_count(list); i++) {
        _cleanup_free_ char *resolved = show_text(json_at(list, i), "resolved");
        line(out, "path", resolved[0] ? resolved : "(leads nowhere that can be told)");
    }
}

static void print_names(const struct json *o, FILE *out, const char *name, const char *key)
{
    const struct json *list = json_get(o, key);
    _cleanup_buf_ struct buf b = BUF_INIT(SHOW_BYTES_MAX);
    for (size_t i = 0; list && json_is_array(list) && i < json_count(list); i++) {
        size_t n;
        _cleanup_free_ char *bytes = show_bytes(json_at(list, i), &n);
        (void)buf_append_str(&b, i ? " " : "");
        (void)str_escape(&b, bytes, n);
    }
    line(out, name, buf_str(&b));
}

void request_text_print(const struct json *request, FILE *out)
{
    static const struct {
        const char *name, *key;
    } fields[] = {
        {"id", "id"},
        {"directory", "cwd"},
        {"uid", "uid"},
        {"gid", "gid"},
        {"container", "container"},
        {"pid", "pid"},
        {"parent", "parent"},
        {"door", "door"},
        {"program", "executable"},
        {"trust", "trust"},
        {"not trusted", "why_unknown"},
        {"script", "script"},
        {"interpreter", "interpreter"},
        {"content", "program_digest"},
        {"rule", "rule"},
        {"policy line", "line"},
        {"reason", "reason"},
        {"instead", "instead"},
        {"executor", "executor"},
        {"may run for", "timeout"},
        {"policy", "policy"},
        {"digest", "digest"},
    };
    _cleanup_free_ char *command = show_command(request), *age = show_age(request, "waiting_at"),
                        *left = show_left(request, "deadline");
    _cleanup_free_ char *argv = show_raw(request, "command_line");
    line(out, "command", command);
    if (argv[0] && !str_eq(argv, command)) /* its argv[0] is not the name it was called by */
        line(out, "as", argv);
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        print_field(request, out, fields[i].name, fields[i].key);
    print_paths(request, out);
    print_names(request, out, "environment", "env_passed");
    line(out, "waits", age);
    line(out, "expires in", left);
}
