/* SPDX-License-Identifier: MIT */
#include "policy/jailname.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

static int check(const char *name, size_t max, const char *first, const char *rest, const char *may,
                 struct err *err)
{
    size_t n = strlen(name);
    if (n == 0 || n > max)
        return err_set(err, -EINVAL, "a name has 1 to %zu bytes", max);
    if (!strchr(first, name[0]) || strspn(name, rest) != n)
        return err_set(err, -EINVAL, "a name is made of letters, digits and %s", may);
    /* The shim stands beside the links; the rest of the name is ours to use later. */
    if (str_starts(name, "clawrden"))
        return err_set(err, -EINVAL, "names that begin with 'clawrden' are its own");
    return 0;
}

int jailname_check(const char *name, struct err *err)
{
    int r = check(name, JAILNAME_MAX, LETTERS, LETTERS "_.-",
                  "_ . -, and begins with a letter or digit", err);
    if (r == 0 && strstr(name, ".."))
        r = err_set(err, -EINVAL, "'..' stands in no name");
    return r;
}

int jailname_check_command(const char *name, struct err *err)
{
    /* "[" and "g++" are commands. */
    int r = check(name, JAILNAME_COMMAND_MAX, LETTERS "_[+@%:~", LETTERS "_[]+@%:~.,=-",
                  "_ . - + @ % : ~ , = [ ], and does not begin with . - , = ]", err);
    /* Where a locked tool is kept: a shim of that name would stand for nothing. */
    if (r == 0 && str_ends(name, ".original"))
        r = err_set(err, -EINVAL, "names that end in '.original' are those of locked tools");
    return r;
}
