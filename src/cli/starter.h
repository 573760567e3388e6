/* SPDX-License-Identifier: MIT */
/* The policies of share/policies, built in; starter.c is written by build-aux/embed.sh. */
#pragma once

#include <stddef.h>

struct starter {
    const char *name; /* "starter.yaml"; NULL ends the list */
    const unsigned char *text;
    size_t len;
};

extern const struct starter starter[];
