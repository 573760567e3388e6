/* SPDX-License-Identifier: MIT */
/* Which places of a host a governed tree gets, and which are ways out of it: sockets of engines,
 * agents, sessions and terminals, keys, and the variables that lead there. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "sandbox/plan.h"

struct places {
    const char *home; /* real; borrowed, as all here */
    char *const *env; /* as in environ(7): names sockets */
    uid_t uid;
};

/* Directories of its own (/tmp, /run ...), hidden sockets and keys. */
int places_fill(struct plan *p, const struct places *of, struct err *err) MUST_CHECK;

/* The environment without the variables that lead to what is hidden, and without ours: an owned
 * array of borrowed strings. */
char **places_env(char *const *env);

/* The path of a socket in one of the variables that name one ("unix:path=/x,guid=1" of
 * DBUS_SESSION_BUS_ADDRESS): owned, NULL for other variables and other values. */
char *places_socket_of(const char *variable);
