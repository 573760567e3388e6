/* SPDX-License-Identifier: MIT */
/* clawrden.yaml: one flat mapping of option names to values. */
#pragma once

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "warden/config.h"

#define CONFIG_FILE_MAX (64u << 10)

/* Applies `text` to `c`. -EINVAL with "NAME:LINE:COLUMN: ..." for unknown or repeated keys, values
 * that are not plain, aliases, tags, a second document. */
int config_file_apply(const char *text, size_t len, const char *name, struct config *c,
                      struct err *err) MUST_CHECK;
