/* SPDX-License-Identifier: MIT */
/* clawrden status: what the warden enforces and what is going on. */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/remote.h"
#include "cli/show.h"

static void print_member(const struct json *o, const char *key, const struct json *value,
                         const char *name)
{
    bool is_time = str_ends(key, "_s") && json_is_integer(value);
    _cleanup_free_ char *text =
        is_time ? show_duration((uint64_t)json_integer(value, 0) * CLOCK_NS_PER_SEC)
                : show_text(o, key);
    if (text[0])
        printf("%-20s %s\n", name, text);
}

/* "everything by ana since 2026-...: lunch" */
static void print_paused(const struct json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *x = json_at(list, i);
        _cleanup_free_ char *scope = show_text(x, "scope"), *name = show_text(x, "container");
        _cleanup_free_ char *id = show_text(x, "id"), *by = show_text(x, "by");
        _cleanup_free_ char *since = show_text(x, "since"), *until = show_text(x, "until");
        _cleanup_free_ char *reason = show_text(x, "reason");
        printf("%-20s %s%s%s by %s since %s%s%s%s%s\n", "paused",
               str_eq(scope, "all") ? "everything" : scope, id[0] ? " " : "", name[0] ? name : id,
               by, since, until[0] ? " until " : "", until, reason[0] ? ": " : "", reason);
    }
}

/* Whatever the warden says of itself; an object in an object as lines "outer inner". */
static void print_members(const struct json *o, const char *prefix)
{
    void *iter = NULL;
    const char *key;
    const struct json *value;
    while (json_next(o, &iter, &key, &value)) {
        char name[128];
        int n = str_ends(key, "_s") ? (int)strlen(key) - 2 : (int)strlen(key);
        (void)snprintf(name, sizeof(name), "%s%s%.*s", prefix, *prefix ? " " : "", n, key);
        for (char *p = name; *p; p++)
            *p = *p == '_' ? ' ' : *p;
        if (str_eq(key, "paused") && json_is_array(value))
            print_paused(value);
        else if (json_is_object(value))
            print_members(value, name);
        else
            print_member(o, key, value, name);
    }
}

int cmd_status(struct cli *c, const struct args *a)
{
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    int r = remote_ask(c, "GET", "/api/status", NULL, &answer);
    if (r != CLI_OK)
        return r;
    if (c->json)
        show_json_line(answer.root);
    else
        print_members(answer.root, "");
    return CLI_OK;
}
