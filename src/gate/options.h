/* SPDX-License-Identifier: MIT */
/* What clawrden-gate was asked to do. */
#pragma once

#include <stdbool.h>

#include "gate/wall.h"

struct options {
    const char *socket; /* NULL: `fd` */
    int fd, status_fd;  /* -1: none */
    int wait_s;         /* for the warden */
    enum wall_mode wall;
    bool debuggers;     /* the tree may trace itself */
    const char *walled; /* the person's path, NULL: no walls were built */
    char **command;
};

/* Leaves with words when that is nothing, and after --help and --version. */
void options_parse(int argc, char **argv, struct options *o);
