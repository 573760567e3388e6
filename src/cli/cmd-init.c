/* SPDX-License-Identifier: MIT */
/* clawrden init: writes a commented starter policy for one workspace, and says what to do next. The
 * text is checked by the policy's own parser before it is written. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/mem.h"
#include "base/path.h"
#include "base/str.h"
#include "cli/cmd.h"
#include "cli/starter.h"
#include "policy/policy.h"

#define PLACEHOLDER "/workspace" /* in the shipped texts: where the agent works */

static const struct starter *find_text(const char *name)
{
    const struct starter *s = starter;
    while (s->name && !str_eq(s->name, name))
        s++;
    return s; /* a name that is not there gives the empty end, which is no policy */
}

/* What a glob or YAML would read as something else, and what a reviewer could not see. */
static bool is_plain_directory(const char *path)
{
    _cleanup_buf_ struct buf b = BUF_INIT(16u * PATH_MAX);
    (void)str_escape(&b, path, strlen(path));
    return str_eq(buf_str(&b), path) && !strpbrk(path, "*?[]{}\"'!,:#&|<>%@`");
}

/* The shipped text with the workspace put in. */
static void fill_in(const struct starter *s, const char *workspace, struct buf *out)
{
    const char *p = (const char *)s->text, *end = p + s->len;
    while (p < end) {
        const char *hit = memmem(p, (size_t)(end - p), PLACEHOLDER, strlen(PLACEHOLDER));
        (void)buf_append(out, p, (size_t)((hit ? hit : end) - p));
        if (!hit)
            return;
        (void)buf_append_str(out, workspace);
        p = hit + strlen(PLACEHOLDER);
    }
}

static int write_policy(const char *path, const struct buf *text)
{
    struct err err = {0};
    _cleanup_free_ char *dir = path_dirname(path);
    mode_t mode = geteuid() == 0 ? 0644 : 0600;
    int r = path_mkdirs(dir, geteuid() == 0 ? 0755 : 0700, &err);
    if (r >= 0)
        r = fd_write_file(path, mode, buf_str(text), text->len, &err);
    return r < 0 ? cli_fail(CLI_REFUSED, "%s", err.text) : CLI_OK;
}

static void print_next(const char *path, const char *workspace, const struct policy *p)
{
    printf("wrote %s: %zu rules for the workspace %s\n\n", path, policy_rules_count(p), workspace);
    printf("next:\n"
           "  clawrden policy explain -- git push    what would happen to a command, and why\n"
           "  clawrden-warden                        start the warden\n"
           "  clawrden queue --watch                 answer what waits\n");
}

int cmd_init(struct cli *c, const struct args *a)
{
    const char *given = args_value(a, "workspace");
    char workspace[PATH_MAX];
    if (!realpath(given ? given : ".", workspace))
        return cli_fail(CLI_REFUSED, "the workspace '%s': %s", given ? given : ".",
                        strerror(errno));
    if (!is_plain_directory(workspace) || str_eq(workspace, "/"))
        return cli_fail(CLI_REFUSED,
                        "the workspace %s cannot be used as it is: it needs a directory with a "
                        "plain name,\n          and not /",
                        workspace);
    _cleanup_free_ char *dir = cli_config_dir();
    _cleanup_free_ char *path = a->count ? mem_strdup(a->words[0]) : path_join(dir, "policy.yaml");
    struct stat st;
    if (lstat(path, &st) == 0 && !args_flag(a, "force"))
        return cli_fail(CLI_REFUSED, "%s is there already; --force replaces it", path);
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    fill_in(find_text(args_flag(a, "strict") ? "strict.yaml" : "starter.yaml"), workspace, &text);
    _cleanup_(policy_unrefp) struct policy *p = NULL;
    struct err err = {0};
    if (text.failed || policy_parse(buf_str(&text), text.len, path, &p, &err) < 0)
        return cli_fail(CLI_REFUSED, "the starter policy cannot be used for %s: %s", workspace,
                        err.text);
    int r = write_policy(path, &text);
    if (r != CLI_OK)
        return r;
    if (c->json)
        printf("{\"path\":\"%s\",\"rules\":%zu}\n", path, policy_rules_count(p));
    else
        print_next(path, workspace, p);
    return CLI_OK;
}
