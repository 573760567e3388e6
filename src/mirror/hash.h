/* SPDX-License-Identifier: MIT */
/* SHA-256 of a file's content, as hex digits. */
#pragma once

#define HASH_TEXT_SIZE 65
#define HASH_FILE_MAX (16u << 20)

/* Reads from the start; regular files only. 0, -EFBIG over the limit, or negative errno. */
int hash_fd(int fd, char out[HASH_TEXT_SIZE]);
