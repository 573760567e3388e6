/* SPDX-License-Identifier: MIT */
/* What a call asks of the history: its query parameters, read and checked. */
#pragma once

#include "api/api.h"
#include "api/call.h"

#define ASKED_TEXTS 9

struct asked {
    struct api_history_query q; /* points into `texts` */
    char *texts[ASKED_TEXTS];   /* owned */
    bool all;                   /* of an export: no limit, no cursor, but a format */
    struct err err;
};

/* `all`: for an export. False, and 400 was sent. To be done with in any case. */
bool asked_read(struct exchange *x, bool all, struct asked *ret);
void asked_done(struct asked *a);
#define _cleanup_asked_ _cleanup_(asked_done)
