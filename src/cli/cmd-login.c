/* SPDX-License-Identifier: MIT */
/* clawrden login, logout, context: wardens elsewhere, each under a name. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/contexts.h"
#include "cli/remote.h"
#include "cli/secret.h"
#include "cli/show.h"
#include "cli/table.h"

static int load(struct contexts *ret)
{
    struct err err = {""};
    return contexts_load(ret, &err) < 0 ? cli_fail(CLI_USAGE, "%s", err.text) : CLI_OK;
}

static int save(const struct contexts *c)
{
    struct err err = {""};
    return contexts_save(c, &err) < 0 ? cli_fail(CLI_USAGE, "%s", err.text) : CLI_OK;
}

/* "https://warden.example:8421/" -> "warden.example:8421" */
static char *usual_name(const char *api)
{
    const char *s = strstr(api, "://");
    s = s ? s + 3 : api;
    return mem_strndup(s, strnlen(s, CONTEXTS_NAME_MAX) - (str_ends(s, "/") ? 1 : 0));
}

static bool is_name(const char *s)
{
    size_t n = strlen(s);
    return n > 0 && n <= CONTEXTS_NAME_MAX && s[0] != '-' &&
           strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:[]-") == n;
}

/* Asks the warden who this token is, before it is kept. */
static int try_token(struct cli *c, const char *token, const char *ca, struct remote_answer *ret)
{
    struct cli as = *c;
    as.token = token;
    as.ca = ca ? ca : c->ca;
    return remote_ask(&as, "GET", "/api/session", NULL, ret);
}

static int keep(struct cli *c, const char *name, const char *token, const struct json *self)
{
    _cleanup_contexts_ struct contexts all = CONTEXTS_INIT;
    int r = load(&all);
    if (r != CLI_OK)
        return r;
    if (contexts_put(&all, name, c->api, token, c->ca) < 0)
        return cli_fail(CLI_REFUSED, "%d wardens are known: forget one by 'clawrden logout'",
                        CONTEXTS_MAX);
    free(all.current);
    all.current = mem_strdup(name);
    r = save(&all);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        show_json_line(self);
        return CLI_OK;
    }
    _cleanup_free_ char *who = show_text(self, "who"), *role = show_text(self, "role");
    printf("logged in as %s, role %s; '%s' is the warden that commands speak to from now on\n", who,
           role, name);
    return CLI_OK;
}

int cmd_login(struct cli *c, const struct args *a)
{
    char typed[SECRET_MAX + 2];
    _cleanup_remote_ struct remote_answer answer = REMOTE_ANSWER_INIT;
    _cleanup_free_ char *given = NULL;
    c->api = a->words[0];
    if (!str_starts(c->api, "https://") && !str_starts(c->api, "http://"))
        return cli_fail(CLI_USAGE, "'%s' is no address of a warden: https://HOST[:PORT]", c->api);
    _cleanup_free_ char *usual = usual_name(c->api);
    const char *name = args_value(a, "name") ? args_value(a, "name") : usual;
    if (!is_name(name))
        return cli_fail(CLI_USAGE, "--name: 1 to %d letters, digits and ._:-", CONTEXTS_NAME_MAX);
    int r = remote_token(c, &given);
    if (r == CLI_OK && !given)
        r = secret_read("token", false, typed);
    if (r != CLI_OK)
        return r;
    const char *token = given ? given : typed;
    r = try_token(c, token, NULL, &answer);
    if (r == CLI_OK)
        r = keep(c, name, token, answer.root);
    explicit_bzero(typed, sizeof(typed));
    return r;
}

int cmd_logout(struct cli *c, const struct args *a)
{
    _cleanup_contexts_ struct contexts all = CONTEXTS_INIT;
    int r = load(&all);
    if (r != CLI_OK)
        return r;
    const char *name = a->count ? a->words[0] : all.current;
    if (!name)
        return cli_fail(CLI_REFUSED, "no warden is in use: name one of 'clawrden context list'");
    struct context *one = contexts_find(&all, name);
    if (!one)
        return cli_fail(CLI_REFUSED, "no warden is called so: see 'clawrden context list'");
    contexts_remove(&all, one);
    r = save(&all);
    if (r == CLI_OK)
        printf("forgotten; the token still counts until it is revoked\n");
    return r;
}

int cmd_context_list(struct cli *c, const struct args *a)
{
    static const char *const titles[] = {"", "NAME", "ADDRESS", NULL};
    _cleanup_contexts_ struct contexts all = CONTEXTS_INIT;
    int r = load(&all);
    if (r != CLI_OK)
        return r;
    if (c->json) {
        _cleanup_buf_ struct buf b = BUF_INIT(1u << 20);
        struct json_writer w = JSON_WRITER(&b);
        json_array_begin(&w);
        for (size_t i = 0; i < all.count; i++) {
            json_object_begin(&w);
            json_field_string(&w, "name", all.at[i].name);
            json_field_string(&w, "api", all.at[i].api);
            json_field_bool(&w, "current", str_eq(all.at[i].name, all.current));
            json_object_end(&w);
        }
        json_array_end(&w);
        printf("%s\n", buf_str(&b));
        return CLI_OK;
    }
    if (all.count == 0) {
        printf("no warden is known but that of this host: see 'clawrden login'\n");
        return CLI_OK;
    }
    _cleanup_(table_freep) struct table *t = table_new(titles);
    for (size_t i = 0; i < all.count; i++) {
        table_add(t, str_eq(all.at[i].name, all.current) ? "*" : " ");
        table_add(t, all.at[i].name);
        table_add(t, all.at[i].api);
    }
    table_print(t, stdout, table_terminal_width());
    return CLI_OK;
}

int cmd_context_use(struct cli *c, const struct args *a)
{
    _cleanup_contexts_ struct contexts all = CONTEXTS_INIT;
    const char *name = a->words[0];
    int r = load(&all);
    if (r != CLI_OK)
        return r;
    if (!str_eq(name, "-") && !contexts_find(&all, name))
        return cli_fail(CLI_REFUSED, "no warden is called so: see 'clawrden context list'");
    free(all.current);
    all.current = str_eq(name, "-") ? NULL : mem_strdup(name);
    return save(&all);
}
