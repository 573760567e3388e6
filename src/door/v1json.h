/* SPDX-License-Identifier: MIT */
/* The JSON request of wire version 1: bytes in, a struct ask out. Pure; may run on any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "core/request.h"

/* JSON values in one request: arguments and environment, four strings and two numbers. */
#define V1JSON_NODES_MAX 262144u

/* What the client says of itself: never used, only compared for the log. */
struct v1json_identity {
    bool said;
    int64_t uid, gid;
};

/* Fills `ret` for DOOR_SHIM_V1; its blob and arrays belong to the caller. Strict in types: absent
 * and null lists are empty; strings with a NUL, longer than the kernel's limit for one, a cwd that
 * is not absolute, an empty command: refused. -EBADMSG, -E2BIG, with words. */
int v1json_decode(const char *text, size_t len, struct ask *ret,
                  struct v1json_identity *ret_identity, struct err *err) MUST_CHECK;
