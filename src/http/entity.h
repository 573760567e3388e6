/* SPDX-License-Identifier: MIT */
/* An answer's body as HTTP sees it: its tag, and whether it may be sent packed. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define ENTITY_TAG_SIZE 37 /* W/"32 hex digits" and NUL */
#define ENTITY_GZIP_MIN 1024
#define ENTITY_GZIP_MAX (1u << 20) /* more would keep the loop busy */

/* The tag of a body; "" when libcrypto cannot. */
void entity_tag(const char *p, size_t n, char out[ENTITY_TAG_SIZE]);
/* Does the value of If-None-Match (NULL: none) name this tag? */
bool entity_matches(const char *if_none_match, const char *tag);
/* Does the value of Accept-Encoding (NULL: none) take gzip? */
bool entity_takes_gzip(const char *accept_encoding);
/* 0 with the packed body; -EMSGSIZE: it would not be smaller; -ENOMEM. */
int entity_gzip(const char *p, size_t n, struct buf *out);
