/* SPDX-License-Identifier: MIT */
/* A new image that the kernel stopped before its first instruction: its arguments and environment
 * lie on its stack as execve put them there (the System V ABI's process initialization), and nobody
 * has run in it yet. Only the thread that traces it may call these. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "wire/pack.h"

struct image {
    pid_t pid;
    int mem;        /* /proc/PID/mem, owned; -1 while it is not needed */
    uint64_t stack; /* address of argc */
    uint64_t entry; /* of the first instruction */
    uint32_t argc, envc;
    uint64_t strings;              /* address of the first byte of argv[0] */
    size_t strings_size;           /* to the end of execfn */
    size_t table_size;             /* bytes from `stack` to the auxiliary vector */
    uint8_t *copy;                 /* owned: the table, then the strings */
    size_t copy_size;              /* of the mapping */
    struct pack_strings argv, env; /* in `copy` */
    const char *execfn;            /* in `copy` */
};

/* Reads all of it. 0; -ENOEXEC: a 32-bit image; -EBADMSG: not as the kernel makes it; other
 * negative errno: it may not be read. `ret` is to be released in any case. */
int image_read(pid_t pid, struct image *ret);
void image_done(struct image *m);

/* Reads again: 0 when it is byte for byte what was read, else -ESTALE. */
int image_same(struct image *m);

/* Takes the variables `names` out of the environment, in the image and in `m`, and reads back. 0;
 * -EIO: it must not run. *ret_count: how many were found. */
int image_scrub(pid_t pid, struct image *m, const struct pack_strings *names, uint32_t *ret_count);

/* Instead of its own first instruction it will print `text` on its stderr and leave with `code`.
 * Negative errno: it must be killed. */
int image_poison(pid_t pid, const struct image *m, const char *text, int code);

/* Instead of its own first instruction it will execute `name` in the directory `dir`, a number that
 * it is to have by then (-1: `name` is a path), with its own arguments and environment. When the
 * kernel refuses, it says `words` and leaves with 126. */
int image_pass(pid_t pid, const struct image *m, int dir, const char *name, const char *words);

/* Instead of its own first instruction it will execute `shim` with the arguments `shim`, "--as",
 * `command` and its own argv without the first `skip`, and its environment. */
int image_redirect(pid_t pid, const struct image *m, const char *shim, const char *command,
                   uint32_t skip);
