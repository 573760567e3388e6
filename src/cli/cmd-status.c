/* SPDX-License-Identifier: MIT */
/* clawrden status: what the warden enforces and what is going on. */
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"
#include "cli/remote.h"
#include "cli/show.h"

/* An object in an object, as lines "outer inner: value". */
static void print_members(const struct json *o, const char *prefix)
{
    void *iter = NULL;
    const char *key;
    const struct json *value;
    while (json_next(o, &iter, &key, &value)) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix ? " " : "", key);
        for (char *p = name; *p; p++)
            *p = *p == '_' ? ' ' : *p;
        if (json_is_object(value)) {
            print_members(value, name);
        } else if (!json_is_null(value) && !json_is_array(value)) {
            _cleanup_free_ char *text = show_text(o, key);
            printf("%-20s %s\n", name, text);
        }
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
