/* SPDX-License-Identifier: MIT */
#include "cli/query.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "base/str.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "http/client.h"

static const char *const query_list_options[][2] = {{"limit", NULL},
                                                    {"user", NULL},
                                                    {"uid", NULL},
                                                    {"after", "cursor"},
                                                    {"command", "command"},
                                                    {"rule", "rule"},
                                                    {"container", "container"},
                                                    {"door", "door"}};

void query_add(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    (void)buf_printf(path, "%c%s=", strchr(buf_str(path), '?') ? '&' : '?', name);
    (void)client_encode(path, value, strlen(value));
}

int query_add_limit(struct buf *path, const char *text)
{
    uint64_t limit;
    if (text && (str_parse_u64(text, 1000, &limit) < 0 || limit == 0))
        return cli_fail(CLI_USAGE, "--limit: a number from 1 to 1000");
    query_add(path, "limit", text);
    return CLI_OK;
}

int query_add_user(struct buf *path, const struct args *a)
{
    const char *user = args_value(a, "user"), *value = user ? user : args_value(a, "uid");
    uint64_t uid;
    char text[24];
    if (user && args_value(a, "uid"))
        return cli_fail(CLI_USAGE, "either --user or --uid");
    if (!value)
        return CLI_OK;
    if (str_parse_u64(value, UINT32_MAX, &uid) < 0) {
        const struct passwd *pw = getpwnam(value);
        if (!pw)
            return cli_fail(CLI_USAGE, "--user: there is no user '%s' on this host", value);
        uid = pw->pw_uid;
    }
    (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)uid);
    query_add(path, "uid", text);
    return CLI_OK;
}

int query_add_list(struct buf *path, const struct args *a)
{
    for (size_t i = 0; i < ARRAY_LEN(query_list_options); i++)
        if (query_list_options[i][1])
            query_add(path, query_list_options[i][1], args_value(a, query_list_options[i][0]));
    int r = query_add_limit(path, args_value(a, "limit"));
    if (r == CLI_OK)
        r = query_add_user(path, a);
    if (r == CLI_OK && path->failed)
        r = cli_fail(CLI_USAGE, "the filters are too long");
    return r;
}

bool query_has_list(const struct args *a)
{
    for (size_t i = 0; i < ARRAY_LEN(query_list_options); i++)
        if (args_value(a, query_list_options[i][0]))
            return true;
    return false;
}

void query_print_more(const struct args *a, const struct json *list)
{
    const char *limit = args_value(a, "limit");
    uint64_t n;
    size_t count = json_count(list);
    if (!limit || str_parse_u64(limit, 1000, &n) < 0 || count < n)
        return;
    _cleanup_free_ char *id = show_text(json_at(list, count - 1), "id");
    printf("more: --after %s\n", id);
}
