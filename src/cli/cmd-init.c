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
#include "cli/cmd.h"
#include "cli/starter-text.h"
#include "policy/policy.h"

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

static void print_next(const char *path, const char *workspace, size_t rules)
{
    printf("wrote %s: %zu rules for the workspace %s\n\n", path, rules, workspace);
    printf("next:\n"
           "  clawrden policy explain -- git push    what would happen to a command, and why\n"
           "  clawrden run -- YOUR-AGENT             govern an agent on this machine\n"
           "  clawrden-warden                        or start a warden for containers and shims\n"
           "  clawrden queue --watch                 answer what waits\n");
}

int cmd_init(struct cli *c, const struct args *a)
{
    const char *given = args_value(a, "workspace");
    char workspace[PATH_MAX];
    if (!realpath(given ? given : ".", workspace))
        return cli_fail(CLI_REFUSED, "the workspace '%s': %s", given ? given : ".",
                        strerror(errno));
    _cleanup_free_ char *dir = cli_config_dir();
    _cleanup_free_ char *path = a->count ? mem_strdup(a->words[0]) : path_join(dir, "policy.yaml");
    struct stat st;
    if (lstat(path, &st) == 0 && !args_flag(a, "force"))
        return cli_fail(CLI_REFUSED, "%s is there already; --force replaces it", path);
    _cleanup_buf_ struct buf text = BUF_INIT(POLICY_TEXT_MAX);
    struct err err = {0};
    size_t rules;
    if (starter_text_fill(args_flag(a, "strict") ? "strict.yaml" : "starter.yaml", workspace, false,
                          path, &text, &rules, &err) < 0)
        return cli_fail(CLI_REFUSED, "%s", err.text);
    int r = write_policy(path, &text);
    if (r != CLI_OK)
        return r;
    if (c->json)
        printf("{\"path\":\"%s\",\"rules\":%zu}\n", path, rules);
    else
        print_next(path, workspace, rules);
    return CLI_OK;
}
