/* SPDX-License-Identifier: MIT */
/* The files of web/, built in; webfiles-list.c is written by build-aux/embed.sh. */
#pragma once

#include <stddef.h>

struct webfiles_file {
    const char *name; /* "login.html"; NULL ends the list */
    const unsigned char *text;
    size_t len;
};

extern const struct webfiles_file webfiles_file[];
