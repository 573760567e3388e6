/* SPDX-License-Identifier: MIT */
/* The files of share/grammars, built in; grammar_data.c is written by build-aux/embed.sh. */
#pragma once

#include <stddef.h>

struct grammar_data {
    const char *name; /* "git.yaml"; NULL ends the list */
    const unsigned char *text;
    size_t len;
};

extern const struct grammar_data grammar_data[];
