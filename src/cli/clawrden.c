/* SPDX-License-Identifier: MIT */
/* clawrden: the one command for people. Reads the command line, shows help, runs the row of the
 * command table. What each command does is in its cmd-*.c. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/args.h"
#include "cli/cli.h"

/* ---- help ---- */

static void print_options(const struct cli_option *t)
{
    for (; t && t->name; t++) {
        char left[64];
        (void)snprintf(left, sizeof(left), "%c%c%c --%s%s%s", t->letter ? '-' : ' ',
                       t->letter ? t->letter : ' ', t->letter ? ',' : ' ', t->name,
                       t->arg ? " " : "", t->arg ? t->arg : "");
        printf("  %-26s %s\n", left, t->help);
    }
}

static void print_commands(const char *group)
{
    size_t n = group ? strlen(group) : 0;
    for (const struct command *c = commands; c->name; c++)
        if (!group || (strncmp(c->name, group, n) == 0 && c->name[n] == ' '))
            printf("  %-16s %s\n", c->name, c->summary);
}

static int help_for_all(const char *group)
{
    if (group)
        printf("usage: clawrden %s COMMAND ...\n\n", group);
    else
        printf("clawrden: see and steer what a governed agent runs\n\n"
               "usage: clawrden [OPTION]... COMMAND ...\n\n");
    printf("commands (each takes --help):\n");
    print_commands(group);
    printf("\noptions of every command, before or after it:\n");
    print_options(args_common);
    if (!group)
        printf("\nThe warden is found by --api, else CLAWRDEN_API, else api.sock in its state\n"
               "directory (/var/lib/clawrden, or ~/.local/state/clawrden when not root).\n\n"
               "exit status: 0 done; 1 refused, or no such request; 2 wrong usage;\n"
               "3 no warden answers\n");
    return CLI_OK;
}

static int help_for(const struct command *c)
{
    printf("usage: clawrden %s %s\n\n%s\n", c->name, c->usage, c->summary);
    if (c->details)
        printf("\n%s\n", c->details);
    if (c->options) {
        printf("\noptions:\n");
        print_options(c->options);
    }
    printf("\noptions of every command:\n");
    print_options(args_common);
    return CLI_OK;
}

/* ---- main ---- */

static int run(int argc, char **argv, struct args_line *l)
{
    struct err err = {0};
    int r = args_parse(argc, argv, l, &err);
    if (l->wish == ARGS_HELP && (r == 0 || l->command || l->group))
        return l->command ? help_for(l->command) : help_for_all(l->group);
    if (r < 0)
        return cli_usage(l->command, "%s", err.text);
    if (l->wish == ARGS_VERSION) {
        printf("clawrden %s\n", CLAWRDEN_VERSION);
        return CLI_OK;
    }
    if (!l->command && l->group)
        return cli_usage(NULL, "'%s' needs a command behind it; 'clawrden %s --help' lists them",
                         l->group, l->group);
    if (!l->command) {
        (void)help_for_all(NULL);
        return CLI_USAGE;
    }
    return l->command->run(&l->cli, &l->args);
}

int main(int argc, char **argv)
{
    struct args_line l;
    int code = run(argc, argv, &l);
    args_line_done(&l);
    /* What could not be shown must not look like success. */
    if (fflush(stdout) == EOF || ferror(stdout)) {
        (void)fprintf(stderr, "clawrden: cannot write the output: %s\n", strerror(errno));
        return code == CLI_OK ? CLI_REFUSED : code;
    }
    return code;
}
