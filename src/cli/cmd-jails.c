/* SPDX-License-Identifier: MIT */
/* clawrden jails: which command names lead to the shim, in which containers. */
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cmd.h"
#include "cli/listing.h"
#include "cli/remote.h"
#include "cli/show.h"
#include "http/client.h"

static void jails_path(struct buf *path, const char *name)
{
    (void)buf_append_str(path, "/api/jails/");
    (void)client_encode(path, name, strlen(name));
}

/* The members of an array, each escaped, with blanks between; owned. */
static char *jails_names(const struct json *o, const char *key)
{
    const struct json *list = json_get(o, key);
    _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
    for (size_t i = 0; list && json_is_array(list) && i < json_count(list); i++) {
        size_t n = 0;
        const char *name = json_string(json_at(list, i), &n);
        (void)buf_append_str(&b, i ? " " : "");
        (void)str_escape(&b, name ? name : "", n);
    }
    return buf_steal(&b);
}

static void add_row(struct table *t, const struct json *o)
{
    _cleanup_free_ char *name = show_text(o, "name"), *origin = show_text(o, "origin"),
                        *mode = show_text(o, "mode"), *id = show_text(o, "container"),
                        *containers = jails_names(o, "containers"),
                        *words = jails_names(o, "commands");
    if (strlen(id) > 12)
        id[12] = '\0';
    const char *who = id[0] ? id : containers[0] ? containers : "-";
    const char *const cells[] = {name, origin, mode, who, words};
    table_add_row(t, cells);
}

int cmd_jails_list(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"NAME", "FROM", "MODE", "FOR", "COMMANDS", NULL};
    static const struct listing l = {
        .path = "/api/jails", .member = "jails", .titles = titles, .add = add_row};
    return listing_show(c, &l);
}

static void jails_show(const struct cli *c, const struct json *o)
{
    static const char *const texts[] = {"name", "origin",    "mode", "container",
                                        "by",   "directory", NULL};
    if (c->json) {
        show_json_line(o);
        return;
    }
    for (size_t i = 0; texts[i]; i++) {
        _cleanup_free_ char *text = show_text(o, texts[i]);
        if (text[0])
            printf("%-11s %s\n", texts[i], text);
    }
    _cleanup_free_ char *containers = jails_names(o, "containers"),
                        *words = jails_names(o, "commands");
    if (containers[0])
        printf("%-11s %s\n", "containers", containers);
    printf("%-11s %s\n", "commands", words);
}

int cmd_jails_get(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf path = BUF_INIT(4096);
    jails_path(&path, a->words[0]);
    if (path.failed)
        return cli_fail(CLI_USAGE, "the name is too long");
    int r = remote_ask(c, "GET", buf_str(&path), NULL, &answer);
    if (r == CLI_OK)
        jails_show(c, answer.root);
    return r;
}

static void jails_put_list(struct json_writer *w, const char *key, const char *text)
{
    json_key(w, key);
    json_array_begin(w);
    for (size_t n; text && *text; text += n + (text[n] == ',')) {
        n = strcspn(text, ",");
        json_put_bytes(w, text, n);
    }
    json_array_end(w);
}

/* `create`: the name stands in the body. */
static int jails_write(struct cli *c, const struct args *a, bool create)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_buf_ struct buf path = BUF_INIT(4096), body = BUF_INIT(65536);
    struct json_writer w = JSON_WRITER(&body);
    json_object_begin(&w);
    if (create)
        json_field_string(&w, "name", a->words[0]);
    json_key(&w, "commands");
    json_array_begin(&w);
    for (size_t i = 1; i < a->count; i++)
        json_put_string(&w, a->words[i]);
    json_array_end(&w);
    if (args_value(a, "containers"))
        jails_put_list(&w, "containers", args_value(a, "containers"));
    if (args_value(a, "mode"))
        json_field_string(&w, "mode", args_value(a, "mode"));
    json_object_end(&w);
    if (create)
        (void)buf_append_str(&path, "/api/jails");
    else
        jails_path(&path, a->words[0]);
    if (body.failed || path.failed)
        return cli_fail(CLI_USAGE, "the names are too long");
    int r = remote_ask(c, "POST", buf_str(&path), &body, &answer);
    if (r == CLI_OK)
        jails_show(c, answer.root);
    return r;
}

int cmd_jails_create(struct cli *c, const struct args *a)
{
    return jails_write(c, a, true);
}

int cmd_jails_set(struct cli *c, const struct args *a)
{
    return jails_write(c, a, false);
}

int cmd_jails_delete(struct cli *c, const struct args *a)
{
    for (size_t i = 0; i < a->count; i++) {
        _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
        _cleanup_buf_ struct buf path = BUF_INIT(4096);
        jails_path(&path, a->words[i]);
        if (path.failed)
            return cli_fail(CLI_USAGE, "the name is too long");
        int r = remote_ask(c, "DELETE", buf_str(&path), NULL, &answer);
        if (r != CLI_OK)
            return r;
        _cleanup_free_ char *name = show_text(answer.root, "name");
        if (c->json)
            show_json_line(answer.root);
        else
            printf("deleted %s\n", name);
    }
    return CLI_OK;
}
