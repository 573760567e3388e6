/* SPDX-License-Identifier: MIT */
/* Values of records as bytes: a JSON string, or {"bytes":"<base64>"} for what is not UTF-8. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/json.h"

/* Appends the bytes. False, and nothing appended, when it is neither form. */
bool value_bytes(const struct json *j, struct buf *out);
/* Appends the command of a record as a shell line: `argv0` or `command`, then `args`, each byte of
 * it visible. False when there is no command in it. */
bool value_command_line(const struct json *record, struct buf *out);
