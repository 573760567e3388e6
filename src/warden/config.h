/* SPDX-License-Identifier: MIT */
/* The options of clawrden-warden. One table gives the flags, the keys of clawrden.yaml, the
 * CLAWRDEN_* variables, their defaults, and --help. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

struct config {
    /* owned; absolute paths */
    char *config, *policy, *socket, *audit, *state, *audit_key, *mirror_binary, *shim_binary;
    char *jails;              /* "": STATE/jails */
    char *api_cert, *api_key; /* PEM files; "": no TLS */
    char *api_insecure;       /* "no" or "yes" */
    char *oidc_issuer, *oidc_client_id, *oidc_client_secret_file, *oidc_scope, *oidc_groups_claim;
    char *oidc_roles, *oidc_ca;
    char *api_origins;     /* ORIGIN;... */
    char *trusted_proxies; /* ADDRESS[/BITS];... */
    uint64_t session_idle, session_max;
    char *api;          /* "HOST:PORT" or "none" */
    char *mirror;       /* "auto", "native" or "docker" */
    char *engine;       /* "auto", "none" or the path of its socket */
    char *doors;        /* NAME=DIR[,...];... */
    char *prisoner;     /* NAME[,...]; "": the socket is for everybody */
    char *socket_group; /* name or number; "" ours */
    char *gate_shim;    /* absolute path in the trees of gates */
    char *gate_fd;      /* number of an inherited descriptor; "" none */
    unsigned socket_mode;
    char *log_level, *log_format, *audit_sync;                         /* one of their choices */
    uint64_t audit_rotate_size;                                        /* bytes; 0: never */
    uint64_t audit_rotate_age, audit_keep_age;                         /* ns; 0: never */
    uint64_t history_keep;                                             /* ns; 0: all */
    uint64_t audit_keep_files;                                         /* 0: all */
    uint64_t kill_grace, drain_timeout, request_deadline, claim_grace; /* ns */
    uint64_t connections_max, connections_max_per_uid, waiting_max, waiting_max_per_caller;
    uint64_t flight_max_per_caller, asks_per_minute, record_bytes_per_minute;
    uint64_t request_bytes_max, request_bytes_max_per_uid;
    uint64_t priority; /* 0 to 20 */
};

enum config_result { CONFIG_RUN, CONFIG_SAID_ALL }; /* the latter: --help, --version */

/* Flags over environment over clawrden.yaml over defaults. `env` as in environ(7). What --help and
 * --version print goes to `out`. -EINVAL with words; those of the file have FILE:LINE:COLUMN. */
int config_load(int argc, char *const *argv, char *const *env, struct config *c,
                enum config_result *ret, struct buf *out, struct err *err) MUST_CHECK;
void config_done(struct config *c);

/* Sets one by its name, as in the file ('-' and '_' are the same). -ENOENT: no such option, the
 * words say which is near. -EINVAL. */
int config_set(struct config *c, const char *name, const char *value, struct err *err) MUST_CHECK;

/* Each row's name, for the test that compares the manual page; NULL past the end. */
const char *config_name(size_t i);
