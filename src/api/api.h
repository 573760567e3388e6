/* SPDX-License-Identifier: MIT */
/* The HTTP API of a warden: one adapter per resource over http/server. Main passes in what lies in
 * layers that the API does not know. Everything runs on the loop thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/err.h"
#include "base/json.h"
#include "core/ports.h"
#include "core/warden.h"
#include "http/auth.h"
#include "http/front.h"

struct api;

enum api_role {
    API_ROLE_NONE,
    API_ROLE_VIEWER,
    API_ROLE_APPROVER,
    API_ROLE_OPERATOR,
    API_ROLE_ADMIN
};

/* What GET /api/history asks for. Strings are NULL when not asked for, and borrowed for the call.
 */
enum api_history_format { API_HISTORY_JSON, API_HISTORY_LINES, API_HISTORY_CSV };
struct api_history_query {
    size_t limit;         /* 1 to API_HISTORY_MAX */
    const char *cursor;   /* `next` of the page before, as it was given; check it */
    const char *id;       /* this very request */
    const char *command;  /* name it was called by */
    const char *decision; /* decision_name() */
    const char *container;
    const char *rule;
    const char *approver; /* who logged in, or the whole name of the record */
    const char *arg;      /* one of the arguments */
    const char *text;     /* words of the command line; "wor*" is the beginning of one */
    int64_t uid;          /* -1: any; so are these: */
    int64_t exit_code, signal;
    uint64_t since; /* realtime ns, 0: any */
    uint64_t until; /* realtime ns, UINT64_MAX: any */
    bool story;     /* of `id`: one object {"shortened", "request", "orders"}, see store/life.h */
    bool part;      /* of an export: as many rows as are good at once; rows are in `format`, with
                     * titles (CSV) in front of the first part */
    enum api_history_format format;
};
#define API_HISTORY_MAX 1000

/* 0: `rows` is the inside of a JSON array, newest first ("{...},{...}" or ""), `next` the cursor of
 * the following page or NULL. Else negative errno with words: -EINVAL for a bad cursor. */
typedef void api_history_done(void *arg, int result, const char *rows, size_t len, const char *next,
                              const char *words);

/* One thing without which the warden cannot do its work. An engine that no rule needs is none. */
struct api_check {
    const char *name; /* "helper" */
    bool (*ready)(void *arg, struct err *ret_why);
};

/* An order about a jail: a folder of command names (see docs/docker.md). All borrowed. */
enum api_jail_what { API_JAIL_CREATE, API_JAIL_CHANGE, API_JAIL_DELETE };
struct api_jail_order {
    enum api_jail_what what;
    const char *name;
    const char *const *commands;
    size_t commands_count;
    const char *const *containers; /* globs */
    size_t containers_count;
    bool hardened;
    const char *by, *address, *request_id; /* for the record */
};
#define API_JAIL_NAMES_MAX 256

/* Of log and index, for the metrics. */
struct api_numbers {
    uint64_t audit_records;  /* in the log */
    uint64_t audit_unsynced; /* of them that a power loss would take */
    uint64_t audit_bytes;    /* written since the start */
    uint64_t audit_file_bytes;
    uint64_t audit_sync_failures;
    uint64_t index_behind; /* records that the history does not show yet */
    uint64_t index_errors;
};

struct api_deps {
    struct warden *warden;
    struct clock_port *clock;
    void *arg; /* first parameter of every function below and of the checks */
    /* True when the peer of this unix socket is in no container, no foreign pid or user namespace
     * and no governed tree (door/peer). NULL: nobody may log in by peer credentials. */
    bool (*peer_is_outside)(void *arg, int fd);
    /* Loads the policy file anew; `err` has FILE:LINE:COLUMN when it is refused. */
    int (*reload_policy)(void *arg, const char *who, struct err *err);
    /* Calls `done` once, later or before it returns. A negative return: it will not be called.
     * NULL: there is no history. */
    int (*history)(void *arg, const struct api_history_query *q, api_history_done *done,
                   void *done_arg, struct err *err);
    /* Whether history() would take the question: 0, or -EINVAL with words. May be NULL. */
    int (*check_history)(void *arg, const struct api_history_query *q, struct err *err);
    /* Makes the index anew from the audit log, in the background. May be NULL. */
    void (*rebuild_history)(void *arg);
    /* Puts the jail of this name as an object, or all of them (NULL) one behind the other; false:
     * there is none of this name. NULL: there are no jails here, for jails_why. */
    bool (*jails)(void *arg, const char *name, struct json_writer *w);
    /* Records and carries out. 0; -EINVAL, -ENOENT, -EEXIST, -EPERM, -EDQUOT: it was refused;
     * -ENODATA: it could not be recorded; else it was decided, but not all of it is on the disk. */
    int (*jail_order)(void *arg, const struct api_jail_order *o, struct err *err);
    const char *jails_why; /* why there are no jails */
    /* Adds members to GET /api/status: what this host enforces and what not. May be NULL. */
    void (*status)(void *arg, struct json_writer *w);
    void (*numbers)(void *arg, struct api_numbers *ret); /* may be NULL */
    const struct api_check *checks;                      /* besides "audit" and "policy" */
    size_t checks_count;
};

struct api_token {
    const char *token, *name;
    enum api_role role;
};

/* An OpenID provider. */
struct api_oidc {
    const char *issuer, *client_id;
    const char *client_secret; /* NULL: a public client */
    const char *scope, *groups_claim;
    const char *roles; /* "GROUP=ROLE;..." */
    const char *ca;    /* PEM file that vouches for it; NULL: the system's */
};

struct api_config {
    const char *socket_path;   /* STATE/api.sock; NULL: none */
    const char *address;       /* "127.0.0.1:9099", port 0 picks one; NULL: no TCP */
    const char *token;         /* of the role admin, see auth_token_load_or_make(); NULL: none */
    const char *token_name;    /* who its holder is in the records; NULL: "token" */
    const char *accounts_path; /* STATE/accounts.json: tokens and users; NULL: not kept */
    const char *tls_cert, *tls_key; /* PEM files: TCP speaks TLS; NULL: in clear */
    bool anywhere;                  /* TCP that others can reach is taken without TLS */
    const char *origins; /* "https://HOST[:PORT];...": where a proxy shows it; NULL: none */
    const char *proxies; /* "ADDRESS[/BITS];...": whose X-Forwarded-For is believed; NULL: none */
    uint64_t session_idle, session_max; /* ns */
    const struct api_oidc *oidc;        /* NULL: none */
    const struct api_token *tokens;     /* further ones */
    size_t tokens_count;
    struct front_config front; /* limits; from api_config_default() */
};
void api_config_default(struct api_config *c);

/* Reads certificate and key anew, for connections that come from now on. Negative with words: the
 * ones before stay. -ENOENT: there are none to read. */
int api_reload_tls(struct api *a, struct err *err) MUST_CHECK;

/* A link that logs in once, within ten minutes, as `who` of the role admin; owned by the caller.
 * NULL: there is no TCP. */
char *api_make_link(struct api *a, const char *who);

/* *ret_url: "http://127.0.0.1:PORT", owned by the caller; NULL without TCP. */
int api_start(uv_loop_t *loop, const struct api_deps *deps, const struct api_config *config,
              struct api **ret, char **ret_url, struct err *err) MUST_CHECK;
/* Answers what is open with 503 and closes, within 2 s; then `gone(arg)`, when not NULL. The warden
 * must live until this returns. */
void api_stop(struct api *a, void (*gone)(void *arg), void *arg);
