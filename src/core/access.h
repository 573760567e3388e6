/* SPDX-License-Identifier: MIT */
/* Who came in, who was refused, and whose rights changed: records that are about people, not about
 * commands. Words of strangers are data; whoever cannot log in can fill the log no faster than
 * ACCESS_REFUSALS_PER_MINUTE. */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "core/warden.h"

#define ACCESS_REFUSALS_PER_MINUTE 60 /* of all addresses; of one: LIMITS_RECORDS_PER_MINUTE */

/* event "login". Strings may be NULL where they are not known. */
struct access_login {
    const char *who, *role;
    const char *method; /* "peer", "token", "password", "link", "oidc" */
    const char *address;
    const char *request_id; /* of the call; so in the others */
};
void access_login(struct warden *w, const struct access_login *l);

/* event "login-refused" */
struct access_refusal {
    const char *why; /* "credentials", "none", "governed", "role", "csrf", "too-many" ... */
    const char *who; /* who it said it was, or was */
    const char *address, *method, *path, *request_id;
};
void access_refused(struct warden *w, const struct access_refusal *r);

/* event "access" */
struct access_change {
    const char *what;       /* "token-created", "token-revoked", "user-added" ... */
    const char *subject;    /* whose rights */
    const char *subject_id; /* NULL: it has none */
    const char *role;       /* from now on; NULL: none */
    uint64_t expires;       /* realtime ns; 0: never */
    const char *by, *address, *request_id;
};
/* Recorded before it happens: negative with words, and then nothing may change. */
int access_change(struct warden *w, const struct access_change *c, struct err *err) MUST_CHECK;

/* event "jail": which commands lead to the shim in a container. Strings may be NULL but `what`. */
struct access_jail {
    const char *what;   /* "created", "changed", "deleted", "mounted", "refused" */
    const char *name;   /* of the jail */
    const char *origin; /* "policy", "api", "label" */
    const char *mode;   /* "plain", "hardened" */
    const char *const *commands;
    size_t commands_count;
    const char *container_id, *container;
    const char *words; /* what became of it, or why not */
    uint64_t window;   /* ns from the container's start to the mount; 0: not known */
    const char *by, *address, *request_id;
};
/* As access_change(). */
int access_jail(struct warden *w, const struct access_jail *j, struct err *err) MUST_CHECK;
/* Of what has happened already. */
void access_jail_note(struct warden *w, const struct access_jail *j);

/* The members of each, for the tests. */
void access_jail_members(const struct access_jail *j, uint64_t realtime, struct buf *out);
void access_login_members(const struct access_login *l, uint64_t realtime, struct buf *out);
void access_refusal_members(const struct access_refusal *r, uint64_t realtime, struct buf *out);
void access_change_members(const struct access_change *c, uint64_t realtime, struct buf *out);
