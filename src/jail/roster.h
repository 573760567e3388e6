/* SPDX-License-Identifier: MIT */
/* Which jails there are: those of the policy, those that people made by the API, and one for each
 * container whose labels ask for it. The latter two are kept in a file (the book) over restarts;
 * the directories (shelf.h) follow from all three, and what nobody wants any more is removed.
 * Everything here has been asked of an operator or of whoever starts containers, never of an agent;
 * names are checked all the same. Does not log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/json.h"
#include "base/list.h"
#include "core/container.h"
#include "policy/policy.h"

#define ROSTER_MAX 1024

enum roster_origin { ROSTER_POLICY, ROSTER_API, ROSTER_LABEL };

struct roster_entry {
    struct list link;
    enum roster_origin origin;
    char *name;      /* owned */
    char **commands; /* owned, and its strings; in the order in which they were given */
    size_t commands_count;
    char **containers; /* the same: globs on names of containers that it is for */
    size_t containers_count;
    const struct policy_jail *rule; /* of the policy; borrowed */
    bool hardened;
    char *container;   /* owned: the id that a label's jail belongs to */
    char *by;          /* owned: who made it, or NULL */
    uint64_t realtime; /* when; 0: not known */
};

/* What somebody wants; all borrowed for the call. */
struct roster_wish {
    const char *name;
    const char *const *commands;
    size_t commands_count;
    const char *const *containers;
    size_t containers_count;
    bool hardened;
    const char *by;
    uint64_t realtime;
};

struct roster;

/* `dir` and `shim` as for shelf_open(), `book` is the file; all copied. Takes what the policy says,
 * makes the directories right, and removes others. */
int roster_open(const char *dir, const char *book, const char *shim, const struct policy *p,
                struct roster **ret, struct err *err) MUST_CHECK;
struct roster *roster_free(struct roster *j);
CLEANUP_DEFINE(struct roster, roster_free)

/* Another policy is in force: its jails take the place of those of the one before, and of those of
 * the same name that others made. On failure what could be done is done. */
int roster_set_policy(struct roster *j, const struct policy *p, struct err *err) MUST_CHECK;

/* ---- orders of people ---- */
enum roster_what { ROSTER_CREATE, ROSTER_CHANGE, ROSTER_DELETE };
/* Whether it could be done: 0; -EINVAL: a name is none, -EEXIST, -ENOENT, -EPERM: it is the
 * policy's or a container's, -EDQUOT: there are too many; with words. */
int roster_check(const struct roster *j, enum roster_what what, const struct roster_wish *w,
                 struct err *err) MUST_CHECK;
/* The same, and does it. -EIO and others: it is decided, but the disk did not take all of it; the
 * next change or start does. CHANGE takes the commands, mode and containers of the wish. */
int roster_apply(struct roster *j, enum roster_what what, const struct roster_wish *w,
                 struct err *err) MUST_CHECK;

/* ---- of containers ---- */
/* A container's labels want it; what it had before is replaced, but for the name: a container that
 * was renamed still has the directory mounted. *ret_changed: it is not as it was. -EEXIST: the name
 * is another's. */
int roster_adopt(struct roster *j, const char *container, const struct roster_wish *w,
                 bool *ret_changed, struct err *err) MUST_CHECK;
/* It is not there any more. 1: it had one. */
int roster_abandon(struct roster *j, const char *container, struct err *err) MUST_CHECK;
/* The jail that is for it: its own by labels, else the first that names it; or NULL. */
const struct roster_entry *roster_for(const struct roster *j, const struct container *c);

const struct roster_entry *roster_find(const struct roster *j, const char *name);
const struct list *roster_list(const struct roster *j); /* of struct roster_entry, oldest first */
size_t roster_count(const struct roster *j);
const char *roster_dir(const struct roster *j);
const char *roster_origin_name(enum roster_origin o);
/* An object: the form of the API. */
void roster_put(const struct roster *j, const struct roster_entry *e, struct json_writer *w);
