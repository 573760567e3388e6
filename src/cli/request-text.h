/* SPDX-License-Identifier: MIT */
/* One waiting request in full, for the person who is to answer it. */
#pragma once

#include <stdio.h>

#include "cli/remote.h"

/* Finds the waiting request that `typed` names and reads all of it. 0, or an enum cli_exit with the
 * words out. */
int request_text_fetch(struct cli *c, const char *typed, struct remote_answer *ret) MUST_CHECK;
/* One line a fact. */
void request_text_print(const struct json *request, FILE *out);
