/* SPDX-License-Identifier: MIT */
#include "jail/labels.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "policy/jailname.h"

/* Takes `text` apart at its commas, without blanks around the names. */
static int split(struct labels *l, struct err *err)
{
    for (char *at = l->text, *end; at; at = end) {
        at += strspn(at, " \t");
        end = strchr(at, ',');
        if (end)
            *end++ = '\0';
        for (size_t n = strlen(at); n > 0 && (at[n - 1] == ' ' || at[n - 1] == '\t'); n--)
            at[n - 1] = '\0';
        if (l->count == POLICY_JAIL_COMMANDS_MAX)
            return err_set(err, -EINVAL, "more than %d names", POLICY_JAIL_COMMANDS_MAX);
        int r = jailname_check_command(at, err);
        if (r < 0)
            return err_prefix(err, r, "name %zu", l->count + 1);
        l->commands[l->count++] = at;
    }
    return 0;
}

int labels_read(const struct container *c, struct labels *ret, struct err *err)
{
    const char *enabled = container_label(c, LABELS_ENABLED),
               *commands = container_label(c, LABELS_COMMANDS),
               *mode = container_label(c, LABELS_MODE), *name = container_label(c, LABELS_JAIL);
    if (!enabled || str_eq(enabled, "false"))
        return 0;
    *ret = (struct labels){.name = name ? name : c->name};
    if (!str_eq(enabled, "true"))
        return err_set(err, -EINVAL, LABELS_ENABLED " is true or false");
    if (!commands || strlen(commands) >= sizeof(ret->text))
        return err_set(err, -EINVAL, LABELS_COMMANDS " %s",
                       commands ? "is too long" : "is missing: it names the tools, as npm,git");
    ret->hardened = str_eq(mode, "hardened");
    if (mode && !ret->hardened && !str_eq(mode, "plain"))
        return err_set(err, -EINVAL, LABELS_MODE " is plain or hardened");
    int r = jailname_check(ret->name, err);
    if (r < 0)
        return err_prefix(err, r, LABELS_JAIL);
    memcpy(ret->text, commands, strlen(commands) + 1);
    r = split(ret, err);
    return r < 0 ? err_prefix(err, r, LABELS_COMMANDS) : 1;
}
