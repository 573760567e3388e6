/* SPDX-License-Identifier: MIT */
/* schema*.sql as they were when this was built: row N leads from version N to N + 1. */
#pragma once

#include <stddef.h>

struct schema_files {
    const char *name;
    const unsigned char *text; /* not NUL-terminated */
    size_t len;
};
extern const struct schema_files schema_files[]; /* ends with a row of NULL */
