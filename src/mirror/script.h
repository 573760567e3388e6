/* SPDX-License-Identifier: MIT */
/* Which file an interpreter will read: bytes in, position out; no system calls. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire/helper.h"

#define SCRIPT_HEAD_MAX 4096 /* bytes at the start of a file that are looked at */
#define SCRIPT_LINE_MAX 256  /* of "#!", as the kernel has it (BINPRM_BUF_SIZE) */

struct script_line {
    char interpreter[SCRIPT_LINE_MAX];
    char argument[SCRIPT_LINE_MAX]; /* all of the rest as one, or "" */
};
/* A "#!" line at the start of `head`: 1; 0: there is none; -1: the kernel would not take it. */
int script_line_parse(const char *head, size_t len, struct script_line *ret);

/* "#!/usr/bin/env NAME": writes NAME to `out`. 0; -1: what will run cannot be told. */
int script_env_name(const char *argument, char *out, size_t size);

enum script_operand {
    SCRIPT_NONE,    /* not an interpreter, or its code is not in a file */
    SCRIPT_OPERAND, /* *ret is the file's name */
    SCRIPT_UNCLEAR, /* it cannot be told */
};
/* `tool`: the base name of the program. `args`: argv, as far as it was sent; `cut`: there is more.
 */
enum script_operand script_operand_find(const char *tool, const struct helper_strings *args,
                                        bool cut, const char **ret);
/* Does the interpreter look for an operand without slashes on its PATH too? */
bool script_searches_path(const char *tool);
