/* SPDX-License-Identifier: MIT */
/* What the warden says about requests, in a form that is safe on a terminal and readable: every
 * byte that an agent chose is visible and none acts. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"

#define SHOW_BYTES_MAX (64u << 20)

/* The bytes of a JSON string, or of the tagged form {"bytes":"<base64>"}. Owned, NUL-terminated,
 * "" for anything else; *ret_len may be NULL. */
char *show_bytes(const struct json *j, size_t *ret_len);
/* A member of `o` made visible, owned; "" when absent. Integers too. */
char *show_text(const struct json *o, const char *key);
/* A member that the warden made safe already, but for piled-up marks; owned. */
char *show_raw(const struct json *o, const char *key);
/* The same, quoted as a shell word. */
char *show_quoted(const struct json *o, const char *key);
/* A list has only the head of a very long command: such an entry says so in show_command(). */
bool show_is_short(const struct json *request);
/* The whole command line, each byte of it, quoted for a shell; owned. */
char *show_command(const struct json *request);
/* "12s", "3m", "2h10m", "5d": rounded down to what a person wants; owned. */
char *show_duration(uint64_t ns);
/* The time since / until the RFC 3339 member `key`; "" when absent. Owned. */
char *show_age(const struct json *o, const char *key);
char *show_left(const struct json *o, const char *key);
/* The member in local time "2026-11-24 05:20:11"; "" when absent. Owned. */
char *show_time(const struct json *o, const char *key);
/* The last part of an id, enough to name it among those at hand. Owned. */
char *show_id(const struct json *o);

/* An array of objects as JSON text, one object a line, on stdout. */
void show_json_lines(const struct json *array);
/* One value on one line on stdout. */
void show_json_line(const struct json *j);
