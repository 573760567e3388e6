/* SPDX-License-Identifier: MIT */
/* What the shim says when it is called by its own name. */
#pragma once

/* `args` without argv[0], NULL at the end. Returns the exit code. */
int about_main(char **args, const char *socket);
