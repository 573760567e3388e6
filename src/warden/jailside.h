/* SPDX-License-Identifier: MIT */
/* Jails with what lies in layers that they do not know: orders of the API are recorded before they
 * are carried out, the policy that is in force says its own, and containers come and go. */
#pragma once

#include "api/api.h"
#include "base/cleanup.h"
#include "core/container.h"
#include "core/warden.h"
#include "exec/census.h"
#include "exec/fitting.h"

struct jailside;

struct jailside_parts { /* all borrowed for its life */
    struct warden *warden;
    struct clock_port *clock;
    const char *state, *dir;     /* of the warden; of the jails, "": STATE/jails */
    const char *shim;            /* NULL: it was not found */
    const struct census *census; /* whom a change concerns */
    struct fitting *fitting;     /* NULL: tools of containers cannot be covered, for no_fitting */
    const char *no_fitting;
    /* The covers of this container have changed. */
    void (*covered)(void *arg, const char *id);
    void *arg;
};

/* Without a shim there are no jails, which is an error only when the policy names some; *ret is
 * NULL then, and `err` says why there are none. */
int jailside_open(const struct jailside_parts *p, struct jailside **ret,
                  struct err *err) MUST_CHECK;
struct jailside *jailside_free(struct jailside *j);
CLEANUP_DEFINE(struct jailside, jailside_free)

/* For the door of gates; as long as `j`. */
struct fitter *jailside_fitter(struct jailside *j);
/* Where there are no jails: a gate whose container asks for covered tools by its labels is refused
 * with `why`, borrowed. */
struct fitter *jailside_none(const char *why);

void jailside_set_policy(struct jailside *j, const struct policy *p);
/* For struct api_deps. */
bool jailside_put(struct jailside *j, const char *name, struct json_writer *w);
int jailside_order(struct jailside *j, const struct api_jail_order *o, struct err *err) MUST_CHECK;

/* A container runs; the one of this id was removed. */
void jailside_arrived(struct jailside *j, struct container *c);
void jailside_removed(struct jailside *j, const char *id);
/* Each container that has a jail by its labels; `fn` must not change that. */
void jailside_each(const struct jailside *j, void (*fn)(void *arg, const char *id), void *arg);
