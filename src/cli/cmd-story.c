/* SPDX-License-Identifier: MIT */
/* clawrden history ID: what became of one request, moment by moment. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/ids.h"
#include "cli/query.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "cli/table.h"

/* The id that `typed` begins or ends, of those at hand: the newest that were decided, and what
 * waits. */
static int story_id(struct cli *c, const char *typed, char **ret)
{
    static const char *const lists[][2] = {{"/api/history?limit=1000", "history"},
                                           {"/api/queue", "queue"}};
    struct err err = {""};
    int code = -ENOENT;
    *ret = ids_is_whole(typed) ? mem_strdup(typed) : NULL;
    for (size_t i = 0; !*ret && i < ARRAY_LEN(lists); i++) {
        _cleanup_remote_ struct remote_answer a = REMOTE_ANSWER_INIT;
        const struct json *list;
        int r = remote_get_list(c, lists[i][0], lists[i][1], &a, &list);
        if (r != CLI_OK)
            return r;
        const struct json *o = ids_find(list, typed, &code, &err);
        if (o)
            *ret = show_text(o, "id");
        else if (code != -ENOENT)
            break;
    }
    if (*ret)
        return CLI_OK;
    return cli_fail(code == -EINVAL ? CLI_USAGE : CLI_REFUSED, "%s%s", err.text,
                    code == -ENOENT ? " of what waits and of the newest 1000 in the history" : "");
}

/* What is said of a moment beside who and the words: members that are there, "rule pass". */
static char *story_more(const struct json *o)
{
    static const char *const keys[][2] = {{"rule", "rule "},     {"channel", "by way of "},
                                          {"scope", "scope "},   {"container", "container "},
                                          {"until", "until "},   {"exit_code", "exit "},
                                          {"signal", "signal "}, {"error", "not done: "}};
    struct buf b = BUF_INIT(1u << 20);
    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        bool is_time = str_eq(keys[i][0], "until");
        _cleanup_free_ char *v = is_time ? show_time(o, keys[i][0]) : show_text(o, keys[i][0]);
        if (v[0])
            (void)buf_printf(&b, "%s%s%s", b.len ? ", " : "", keys[i][1], v);
    }
    if (json_bool(json_get(o, "timeout_violation"), false))
        (void)buf_printf(&b, "%sout of its time", b.len ? ", " : "");
    return buf_steal(&b);
}

static void story_print(const struct json *root)
{
    static const char *const titles[] = {"TIME", "WHAT", "WHO", "MORE", "WORDS", NULL};
    const struct json *row = json_get(root, "request"), *live = json_get(root, "live");
    _cleanup_free_ char *id = show_text(root, "id"), *state = show_text(root, "state"),
                        *command = show_raw(json_is_object(row) ? row : live, "command_line");
    printf("%s, %s%s\n%s\n\n", id, state,
           json_bool(json_get(root, "shortened"), false) ? ", shown in short" : "", command);
    _cleanup_(table_freep) struct table *t = table_new(titles);
    const struct json *list = json_get(root, "timeline");
    for (size_t i = 0; list && i < json_count(list); i++) {
        const struct json *o = json_at(list, i);
        _cleanup_free_ char *time = show_time(o, "time"), *event = show_text(o, "event"),
                            *by = show_text(o, "by"), *more = story_more(o),
                            *words = show_text(o, "words");
        const char *const cells[] = {time, event, by, more, words};
        table_add_row(t, cells);
    }
    table_print(t, stdout, table_terminal_width());
}

int cmd_story(struct cli *c, const char *typed)
{
    _cleanup_free_ char *id = NULL;
    _cleanup_buf_ struct buf path = BUF_INIT(QUERY_PATH_MAX);
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = story_id(c, typed, &id);
    if (r != CLI_OK)
        return r;
    (void)buf_printf(&path, "/api/history/%s", id);
    r = remote_ask(c, "GET", buf_str(&path), NULL, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json)
        show_json_line(answer.root);
    else
        story_print(answer.root);
    return CLI_OK;
}
