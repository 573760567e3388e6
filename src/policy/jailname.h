/* SPDX-License-Identifier: MIT */
/* Which names a jail and a command in it may have. They become names of a directory and of links in
 * it, so nothing in them may lead anywhere, hide, or be taken for one of our own files. */
#pragma once

#include "base/err.h"

#define JAILNAME_MAX 64          /* bytes */
#define JAILNAME_COMMAND_MAX 128 /* bytes */

/* 0, or -EINVAL with words that begin with what is wrong, without the name. */
int jailname_check(const char *name, struct err *err) MUST_CHECK;
int jailname_check_command(const char *name, struct err *err) MUST_CHECK;
