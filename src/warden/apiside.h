/* SPDX-License-Identifier: MIT */
/* The API with what lies in layers that it does not know: the token in the state directory, who may
 * log in by peer credentials, reloading the policy, history. */
#pragma once

#include <uv.h>

#include "api/api.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "exec/mirror.h"
#include "store/jsonl.h"
#include "store/sqlite.h"
#include "warden/config.h"
#include "warden/jailside.h"
#include "warden/reload.h"

struct apiside;

struct apiside_parts { /* all borrowed for its life */
    uv_loop_t *loop;
    const struct config *config;
    struct warden *warden;
    struct clock_port *clock;
    struct reload *reload;
    struct mirror *mirror;
    const char *entrance, *entrance_words; /* who starts the commands of containers, and why */
    const struct gate_door *gates;
    struct jailside *jails; /* NULL: there are none, for jails_why */
    const char *jails_why;
    struct sqlite *index;
    const struct jsonl *audit;
};

/* Makes STATE/token at the first start, listens on STATE/api.sock and --api, and prints the address
 * on stdout as "api URL". */
int apiside_open(const struct apiside_parts *p, struct apiside **ret, struct err *err) MUST_CHECK;
/* SIGHUP: reads the certificate anew. */
void apiside_reload(struct apiside *a);
/* Answers what is open; the loop must run until its handles are closed. */
void apiside_close(struct apiside *a);
struct apiside *apiside_free(struct apiside *a);
/* "http://127.0.0.1:PORT", or NULL without TCP. */
const char *apiside_url(const struct apiside *a);
