/* SPDX-License-Identifier: MIT */
/* SHA-256 of a file's content, as hex digits. */
#pragma once

#include <stddef.h>

#define HASH_TEXT_SIZE 65
#define HASH_FILE_MAX (16u << 20)

/* Reads from the start, at most `max` bytes; regular files only. 0, -EFBIG when there are more, or
 * negative errno. */
int hash_fd(int fd, size_t max, char out[HASH_TEXT_SIZE]);
