/* SPDX-License-Identifier: MIT */
/* What the commands share: how failures are said, and the usual places. */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/path.h"

int cli_fail(int code, const char *fmt, ...)
{
    va_list ap;
    (void)fflush(stdout);
    (void)fputs("clawrden: ", stderr);
    va_start(ap, fmt);
    (void)vfprintf(stderr, fmt, ap);
    va_end(ap);
    (void)fputc('\n', stderr);
    return code;
}

int cli_usage(const struct command *command, const char *fmt, ...)
{
    struct err e;
    va_list ap;
    va_start(ap, fmt);
    (void)vsnprintf(e.text, sizeof(e.text), fmt, ap);
    va_end(ap);
    (void)cli_fail(CLI_USAGE, "%s", e.text);
    if (command)
        (void)fprintf(stderr, "usage: clawrden %s %s\n", command->name, command->usage);
    (void)fprintf(stderr, "help:  clawrden %s%s--help\n", command ? command->name : "",
                  command ? " " : "");
    return CLI_USAGE;
}

/* $XDG_... / clawrden when it is absolute, else under the home directory. */
static char *user_dir(const char *variable, const char *below_home)
{
    const char *xdg = getenv(variable), *home = getenv("HOME");
    if (xdg && xdg[0] == '/')
        return path_join(xdg, "clawrden");
    return mem_printf("%s/%s/clawrden", home && home[0] == '/' ? home : "", below_home);
}

char *cli_state_dir(void)
{
    const char *set = getenv("CLAWRDEN_STATE");
    if (set && set[0])
        return mem_strdup(set);
    return geteuid() == 0 ? mem_strdup("/var/lib/clawrden")
                          : user_dir("XDG_STATE_HOME", ".local/state");
}

char *cli_config_dir(void)
{
    return geteuid() == 0 ? mem_strdup("/etc/clawrden") : user_dir("XDG_CONFIG_HOME", ".config");
}
