/* SPDX-License-Identifier: MIT */
/* The log of a daemon: text or JSON lines on stderr, one write(2) a line. Only edges log (door,
 * api, mains). Untrusted text goes through %s of a string that str_escape() made; control bytes
 * that slip through are escaped here all the same. Repeats of the same call site are limited to
 * LOG_BURST in 10 s each, and what was suppressed is counted and said. */
#pragma once

#include <stdbool.h>

#include "base/cleanup.h"

#define LOG_BURST 20

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };

void log_setup(enum log_level min, bool json);
/* "debug", "info", "warn", "error" in either case; -EINVAL otherwise. */
int log_level_parse(const char *s, enum log_level *ret);

/* `id` is the request id or NULL. `site` identifies the call for the limit. */
void log_write(enum log_level level, const char *site, const char *id, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

#define LOG_SITE__(f, l) f ":" #l
#define LOG_SITE_(f, l) LOG_SITE__(f, l)
#define log_debug(id, ...)                                                                         \
    log_write(LOG_LEVEL_DEBUG, LOG_SITE_(__FILE__, __LINE__), id, __VA_ARGS__)
#define log_info(id, ...) log_write(LOG_LEVEL_INFO, LOG_SITE_(__FILE__, __LINE__), id, __VA_ARGS__)
#define log_warn(id, ...) log_write(LOG_LEVEL_WARN, LOG_SITE_(__FILE__, __LINE__), id, __VA_ARGS__)
#define log_error(id, ...)                                                                         \
    log_write(LOG_LEVEL_ERROR, LOG_SITE_(__FILE__, __LINE__), id, __VA_ARGS__)
