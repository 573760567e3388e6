/* SPDX-License-Identifier: MIT */
/* What the commands of `clawrden` share: exit codes, the options that every command takes, and the
 * shape of a row of the command table (commands.c). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/cleanup.h"

enum cli_exit {
    CLI_OK = 0,
    CLI_REFUSED = 1,     /* refused, unknown, answered or expired; a check that found something */
    CLI_USAGE = 2,       /* the command line is wrong */
    CLI_UNREACHABLE = 3, /* no warden answers, or it does not know us */
};

/* Options of every command, before or after its name. Strings are borrowed from argv. */
struct cli {
    const char *api;        /* --api, else CLAWRDEN_API, else NULL: the default socket */
    const char *session;    /* --session: the warden of a `clawrden run` */
    const char *context;    /* --context: one of the person's wardens */
    const char *ca;         /* --ca */
    const char *token;      /* --token */
    const char *token_file; /* --token-file */
    bool json;
    bool quiet; /* an unreachable warden is the caller's to show, not remote.c's */
};

struct cli_option {
    const char *name; /* without "--"; NULL ends a table */
    char letter;      /* 0: none */
    const char *arg;  /* NULL: a flag, else what its value is called in the help */
    const char *help;
};

#define CLI_OPTIONS_MAX 24 /* of one command */

/* One parsed command line: values of the command's own options, and its words. */
struct args {
    const struct cli_option *options;
    const char *values[CLI_OPTIONS_MAX]; /* NULL: not given; a flag that was given is "" */
    const char *const *words;            /* NULL-terminated */
    size_t count;
};
/* NULL when the option was not given. `name` must be in the table. */
const char *args_value(const struct args *a, const char *name);
bool args_flag(const struct args *a, const char *name);

struct command {
    const char *name; /* "queue", or "policy check" for one of a group */
    const char *usage;
    const char *summary; /* one line */
    const char *details; /* more lines, or NULL */
    const struct cli_option *options;
    unsigned words_min, words_max;
    bool tail; /* from its first word on nothing is an option: another command's line */
    int (*run)(struct cli *c, const struct args *a); /* an enum cli_exit */
};
extern const struct command commands[]; /* ends with a row without a name */

/* "clawrden: words" on stderr; returns `code`. */
int cli_fail(int code, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The same with a line behind it that says how to get help with `command`. */
int cli_usage(const struct command *command, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The warden's and the policy's usual places for whoever runs this: owned. */
char *cli_state_dir(void);
char *cli_config_dir(void);
