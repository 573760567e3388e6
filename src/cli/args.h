/* SPDX-License-Identifier: MIT */
/* The command line as data: options of all commands and of one, in any order, long or short. */
#pragma once

#include "base/err.h"
#include "cli/cli.h"

enum args_wish { ARGS_RUN, ARGS_HELP, ARGS_VERSION };

extern const struct cli_option args_common[]; /* the options that every command takes */

struct args_line {
    struct cli cli;
    enum args_wish wish;
    const struct command *command; /* NULL: none was named */
    const char *group;             /* "policy" when only a group was named, else NULL */
    struct args args;
    const char **words; /* owned; args.words leads into it */
};
void args_line_done(struct args_line *l);

/* Reads argv[1..]. -EINVAL with words for a person; what was understood before is kept in `ret`
 * (so that the hint can name the command), which is to be released in any case. */
int args_parse(int argc, char **argv, struct args_line *ret, struct err *err) MUST_CHECK;
